"""What is known of models, as the CLI tells it."""

import msgspec
import pytest

from claude_relay.engine.claude.models import Models
from claude_relay.engine.claude.wire import ListedModel, ModelUsage, listed_models

LISTED = (
    ListedModel("default", "claude-opus-5-5"),
    ListedModel("opus", "claude-opus-5-5"),
    ListedModel("fable", "claude-fable-5-2"),
)


def test_until_the_cli_tells_more_three_names_are_known() -> None:
    models = Models()

    assert models.names == ("opus", "sonnet", "haiku")
    assert (models.full_id("opus"), models.context_window("opus")) == ("opus", 200_000)


def test_each_name_that_the_cli_lists_and_each_full_id_is_a_name_once() -> None:
    models = Models()
    models.learn_listed(LISTED)
    models.learn_listed(LISTED)
    models.learn_used({"claude-opus-5-5": ModelUsage(1_000_000)})

    assert models.names == ("opus", "sonnet", "haiku", "fable", "claude-opus-5-5", "claude-fable-5-2")
    assert models.context_window("claude-opus-5-5") == 1_000_000


def test_a_short_name_stands_for_what_the_cli_said_last() -> None:
    models = Models()
    models.learn_listed(LISTED)
    assert [models.full_id(name) for name in ("opus", "fable", "claude-opus-5-5", "sonnet")] == [
        "claude-opus-5-5",
        "claude-fable-5-2",
        "claude-opus-5-5",
        "sonnet",
    ]
    models.learn_listed([ListedModel("opus", "claude-opus-6")])
    assert models.full_id("opus") == "claude-opus-6"


def test_not_every_name_that_a_gateway_takes_is_kept() -> None:
    models = Models()
    models.learn_used({f"model-{number}": ModelUsage(number) for number in range(1_000)})

    assert (len(models.names), models.names[-1]) == (103, "model-99")
    assert (models.context_window("model-99"), models.context_window("model-100")) == (99, 200_000)


@pytest.mark.parametrize(
    ("reply", "listed"),
    [
        (
            b'{"models":[{"value":"opus","resolvedModel":"claude-opus-5-5","supportsEffort":true}],"pid":1}',
            (ListedModel("opus", "claude-opus-5-5"),),
        ),
        (b'{"version":"2.1.332"}', ()),
        (b'{"models":["opus"]}', ()),
        (b"null", ()),
    ],
)
def test_models_are_read_from_replies_that_list_them(reply: bytes, listed: tuple[ListedModel, ...]) -> None:
    assert listed_models(msgspec.Raw(reply)) == listed
