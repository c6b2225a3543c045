"""What is publicly known of models. A model that is not known here takes everything."""

import re

_NAME = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-(\d{1,2})(?:-(\d{1,2}))?(?!\d)")

Version = tuple[int, int]

Since = dict[str, Version]
"""From which version on the models of a family do something; families that never do are left out."""

_NO_SAMPLING: Since = {"opus": (4, 7), "sonnet": (5, 0), "haiku": (5, 0), "fable": (5, 0), "mythos": (0, 0)}
_ONE_OF_TWO: Since = {"opus": (4, 1), "sonnet": (4, 5), "haiku": (4, 5), "fable": (5, 0), "mythos": (0, 0)}
_NO_PREFILL: Since = {"opus": (4, 6), "sonnet": (4, 6), "haiku": (5, 0), "fable": (5, 0), "mythos": (0, 0)}
_NO_FORCED_CALLS: Since = {"opus": (5, 5), "sonnet": (5, 5), "fable": (5, 1), "mythos": (5, 1)}
_NO_BUDGET: Since = {"opus": (4, 7), "sonnet": (5, 0), "haiku": (5, 0), "fable": (5, 0)}
_ALWAYS_THINKING: Since = {"opus": (5, 5), "sonnet": (5, 5), "fable": (5, 0), "mythos": (5, 0)}
_SYSTEM_ROLE: Since = {"opus": (4, 8), "sonnet": (5, 0), "haiku": (5, 0)}


def refuses_sampling(model: str) -> bool:
    """Whether it takes the defaults of sampling options only: opus-4-7, sonnet-5, haiku-5, fable-5 and later."""
    return _is_since(model, _NO_SAMPLING)


def takes_one_of_temperature_and_top_p(model: str) -> bool:
    """Whether it takes temperature or ``top_p``, but not both: opus-4-1, sonnet-4-5, haiku-4-5 and later."""
    return _is_since(model, _ONE_OF_TWO)


def refuses_prefill(model: str) -> bool:
    """Whether the last message must be the user's: opus-4-6, sonnet-4-6, haiku-5, fable-5 and later."""
    return _is_since(model, _NO_PREFILL)


def refuses_forced_calls(model: str) -> bool:
    """Whether it cannot be made to call a tool: opus-5-5, sonnet-5-5, fable-5-1 and later, but no haiku."""
    return _is_since(model, _NO_FORCED_CALLS)


def refuses_thinking(model: str, kind: str) -> bool:
    """Whether it does not take this ``thinking.type``.

    A budget (``enabled``) is refused by opus-4-7, sonnet-5, haiku-5, fable-5 and later; ``disabled`` by opus-5-5,
    sonnet-5-5, fable-5 and later.
    """
    tables = {"enabled": _NO_BUDGET, "disabled": _ALWAYS_THINKING}
    return kind in tables and _is_since(model, tables[kind])


def refuses_system_role(model: str) -> bool:
    """Whether it takes no system messages in the conversation: what is older than opus-4-8 and sonnet-5."""
    family, version = _parsed(model)
    return version < _SYSTEM_ROLE.get(family, (0, 0))


def _is_since(model: str, table: Since) -> bool:
    family, version = _parsed(model)
    return family in table and version >= table[family]


def _parsed(model: str) -> tuple[str, Version]:
    found = _NAME.search(model)
    return (found[1], (int(found[2]), int(found[3] or 0))) if found else ("", (0, 0))
