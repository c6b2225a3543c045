"""Model names as clients write them -> the CLI's model, and what answers. Pure."""

from collections.abc import Mapping

from msgspec import Struct

from claude_relay.settings import Personality

_PERSONALITIES: dict[str, Personality] = {"agent": "agent", "chat": "chat"}


class ModelName(Struct, frozen=True):
    """What a name stands for.

    Attributes:
        model: The model, as the CLI takes it.
        personality: What answers, if the name says so.
    """

    model: str
    personality: Personality | None = None


def resolve(name: str, aliases: Mapping[str, str]) -> ModelName:
    """Return what a client's model name stands for.

    ``sonnet:chat`` names a model and a personality. An alias may name both too, and the client's own suffix wins.

    Args:
        name: The client's name for a model.
        aliases: Models by the other names they have.
    """
    if name in aliases:
        return _split(aliases[name])
    asked = _split(name)
    if asked.model in aliases:
        return ModelName(_split(aliases[asked.model]).model, asked.personality)
    return asked


def _split(name: str) -> ModelName:
    model, _, suffix = name.rpartition(":")
    return ModelName(model, _PERSONALITIES[suffix]) if model and suffix in _PERSONALITIES else ModelName(name)
