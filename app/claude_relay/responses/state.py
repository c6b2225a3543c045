"""What a request refers to that was stored before, and what is stored of it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from claude_relay.errors import InvalidRequestError, NotFoundError, UnavailableError, quoted
from claude_relay.responses import items, limits
from claude_relay.responses.echo import nested_too_deeply
from claude_relay.responses.schemas import ResponsesRequest
from claude_relay.store.protocol import Item
from claude_relay.web.validation_errors import converted

Given = str | list[dict[str, Any]] | None
"""Input as clients send it: a text, or items."""
LONGEST_ID = 200
"""Characters of an item's id; ids that are longer are not kept."""
_DAY = 24 * 60 * 60
_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "mcp_call": "mcp",
    "web_search_call": "ws",
    "mcp_approval_request": "mcpr",
    "mcp_approval_response": "mcpa",
    "tool_search_call": "tsc",
}
"""How ids begin, by the type of the item."""
_NOTHING_KEPT = "Nothing is stored here: send the whole conversation as 'input'."


class Stored(Struct, frozen=True):
    """What the store has of what a request refers to.

    Attributes:
        token: Makes the ids unique of items that have none.
        history: The items of the responses that it goes on from, or of its conversation, as JSON.
        items: The items that it refers to, as JSON, by their ids.
    """

    token: str
    history: tuple[bytes, ...] = ()
    items: Mapping[str, bytes] = {}

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return sum(map(len, self.history)) + sum(map(len, self.items.values()))


class Expanded(Struct, frozen=True):
    """A request that refers to nothing any more.

    Attributes:
        request: The request, with all items of its conversation.
        earlier: How many of these came before the request's own.
        inputs: Its own items, to be kept; none if nothing is.
    """

    request: ResponsesRequest
    earlier: int = 0
    inputs: tuple[Item, ...] = ()

    def place(self, index: int) -> str:
        """Return where the client finds an item of the whole conversation, by its index there."""
        if index >= self.earlier:
            return f"input[{index - self.earlier}]"
        return "previous_response_id" if self.request.conversation is None else "conversation"


def expanded(request: ResponsesRequest, stored: Stored | None) -> Expanded:
    """Return a request with what it refers to.

    Args:
        request: What the client sent.
        stored: What the store has of that; None if there is no store.

    Raises:
        InvalidRequestError: It goes on from a response, and there is no store; or all of it is too much.
        NotFoundError: It belongs to a conversation, and there is no store; or refers to an item that is not there.
    """
    if stored is None:
        if request.previous_response_id is not None:
            raise unknown_previous(request.previous_response_id, _NOTHING_KEPT)
        if (conversation := conversation_of(request)) is not None:
            raise unknown_conversation(conversation, _NOTHING_KEPT)
        return Expanded(request)
    own = resolved(request.input, stored)
    inputs = () if request.store is False else kept(own, stored.token)
    if stored.history:
        earlier = [item for item in map(msgspec.json.decode, stored.history) if not _is_cut_off(item)]
        whole = replace(request, input=[*earlier, *_listed(own)])
        limits.require_few(whole)
        return Expanded(whole, len(earlier), inputs)
    return Expanded(request if own is request.input else replace(request, input=own), 0, inputs)


def resolved(given: Given, stored: Stored, field: str = "input") -> Given:
    """Return what a client sent, with items in place of the references to them.

    Args:
        given: What it sent.
        stored: What the store has of what that refers to.
        field: The parameter that it stands in.

    Raises:
        NotFoundError: It refers to an item that is not there.
    """
    if not isinstance(given, list) or not any(map(_is_reference, given)):
        return given
    return [_resolved(item, stored.items, f"{field}[{index}]") for index, item in enumerate(given)]


def kept(given: Given, token: str) -> tuple[Item, ...]:
    """Return items as they are kept: with an id of their own, a type, and parts.

    Args:
        given: What a client sent, without references.
        token: Makes the ids unique of items that have none.

    Raises:
        InvalidRequestError: An item is nested more deeply than can be written.
    """
    return tuple(_kept(given, token))


def references(given: Given) -> list[str]:
    """Return the ids of the items that a client refers to, each once."""
    found = (item.get("id") for item in given if _is_reference(item)) if isinstance(given, list) else ()
    return list(dict.fromkeys(each for each in found if isinstance(each, str)))


def conversation_of(request: ResponsesRequest) -> str | None:
    """Return the id of the conversation that a request belongs to, if it does.

    Raises:
        InvalidRequestError: It has no id, or the request goes on from a response too.
    """
    given = request.conversation
    if given is None:
        return None
    if request.previous_response_id is not None:
        raise InvalidRequestError(
            "Mutually exclusive parameters: Ensure you are only providing one of: 'previous_response_id' or "
            "'conversation'.",
            param="conversation",
            code="mutually_exclusive_parameters",
        )
    return given if isinstance(given, str) else converted(given, items.ConversationReference, "conversation").id


