"""Bodies -> chat requests, which the limits allow. Pure.

A large body takes its time, in steps of which none lasts long: in a thread, the event loop has its turns between them.
"""

import msgspec
from msgspec import Struct

from claude_relay.chat import limits, parameters
from claude_relay.chat.schemas import ChatCompletionRequest
from claude_relay.web.dto import decode

_requests = msgspec.json.Decoder(ChatCompletionRequest)


class Body(Struct, frozen=True):
    """A body that was read.

    Attributes:
        request: What the client sent.
        unknown: Its fields that are no parameters.
        is_large: Whether understanding it takes its time too.
    """

    request: ChatCompletionRequest
    unknown: frozenset[str]
    is_large: bool


def read(body: bytes) -> Body:
    """Read a request body.

    Raises:
        InvalidRequestError: The body is no JSON, no chat request, or more than can be read in a moment.
    """
    limits.require_readable(body)
    unknown = limits.unknown_fields(body, parameters.KNOWN)
    request = decode(_requests, body)
    limits.require_few(request)
    return Body(request, unknown, len(body) > limits.LARGE)
