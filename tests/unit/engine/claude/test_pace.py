"""How many who wait will soon be served, by how fast processes were."""

from typing import Any

import pytest

from claude_relay.engine.claude.matching import Binding
from claude_relay.engine.claude.pace import Pace
from tests.unit.factories import RunRequestFactory

OURS = Binding.of(RunRequestFactory.build(caller="ann"))
OTHERS = Binding.of(RunRequestFactory.build(caller="bob"))


class Process:
    """What is needed of a session."""

    def __init__(self, binding: Binding = OURS) -> None:
        self.binding = binding


def pace(took: float, *, binding: Binding = OURS) -> Pace:
    """Return what is known when a process has its second request since time 0, and the first took some seconds."""
    known, process = Pace(), Process(binding)
    given: Any = process
    known.began(given, -10.0)
    known.ended(given, -10.0 + took)
    known.began(given, 0.0)
    known.start = 0.5
    return known


@pytest.mark.parametrize(
    ("took", "now", "served"),
    [(0.1, 0.0, 5), (0.1, 0.05, 5), (0.1, 0.14, 6), (0.4, 0.0, 1), (0.4, 0.35, 2), (0.6, 0.0, 0), (20.0, 0.0, 0)],
)
def test_a_process_is_given_back_as_often_as_its_last_answer_fits_into_a_start(
    took: float, now: float, served: int
) -> None:
    assert pace(took).served_soon(OURS, now) == served


def test_an_answer_that_takes_longer_than_the_last_one_is_not_counted_on() -> None:
    assert pace(0.1).served_soon(OURS, 0.2) == 0


def test_processes_of_others_are_not_counted_on() -> None:
    assert pace(0.1, binding=OTHERS).served_soon(OURS, 0.0) == 0


def test_nothing_is_known_of_a_first_answer_nor_of_what_has_ended_or_is_idle() -> None:
    known = Pace()
    first: Any = Process()
    known.began(first, 0.0)
    assert known.served_soon(OURS, 0.0) == 0

    known.ended(first, 0.1)
    assert known.served_soon(OURS, 0.1) == 0

    known.began(first, 0.2)
    assert known.served_soon(OURS, 0.2) > 0
    known.forget(first)
    assert known.served_soon(OURS, 0.2) == 0
    known.ended(first, 0.3)
