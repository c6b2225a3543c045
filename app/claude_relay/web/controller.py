"""The base of the controllers: which DTO reads bodies, and what errors are documented."""

from collections.abc import Mapping

from litestar import Controller
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Struct

from claude_relay.web.dialect import ErrorResponse
from claude_relay.web.dto import WireDTO


class WireController(Controller):
    """Bodies are decoded strictly, and answers are encoded as they are."""

    dto = WireDTO
    return_dto = None


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
