"""Runner's models -> OpenAI's and Anthropic's. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

from claude_relay.engine import model_names
from claude_relay.engine.profiles import Profile
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.models.schemas import Model, ModelList

_CREATED = 1_735_689_600
"""2025-01-01. The CLI does not tell when a model was made, and clients only want a number."""
_CREATED_AT = "2025-01-01T00:00:00Z"
_OWNERS = {"claude": "anthropic", "echo": "claude-relay (offline echo)"}


_NONE: Mapping[str, Profile] = MappingProxyType({})


def listed(runner: ClaudeRunner, aliases: Mapping[str, str], profiles: Mapping[str, Profile] = _NONE) -> ModelList:
    """Return the names of a runner's models, with personalities, and the operator's names: aliases and profiles.

    Args:
        runner: What answers.
        aliases: Models by the other names they have.
        profiles: The profiles that the caller may use, by their names.
    """
    names = dict.fromkeys((*model_names.menu(runner.models, aliases), *profiles))
    return ModelList(
        data=[described(name, runner, aliases, profiles) for name in names],
        first_id=next(iter(names), None),
        last_id=next(reversed(names), None),
    )


def described(
    name: str, runner: ClaudeRunner, aliases: Mapping[str, str], profiles: Mapping[str, Profile] = _NONE
) -> Model:
    """Return one model; any name is a model, since only the upstream knows which exist.

    Args:
        name: What it is called.
        runner: What answers.
        aliases: Models by the other names they have.
        profiles: The profiles that the caller may use, by their names.
    """
    model = profiles[name].model if name in profiles else model_names.resolve(name, aliases).model
    takes = runner.context_window(model)
    return Model(
        id=name,
        created=_CREATED,
        owned_by=_OWNERS.get(runner.name, runner.name),
        context_length=takes,
        display_name=name,
        created_at=_CREATED_AT,
        max_input_tokens=takes,
    )
