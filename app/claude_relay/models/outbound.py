"""Runner's models -> OpenAI's. Pure."""

from claude_relay.engine.runner import ClaudeRunner
from claude_relay.models.schemas import Model, ModelList

_CREATED = 1_735_689_600
"""2025-01-01. The CLI does not tell when a model was made, and clients only want a number."""
_OWNERS = {"claude": "anthropic", "echo": "claude-relay (offline echo)"}


def listed(runner: ClaudeRunner) -> ModelList:
    """Return the models a runner lists."""
    return ModelList([described(name, runner) for name in runner.models])


def described(name: str, runner: ClaudeRunner) -> Model:
    """Return one model; any name is a model, since only the upstream knows which exist."""
    return Model(id=name, created=_CREATED, owned_by=_OWNERS.get(runner.name, runner.name))
