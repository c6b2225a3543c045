"""Token counts add up."""

import pytest

from claude_relay.engine.vocabulary import Usage
from tests.unit.factories import UsageFactory


def test_a_sum_is_taken_field_by_field() -> None:
    assert Usage(1, 2, 3, 4) + Usage(10, 20, 30, 40) == Usage(11, 22, 33, 44)


def test_what_was_counted_since_is_never_less_than_nothing() -> None:
    assert Usage(11, 22, 33, 44) - Usage(1, 2, 3, 4) == Usage(10, 20, 30, 40)
    assert Usage(1, 1, 1, 1) - Usage(2, 2, 2, 2) == Usage()


@pytest.mark.parametrize("usage", UsageFactory.batch(3))
def test_adding_nothing_changes_nothing(usage: Usage) -> None:
    assert usage + Usage() == usage == Usage() + usage


def test_a_prompt_counts_whether_it_was_cached_or_not() -> None:
    assert (
        Usage(input_tokens=1, cache_read_tokens=20, cache_creation_tokens=300, output_tokens=4000).prompt_tokens == 321
    )
