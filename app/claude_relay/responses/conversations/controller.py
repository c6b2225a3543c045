"""The routes of ``/conversations``."""

import os
from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from claude_relay.responses import answer, archive, outbound
from claude_relay.responses.conversations import inbound, schemas
from claude_relay.responses.conversations.archive import conversations_of
from claude_relay.store.protocol import Item, Page
from claude_relay.web import bodies
from claude_relay.web.controller import OF_BODIES, OF_CALLERS, Limit, Order, WireController, failures, json_response

_Id = FromPath[str]
_FAILURES = failures(
    s400="It cannot be done as it stands; `param` names what to change.",
    **OF_CALLERS,
    s404="The caller has no such conversation, or it has no such item.",
    s503="The store cannot be used.",
)
_POST_FAILURES = {
    **_FAILURES,
    **failures(**OF_BODIES),
}
_conversation = bodies.reader(
    schemas.NewConversation, frozenset(("items", "metadata")), lambda asked: inbound.require_few(asked.items)
)
_change = bodies.reader(schemas.ConversationChange, frozenset(("metadata",)))
_items = bodies.reader(schemas.NewItems, frozenset(("items",)), lambda asked: inbound.require_few(asked.items))


class ConversationsController(WireController):
    """Items that are kept together."""

    path = "/conversations"
    tags = ("Conversations",)

    @post(
        status_code=200,
        dto=bodies.BodyDTO[schemas.NewConversation],
        before_request=bodies.reading_body(_conversation),
        operation_id="createConversation",
        summary="Create a conversation",
        response_description="The conversation.",
        responses=_POST_FAILURES,
    )
    async def create_conversation(
        self, data: JSONBody[schemas.NewConversation], request: Request[Any, Any, Any]
    ) -> schemas.Conversation:
        """Keep a new conversation, with or without first items."""
        found = conversations_of(request)
        return await found.create(data.metadata or {}, await _kept(request, data.items))

    @get(
        "/{conversation_id:str}",
        operation_id="getConversation",
        summary="Get a conversation",
        response_description="The conversation.",
        responses=_FAILURES,
    )
    async def get_conversation(self, request: Request[Any, Any, Any], conversation_id: _Id) -> schemas.Conversation:
        """Return a conversation, without its items."""
        return await conversations_of(request).get(conversation_id)

    @post(
        "/{conversation_id:str}",
        status_code=200,
        dto=bodies.BodyDTO[schemas.ConversationChange],
        before_request=bodies.reading_body(_change),
        operation_id="updateConversation",
        summary="Update a conversation",
        response_description="The conversation as it is now.",
        responses=_POST_FAILURES,
    )
    async def update_conversation(
        self, data: JSONBody[schemas.ConversationChange], request: Request[Any, Any, Any], conversation_id: _Id
    ) -> schemas.Conversation:
        """Replace the metadata of a conversation."""
        return await conversations_of(request).change(conversation_id, data.metadata or {})

    @delete(
        "/{conversation_id:str}",
        status_code=200,
        operation_id="deleteConversation",
        summary="Delete a conversation",
        response_description="It is gone.",
        responses=_FAILURES,
    )
    async def delete_conversation(
        self, request: Request[Any, Any, Any], conversation_id: _Id
    ) -> schemas.DeletedConversation:
        """Remove a conversation and its items. Responses that belong to it stay."""
        await conversations_of(request).delete(conversation_id)
        return schemas.DeletedConversation(conversation_id)

    @post(
        "/{conversation_id:str}/items",
        status_code=200,
        dto=bodies.BodyDTO[schemas.NewItems],
        before_request=bodies.reading_body(_items),
        operation_id="createConversationItems",
        summary="Append items to a conversation",
        response_description="These items.",
        responses=_POST_FAILURES,
    )
    async def create_items(
        self, data: JSONBody[schemas.NewItems], request: Request[Any, Any, Any], conversation_id: _Id
    ) -> answer.ItemList:
        """Append items, in their order. An id that is there already is that of an item to be replaced."""
        found, items = conversations_of(request), await _kept(request, data.items)
        await found.append(conversation_id, items)
        return outbound.item_list(Page(items, has_more=False))

    @get(
        "/{conversation_id:str}/items",
        operation_id="listConversationItems",
        summary="List the items of a conversation",
        response_description="Some of the items.",
        responses=_FAILURES,
    )
    async def list_items(
        self,
        request: Request[Any, Any, Any],
        conversation_id: _Id,
        *,
        after: FromQuery[str | None] = None,
        limit: Limit = 20,
        order: Order = "desc",
    ) -> answer.ItemList:
        """Return what was put into the conversation, and what its responses were asked and answered."""
        return outbound.item_list(await conversations_of(request).items(conversation_id, after, limit, order))

    @get(
        "/{conversation_id:str}/items/{item_id:str}",
        operation_id="getConversationItem",
        summary="Get an item of a conversation",
        response_description="The item.",
        responses=_FAILURES,
    )
    async def get_item(
        self, request: Request[Any, Any, Any], conversation_id: _Id, item_id: _Id
    ) -> Response[dict[str, Any]]:
        """Return one item."""
        return json_response(await conversations_of(request).item(conversation_id, item_id))

    @delete(
        "/{conversation_id:str}/items/{item_id:str}",
        status_code=200,
        operation_id="deleteConversationItem",
        summary="Delete an item of a conversation",
        response_description="The conversation.",
        responses=_FAILURES,
    )
    async def delete_item(
        self, request: Request[Any, Any, Any], conversation_id: _Id, item_id: _Id
    ) -> schemas.Conversation:
        """Remove one item."""
        return await conversations_of(request).remove(conversation_id, item_id)


async def _kept(request: Request[Any, Any, Any], given: list[dict[str, Any]] | None) -> tuple[Item, ...]:
    """Return items as they are kept, with those that they refer to."""
    found = archive.archive_of(request)
    known = {} if found is None else await found.items(given)
    return await bodies.beside_loop(request, lambda: inbound.kept(given, known, os.urandom(16).hex()))
