"""What a request that goes on with a thread has from it, and what is kept of a thread. Pure."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from claude_relay.errors import InvalidRequestError, NotFoundError, quoted
from claude_relay.messages import blocks, limits
from claude_relay.messages.schemas import ContinuedThread, MessagesRequest
from claude_relay.store.protocol import Item

NOT_FOUND = "thread_not_found"
UNSUPPORTED = "thread_unsupported_request"
"""Codes of errors after which SDKs send the whole conversation by themselves."""
SECONDS_KEPT = 3_600.0
"""How long a thread can be gone on with."""
_LONGEST_ID = 200
"""Characters of a message's id."""


class Head(Struct, frozen=True):
    """What requests that go on with a thread do not repeat."""

    system: blocks.Blocks = None
    tools: list[dict[str, Any]] | None = None


class Kept(Struct, frozen=True):
    """What is kept of a request, beside its answer.

    Attributes:
        previous: The id of the message that it goes on from.
        head: The ``Head``, as JSON.
        messages: Its own messages, as JSON; none if it is no thread.
    """

    previous: str | None = None
    head: bytes = b"{}"
    messages: tuple[bytes, ...] = ()


class Stored(Struct, frozen=True):
    """What the store has of the thread that a request goes on with.

    Attributes:
        head: The ``Head``, as JSON.
        history: Its messages, as JSON.
    """

    head: bytes = b"{}"
    history: tuple[bytes, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return len(self.head) + sum(map(len, self.history))


def expanded(request: MessagesRequest, stored: Stored | None) -> tuple[MessagesRequest, int]:
    """Return a request with the whole conversation, and how many of its messages came before its own.

    Args:
        request: What the client sent.
        stored: What the store has of its thread; None if there is no store.

    Raises:
        InvalidRequestError: It asks for a thread, and there is no store; or all of it is too much.
    """
    if request.thread is None:
        return request, 0
    if stored is None:
        raise unsupported()
    if not isinstance(request.thread, ContinuedThread):
        return request, 0
    head = msgspec.json.decode(stored.head, type=Head)
    earlier = [msgspec.json.decode(message) for message in stored.history]
    whole = replace(
        request,
        messages=[*earlier, *request.messages],
        system=head.system if request.system is None else request.system,
        tools=head.tools if request.tools is None else request.tools,
    )
    limits.require_few(whole)
    return whole, len(earlier)


def kept(request: MessagesRequest, earlier: int) -> Kept:
    """Return what is kept of a request.

    Args:
        request: The request, with the whole conversation.
        earlier: How many of its messages came before its own.

    Raises:
        InvalidRequestError: It cannot be kept, though it asks for a thread.
    """
    if request.thread is None:
        return Kept()
    previous = request.thread.previous_message_id if isinstance(request.thread, ContinuedThread) else None
    own = tuple(map(_json, request.messages[earlier:]))
    return Kept(previous, _json(Head(request.system, request.tools)), own)


def items(message_id: str, messages: Sequence[bytes]) -> tuple[Item, ...]:
    """Return the messages of a request as they are kept.

    Args:
        message_id: The id of the answer, which makes theirs unique.
        messages: The messages, as JSON.
    """
    return tuple(Item(f"{message_id}_{index}", message) for index, message in enumerate(messages))


def is_id(given: str) -> bool:
    """Whether a text can be the id of a message."""
    return 0 < len(given) <= _LONGEST_ID and given.isascii() and given.isprintable()


def not_found(message_id: str) -> NotFoundError:
    """Return the error for a message that cannot be gone on from."""
    return NotFoundError(
        f"No thread found for previous_message_id {quoted(message_id)}. Send the whole conversation with "
        'thread: {"type": "create"}.',
        param="thread.previous_message_id",
        code=NOT_FOUND,
    )


def unsupported() -> InvalidRequestError:
    """Return the error for a thread where nothing is kept."""
    return InvalidRequestError(
        "Threads are not supported, since nothing is kept here. Send the whole conversation without 'thread'.",
        param="thread",
        code=UNSUPPORTED,
    )


def _json(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except RecursionError:
        raise InvalidRequestError("The request is nested too deeply to be kept.", code="invalid_value") from None
