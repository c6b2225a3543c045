"""A family's table of parameters, and which of a request's parameters have no effect. Pure."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

from msgspec import Struct

from claude_relay.engine.vocabulary import RunRequest
from claude_relay.errors import InvalidRequestError
from claude_relay.settings import Personality

Support = Literal["supported", "ignored", "refused"]


class Parameter(Struct, frozen=True):
    """One parameter.

    Attributes:
        name: Its name in the family's API.
        chat: What happens to it in ``chat``.
        agent: What happens to it in ``agent``.
        meaning: What it does, or why not, for the docs.
        no_op_values: Values that ask for nothing, so that nothing has to be reported about them.
    """

    name: str
    chat: Support
    agent: Support
    meaning: str
    no_op_values: tuple[Any, ...] = ()


class Question(Struct, frozen=True):
    """A family's request as the engine takes it.

    Attributes:
        run: What to ask.
        ignored: What was given and has no effect.
        known: What else the family's rendering has to know of the request.
        more: What else to ask at the same time, in the same personality.
    """

    run: RunRequest
    ignored: tuple[str, ...] = ()
    known: Any = None
    more: tuple[RunRequest, ...] = ()


def supported(name: str, meaning: str) -> Parameter:
    """Return a parameter that works."""
    return Parameter(name, "supported", "supported", meaning)


def sampling(name: str, meaning: str, *no_op_values: object) -> Parameter:
    """Return a parameter that works in ``chat`` only: an agent's own model calls are its own business."""
    return Parameter(name, "supported", "ignored", meaning, no_op_values)


def ignored(name: str, meaning: str, *no_op_values: object) -> Parameter:
    """Return a parameter that has no effect; a response header names it."""
    return Parameter(name, "ignored", "ignored", meaning, no_op_values)


def refused(name: str, meaning: str, *no_op_values: object) -> Parameter:
    """Return a parameter without which the answer would not be what was asked for."""
    return Parameter(name, "refused", "refused", meaning, no_op_values)


def names(parameters: Iterable[Parameter]) -> frozenset[str]:
    """Return the names of parameters."""
    return frozenset(parameter.name for parameter in parameters)


def unsupported(
    parameters: Sequence[Parameter], request: Struct, personality: Personality, unknown: Collection[str]
) -> tuple[str, ...]:
    """Return the names of the request's parameters that have no effect.

    Args:
        parameters: The family's.
        request: What the client sent, with a field for each parameter.
        personality: What answers.
        unknown: Fields of the body that no parameter has the name of.

    Raises:
        InvalidRequestError: A parameter was given that must not be ignored.
    """
    given = [parameter for parameter in parameters if _asks(getattr(request, parameter.name), parameter)]
    for parameter in given:
        if _support(parameter, personality) == "refused":
            raise InvalidRequestError(
                f"Unsupported parameter: '{parameter.name}' is not supported. {parameter.meaning}",
                param=parameter.name,
                code="unsupported_parameter",
            )
    without_effect = [parameter.name for parameter in given if _support(parameter, personality) == "ignored"]
    return (*without_effect, *sorted(unknown))


def named(without_effect: Iterable[str], *, strict: bool) -> tuple[str, ...]:
    """Return what a request has that has no effect, each name once.

    Args:
        without_effect: The names.
        strict: Whether that is an error.

    Raises:
        InvalidRequestError: There is any, and it is an error.
    """
    found = tuple(dict.fromkeys(without_effect))
    if found and strict:
        raise InvalidRequestError(
            "Unsupported parameters, which have no effect and are refused because the relay runs with --strict: "
            f"{', '.join(map(repr, found))}.",
            param=found[0],
            code="unsupported_parameter",
        )
    return found


def _asks(value: object, parameter: Parameter) -> bool:
    return value is not None and value not in parameter.no_op_values


def _support(parameter: Parameter, personality: Personality) -> Support:
    return parameter.chat if personality == "chat" else parameter.agent
