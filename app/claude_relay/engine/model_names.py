"""Model names as clients write them -> the CLI's model, and what answers. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from claude_relay.settings import Personality

_PERSONALITIES: dict[str, Personality] = {"chat": "chat", "agent": "agent"}


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


def menu(models: Iterable[str], aliases: Mapping[str, str]) -> Iterator[str]:
    """Yield the names that a client may choose from: each model, with each personality too, and the other names.

    Args:
        models: The models.
        aliases: Models by the other names they have.
    """
    for model in models:
        yield model
        yield from (f"{model}:{personality}" for personality in _PERSONALITIES)
    yield from aliases


def _split(name: str) -> ModelName:
    model, _, suffix = name.rpartition(":")
    return ModelName(model, _PERSONALITIES[suffix]) if model and suffix in _PERSONALITIES else ModelName(name)
