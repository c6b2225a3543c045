"""What a request refers to that was stored before: nothing is, so nothing is found. Pure."""

from claude_relay.errors import InvalidRequestError, NotFoundError, quoted
from claude_relay.responses.schemas import ResponsesRequest


def require_none(request: ResponsesRequest) -> None:
    """Check that a request refers to nothing that was stored.

    Raises:
        InvalidRequestError: It goes on from a response.
        NotFoundError: It belongs to a conversation.
    """
    if request.previous_response_id is not None:
        raise InvalidRequestError(
            f"Previous response with id {quoted(request.previous_response_id)} not found. Nothing is stored here: send "
            "the whole conversation as 'input'.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    if request.conversation is not None:
        given = request.conversation
        named = given if isinstance(given, str) else str(given.get("id", ""))
        raise NotFoundError(
            f"Conversation with id {quoted(named)} not found. Nothing is stored here: send the whole conversation as "
            "'input'.",
            param="conversation",
        )


def unknown_item(item_id: str, where: str) -> NotFoundError:
    """Return the error for a reference to an item.

    Args:
        item_id: The item's id.
        where: The reference's path in the request.
    """
    return NotFoundError(
        f"Item with id {quoted(item_id)} not found. Items are not persisted when `store` is set to false. Nothing is "
        "stored here yet: send the item itself, as clients do when `store` is false.",
        param=f"{where}.id",
    )
