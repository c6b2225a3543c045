"""A client's name for a model stands for the CLI's model and what answers."""

import pytest

from claude_relay.engine.model_names import ModelName, resolve
from claude_relay.settings import Personality

ALIASES = {"gpt-4o": "opus", "worker": "haiku:agent"}


@pytest.mark.parametrize(
    ("name", "model", "personality"),
    [
        ("sonnet", "sonnet", None),
        ("sonnet:agent", "sonnet", "agent"),
        ("sonnet:chat", "sonnet", "chat"),
        ("vendor/model:7b", "vendor/model:7b", None),
        ("vendor/model:7b:agent", "vendor/model:7b", "agent"),
        ("arn:aws:bedrock:x", "arn:aws:bedrock:x", None),
        (":agent", ":agent", None),
        ("gpt-4o", "opus", None),
        ("gpt-4o:agent", "opus", "agent"),
        ("worker", "haiku", "agent"),
        ("worker:chat", "haiku", "chat"),
        ("GPT-4o", "GPT-4o", None),
    ],
)
def test_a_name_stands_for_a_model_and_what_answers(name: str, model: str, personality: Personality | None) -> None:
    assert resolve(name, ALIASES) == ModelName(model, personality)


def test_a_name_with_a_suffix_may_be_an_alias_itself() -> None:
    assert resolve("sonnet:agent", {"sonnet:agent": "opus"}) == ModelName("opus")