def expiry(now: float, days: int) -> float:
    """Return until when something is kept, a whole day."""
    return (now // _DAY + 1 + days) * _DAY


def unknown_previous(response_id: str, hint: str = "") -> InvalidRequestError:
    """Return the error for a response that cannot be gone on from.

    Args:
        response_id: Its id.
        hint: What to do.
    """
    return InvalidRequestError(
        f"Previous response with id {quoted(response_id)} not found. {hint}".strip(),
        param="previous_response_id",
        code="previous_response_not_found",
    )


def incomplete_previous(response_id: str) -> InvalidRequestError:
    """Return the error for a response that cannot be gone on from yet."""
    return InvalidRequestError(
        f"Previous response with id {quoted(response_id)} is not complete. Wait for its end, or cancel it.",
        param="previous_response_id",
        code="previous_response_incomplete",
    )


def unknown_conversation(conversation_id: str, hint: str = "") -> NotFoundError:
    """Return the error for a conversation that is not there.

    Args:
        conversation_id: Its id.
        hint: What to do.
    """
    message = f"Conversation with id {quoted(conversation_id)} not found. {hint}".strip()
    return NotFoundError(message, param="conversation")


def unknown_response(response_id: str) -> NotFoundError:
    """Return the error for a response that is asked for and is not there."""
    return NotFoundError(f"Response with id {quoted(response_id)} not found.")


def unknown_cursor(item_id: str) -> NotFoundError:
    """Return the error for an item to go on behind that is not there."""
    return NotFoundError(f"Item with id {quoted(item_id)} not found.", param="after")


def abandoned() -> UnavailableError:
    """Return the error with which a response ends whose worker is gone."""
    return UnavailableError("The relay was stopped before the response was complete.", code="relay_stopped")


def require_kept(request: ResponsesRequest, stored: Stored | None) -> None:
    """Check that a response in the background can be found again.

    Args:
        request: What the client sent.
        stored: What the store has of what that refers to; None if there is no store.

    Raises:
        InvalidRequestError: It cannot.
    """
    if stored is None:
        raise InvalidRequestError(
            "Background mode requires responses to be stored, and this relay stores nothing.",
            param="background",
            code="unsupported_parameter",
        )
    if request.store is False:
        raise InvalidRequestError(
            "Background mode requires 'store' to be true.", param="background", code="invalid_value"
        )


def not_in_background() -> InvalidRequestError:
    """Return the error for a response that is to be cancelled and has a client that waits for it."""
    return InvalidRequestError("Cannot cancel a synchronous response.", param="response_id")


def not_resumable(*, in_background: bool) -> InvalidRequestError:
    """Return the error for a response that is to be streamed again, and whose events are not kept.

    Args:
        in_background: Whether they were.
    """
    why = "its events are not kept any more" if in_background else "it was not created with background=true"
    return InvalidRequestError(f"This response cannot be streamed because {why}.", param="stream")


def unknown_item_of_conversation(item_id: str) -> NotFoundError:
    """Return the error for an item that a conversation does not have."""
    return NotFoundError(f"Item with id {quoted(item_id)} not found.", param="item_id")


def unknown_item(item_id: str, where: str) -> NotFoundError:
    """Return the error for a reference to an item.

    Args:
        item_id: The item's id.
        where: The reference's path in the request.
    """
    return NotFoundError(
        f"Item with id {quoted(item_id)} not found. Items are not persisted when `store` is set to false. Try again "
        "with `store` set to true, or remove this item from your input and send the item itself.",
        param=f"{where}.id",
    )


def outputs(found: Sequence[Any]) -> tuple[Item, ...]:
    """Return the items of a response's output, to be kept."""
    return tuple(Item(item.id, msgspec.json.encode(item)) for item in found)


def encoded(item: Any) -> bytes:
    """Return JSON that is kept.

    Raises:
        InvalidRequestError: It is nested more deeply than can be written.
    """
    try:
        return msgspec.json.encode(item)
    except RecursionError:
        raise nested_too_deeply() from None


def is_id(given: str) -> bool:
    """Whether a text can be the id of a response or an item."""
    return 0 < len(given) <= LONGEST_ID and given.isascii() and given.isprintable()


def _is_reference(item: dict[str, Any]) -> bool:
    kind = item.get("type")
    return kind == "item_reference" or (kind is None and "id" in item and "role" not in item and "content" not in item)


def _resolved(item: dict[str, Any], known: Mapping[str, bytes], where: str) -> dict[str, Any]:
    if not _is_reference(item):
        return item
    item_id = converted(item, items.ItemReference, where).id
    if item_id not in known:
        raise unknown_item(item_id, where)
    found: dict[str, Any] = msgspec.json.decode(known[item_id])
    return found


def _is_cut_off(item: dict[str, Any]) -> bool:
    """Whether an item is a call that was never complete, so that it can have no output."""
    return item.get("status") == "incomplete" and str(item.get("type")).endswith("_call")


def _listed(given: Given) -> list[dict[str, Any]]:
    if isinstance(given, list):
        return given
    return [{"type": "message", "role": "user", "content": given}] if given else []


def _kept(given: Given, token: str) -> Iterator[Item]:
    used: set[str] = set()
    for index, item in enumerate(_listed(given)):
        kind = item.get("type") or "message"
        own_id = item.get("id")
        item_id = own_id if isinstance(own_id, str) else ""
        if not is_id(item_id) or item_id in used:
            item_id = f"{_PREFIXES.get(str(kind), 'item')}_{token}{index:04x}"
        used.add(item_id)
        yield Item(item_id, encoded({**item, "id": item_id, "type": kind, **_content(item)}))


def _content(item: dict[str, Any]) -> dict[str, Any]:
    text = item.get("content")
    if not isinstance(text, str):
        return {}
    if item.get("role") == "assistant":
        return {"content": [{"type": "output_text", "text": text, "annotations": []}]}
    return {"content": [{"type": "input_text", "text": text}]}
