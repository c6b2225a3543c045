"""What is publicly known of models. A model that is not known here takes everything."""

import re

_NAME = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-(\d{1,2})(?:-(\d{1,2}))?(?!\d)")

Version = tuple[int, int]

_NO_SAMPLING_SINCE: dict[str, Version] = {"opus": (4, 7), "sonnet": (5, 0), "fable": (5, 0), "mythos": (0, 0)}
_ONE_OF_TWO_SINCE: dict[str, Version] = {"opus": (4, 1), "sonnet": (4, 5), "haiku": (4, 5)}
_NO_PREFILL_SINCE: dict[str, Version] = {"opus": (4, 6), "sonnet": (4, 6), "fable": (5, 0), "mythos": (0, 0)}
_SYSTEM_ROLE_SINCE: dict[str, Version] = {"opus": (4, 8), "sonnet": (5, 0), "haiku": (5, 0)}


def refuses_sampling(model: str) -> bool:
    """Whether it takes no temperature but 1, no ``top_p`` and no ``top_k``: opus-4-7, sonnet-5, fable-5 and later."""
    return _is_since(model, _NO_SAMPLING_SINCE)


def takes_one_of_temperature_and_top_p(model: str) -> bool:
    """Whether it takes temperature or ``top_p``, but not both: opus-4-1, sonnet-4-5, haiku-4-5 and later."""
    return _is_since(model, _ONE_OF_TWO_SINCE)


def refuses_prefill(model: str) -> bool:
    """Whether the last message must be the user's: opus-4-6, sonnet-4-6, fable-5 and later."""
    return _is_since(model, _NO_PREFILL_SINCE)


def refuses_system_role(model: str) -> bool:
    """Whether it takes no system messages in the conversation: what is older than opus-4-8 and sonnet-5."""
    family, version = _parsed(model)
    return version < _SYSTEM_ROLE_SINCE.get(family, (0, 0))


def _is_since(model: str, table: dict[str, Version]) -> bool:
    family, version = _parsed(model)
    return family in table and version >= table[family]


def _parsed(model: str) -> tuple[str, Version]:
    found = _NAME.search(model)
    return (found[1], (int(found[2]), int(found[3] or 0))) if found else ("", (0, 0))
