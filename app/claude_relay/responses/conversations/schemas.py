"""Conversations as clients send and get them, in OpenAI's own names; items are those of the responses API."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Items = Annotated[
    list[dict[str, Any]], Meta(description="Messages, calls, outputs: what a request's `input` may have.")
]


class NewConversation(Struct, frozen=True):
    """A conversation to be made."""

    items: Items | None = None
    metadata: dict[str, str] | None = None


class ConversationChange(Struct, frozen=True):
    """What is to be different about a conversation."""

    metadata: dict[str, str] | None = None


class NewItems(Struct, frozen=True):
    """Items to be appended to a conversation."""

    items: Items


class Conversation(Struct, frozen=True):
    """A conversation, without its items."""

    id: str
    created_at: int
    metadata: dict[str, Any]
    object: Literal["conversation"] = "conversation"


class DeletedConversation(Struct, frozen=True):
    """A conversation is gone."""

    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: bool = True
