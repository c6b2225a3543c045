"""Models as OpenAI lists them."""

from pathlib import Path

import msgspec
import pytest

from claude_relay.engine import model_names
from claude_relay.engine.claude.runner import ClaudeCodeRunner
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.model_names import ModelName
from claude_relay.engine.profiles import Profile
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.models.outbound import described, listed
from claude_relay.settings import Settings

CLAUDE = ClaudeCodeRunner(Settings(cwd=str(Path(__file__).parent)), {})


@pytest.mark.parametrize(("runner", "names"), [(CLAUDE, ["opus", "sonnet", "haiku"]), (EchoRunner(), ["echo"])])
def test_the_list_holds_the_models_of_the_runner_each_with_both_personalities_too(
    runner: ClaudeRunner, names: list[str]
) -> None:
    models = listed(runner, {})

    assert models.object == "list"
    assert [model.id for model in models.data] == [
        name + suffix for name in names for suffix in ("", ":chat", ":agent")
    ]


@pytest.mark.parametrize("name", ["opus", "claude-opus-5-5", "sonnet:chat", "vendor/model"])
def test_any_name_is_a_model_for_only_the_upstream_knows_better(name: str) -> None:
    assert msgspec.to_builtins(described(name, CLAUDE, {})) == {
        "id": name,
        "created": 1735689600,
        "owned_by": "anthropic",
        "object": "model",
        "context_length": 200_000,
        "type": "model",
        "display_name": name,
        "created_at": "2025-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 200_000,
    }


def test_a_list_of_models_is_one_page_of_anthropics_too() -> None:
    models = listed(CLAUDE, {})

    assert (models.first_id, models.last_id, models.has_more) == (models.data[0].id, models.data[-1].id, False)


def test_the_echo_does_not_pass_for_a_real_model() -> None:
    assert "echo" in described("opus", EchoRunner(), {}).owned_by


def test_aliases_are_listed_after_the_models_under_their_own_names() -> None:
    models = listed(CLAUDE, {"gpt-4o": "sonnet", "worker": "opus:agent"})

    assert [model.id for model in models.data][-3:] == ["haiku:agent", "gpt-4o", "worker"]


def test_profiles_are_listed_last_with_what_their_models_take() -> None:
    docs = Profile(name="docs", target="opus:agent", model="opus", personality="agent")
    models = listed(Windows(), {"gpt-4o": "sonnet"}, {"docs": docs}).data

    assert [model.id for model in models][-2:] == ["gpt-4o", "docs"]
    assert models[-1].context_length == 1_000_000


class Windows(EchoRunner):
    """An echo whose models differ in what they take."""

    models = ("opus", "claude-opus-5-5")

    def context_window(self, model: str) -> int:
        return {"opus": 1_000_000}.get(model, 200_000)


@pytest.mark.parametrize(
    ("name", "window"),
    [
        ("opus", 1_000_000),
        ("opus:chat", 1_000_000),
        ("opus:agent", 1_000_000),
        ("sonnet", 200_000),
        ("big", 1_000_000),
        ("big-worker", 1_000_000),
        pytest.param(
            "big:chat",
            1_000_000,
        ),
    ],
)
def test_a_context_length_is_that_of_the_model_behind_the_name(name: str, window: int) -> None:
    aliases = {"big": "opus", "big-worker": "opus:agent"}

    assert described(name, Windows(), aliases).context_length == window


def test_each_name_in_the_list_stands_for_what_it_says() -> None:
    aliases = {"gpt-4o": "sonnet", "worker": "opus:agent", "sonnet": "opus:chat"}
    found = {model.id: model_names.resolve(model.id, aliases) for model in listed(Windows(), aliases).data}

    assert found == {
        "opus": ModelName("opus"),
        "opus:chat": ModelName("opus", "chat"),
        "opus:agent": ModelName("opus", "agent"),
        "claude-opus-5-5": ModelName("claude-opus-5-5"),
        "claude-opus-5-5:chat": ModelName("claude-opus-5-5", "chat"),
        "claude-opus-5-5:agent": ModelName("claude-opus-5-5", "agent"),
        "gpt-4o": ModelName("sonnet"),
        "worker": ModelName("opus", "agent"),
        "sonnet": ModelName("opus", "chat"),
    }


def test_an_alias_with_the_name_of_a_model_is_listed_once() -> None:
    names = [model.id for model in listed(CLAUDE, {"sonnet": "opus"}).data]

    assert len(names) == len(set(names))
