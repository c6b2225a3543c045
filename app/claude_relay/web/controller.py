"""What controllers share: a base, the documentation of errors, the parameters of lists, and bodies that are JSON."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from litestar import Controller, MediaType, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from claude_relay.web.dialect import ErrorResponse
from claude_relay.web.dto import WireDTO


class WireController(Controller):
    """Bodies are decoded strictly, and answers are encoded as they are."""

    dto = WireDTO
    return_dto = None


Limit = Annotated[int, QueryParameter(ge=1, le=100)]
"""How many entries of a list a client wants."""
Order = FromQuery[Literal["asc", "desc"]]
"""In which order a client wants the entries of a list."""
OF_CALLERS: Mapping[str, str] = {
    "s401": "The caller has no key.",
    "s403": "A web page calls that nobody allowed to.",
}
"""What ``failures`` documents where nobody but the relay looks at who calls."""
OF_BODIES: Mapping[str, str] = {
    "s413": "The request is too large.",
    "s415": "The body is compressed, or a web page sent one that is not called JSON.",
}
"""What ``failures`` documents where a body is read."""
_OF_QUESTIONS = {
    **OF_BODIES,
    "s400": "The request cannot be served as it stands; the error names what to change.",
    "s401": "The caller has no key, or Claude Code is not logged in.",
    "s403": "A web page calls that nobody allowed to, or the login may not do this.",
    "s404": "The model does not exist.",
    "s409": "Another request had the same `Idempotency-Key`.",
    "s429": "The caller, the relay or the upstream is at a limit; see `retry-after`.",
    "s503": "There is no Claude Code, its upstream is overloaded, or the relay is stopping.",
}


def failures_of_question(body: type[Struct] = ErrorResponse, /, **meanings: str) -> Mapping[int, ResponseSpec]:
    """Document error responses of what asks the engine.

    Args:
        body: What the family reports errors with.
        meanings: What further statuses mean, or what these mean here.
    """
    return failures(body, **{**_OF_QUESTIONS, **meanings})


def failures(body: type[Struct] = ErrorResponse, /, **meanings: str) -> Mapping[int, ResponseSpec]:
    """Document error responses.

    Args:
        body: What the family reports errors with.
        meanings: What each status means, by names such as ``s404``.
    """
    return {
        int(name[1:]): ResponseSpec(body, generate_examples=False, description=meaning)
        for name, meaning in meanings.items()
    }


def json_response(body: bytes) -> Response[Any]:
    """Return a response whose body is JSON already."""
    return Response(body, media_type=MediaType.JSON)
