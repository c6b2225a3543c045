"""How a family of endpoints reports errors, in a response and inside a stream.

A family registers its dialect for its path; every other path has OpenAI's. The path decides, and not the route, since
errors occur where there is no route: unknown paths, wrong methods, strangers, requests that are not valid HTTP.
"""

from collections.abc import Callable, Mapping
from typing import Any

from litestar.datastructures import State
from litestar.types import Scope
from msgspec import Struct

from claude_relay.errors import CONVERSATION, RelayError
from claude_relay.web.frames import frame

_STATE = "claude_relay_dialects"
_LONGEST_MESSAGE = 4_000
"""Characters."""
_LONGEST_PARAM = 200
_CONVERSATION = "messages"
"""What OpenAI calls the conversation of a chat."""


class Dialect(Struct, frozen=True):
    """How a family reports errors.

    Attributes:
        error_body: Returns the body of an error response.
        error_frame: Returns the last event of a stream that failed.
        presented: Returns the error that is answered in place of another one, where the family's clients expect
            another status or code.
    """

    error_body: Callable[[RelayError], Struct]
    error_frame: Callable[[RelayError], bytes]
    presented: Callable[[RelayError], RelayError] = lambda error: error


class ErrorDetail(Struct, frozen=True):
    """What went wrong.

    Attributes:
        message: For people.
        type: The kind of error, in OpenAI's words.
        param: The request parameter at fault, or null.
        code: A stable word for programs, or null.
    """

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(Struct, frozen=True):
    """The body of every error."""

    error: ErrorDetail


def error_response(error: RelayError, conversation: str = _CONVERSATION) -> ErrorResponse:
    """Return an error as OpenAI reports it.

    Args:
        error: The error.
        conversation: What the family calls the conversation.
    """
    param = conversation if error.param == CONVERSATION else error.param and shortened(error.param, _LONGEST_PARAM)
    return ErrorResponse(ErrorDetail(shortened(error.message, _LONGEST_MESSAGE), error.type, param, error.code))


def shortened(text: str, longest: int = _LONGEST_MESSAGE) -> str:
    """Return a text at no more than a length: errors repeat what a client sent, which may be long."""
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text) - longest} more characters)"


OPENAI = Dialect(error_response, lambda error: frame(error_response(error)))


def register(state: State, path: str, dialect: Dialect) -> None:
    """Let a path of an application, and all below it, report errors in a dialect.

    Args:
        state: The application's state.
        path: The path.
        dialect: The family's.
    """
    state[_STATE] = {**state.get(_STATE, {}), path: dialect}


def dialect_at(app: Any, path: str) -> Dialect:
    """Return the dialect of a path.

    Args:
        app: The application; one that is not Litestar's has OpenAI's dialect only.
        path: The path that was asked for.
    """
    below = f"{path}/"
    return next((dialect for at, dialect in registered(app).items() if below.startswith(f"{at}/")), OPENAI)


def registered(app: Any) -> Mapping[str, Dialect]:
    """Return the dialects of an application by their paths, in the order in which they were registered."""
    state = getattr(app, "state", None)
    found: Mapping[str, Dialect] = state.get(_STATE, {}) if isinstance(state, State) else {}
    return found


def dialect_of(scope: Scope) -> Dialect:
    """Return the dialect in which a request is answered."""
    return dialect_at(scope.get("litestar_app"), scope["path"])
