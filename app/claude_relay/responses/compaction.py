"""Conversations that are made shorter: what the model is asked, and the item that stands for what it tells. Pure."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from claude_relay.access.policy import Caller
from claude_relay.engine.fanout import Indexed
from claude_relay.engine.fold import fold
from claude_relay.engine.vocabulary import RunEnd, ToolChoice
from claude_relay.errors import UpstreamError
from claude_relay.responses import answer, inbound, outbound, schemas, state
from claude_relay.responses.summaries import sealed
from claude_relay.settings import Settings
from claude_relay.web.bodies import Body
from claude_relay.web.parameters import Question, named

FIELDS = schemas.CompactRequest.__struct_fields__
"""The names of the parameters."""
_ASK = """\
The conversation up to here is about to be replaced by what you write now, together with the messages of the user, \
which are kept word by word. Do not go on with the task, and call no tool. Write down what somebody needs who takes it \
over and has seen nothing of it:

- what the user wants, with all limits and preferences that were stated;
- what was done and found out, with names of files, commands, values, decisions and their reasons, as exactly as needed;
- what is left to do, and which step is next;
- what is not certain, and what did not work.

Write nothing else."""


class Kept(Struct, frozen=True):
    """What stays of a conversation as it is.

    Attributes:
        messages: Messages of the user and instructions, as JSON.
        token: Makes the ids of new items unique.
    """

    messages: tuple[bytes, ...]
    token: str


def to_question(body: Body[schemas.CompactRequest], settings: Settings, caller: Caller, token: str) -> Question:
    """Return what the model is asked.

    Args:
        body: What the client sent.
        settings: The operator's choices.
        caller: Who asks.
        token: Makes the ids of new items unique.

    Raises:
        RelayError: The request asks for what the relay cannot do.
    """
    asked = body.request
    request = as_request(asked)
    expanded = state.expanded(request, body.stored)
    conversation = state.kept(expanded.request.input, token)
    items = [msgspec.json.decode(item.body) for item in conversation]
    ask = {"type": "message", "role": "user", "content": _ASK}
    whole = replace(request, input=[*items, ask], previous_response_id=None, conversation=None)
    question = inbound.to_question(Body(whole, frozenset(), None), settings, caller)
    run = replace(question.run, personality="chat", tools=(), tool_choice=ToolChoice(), output=None)
    kept = (msgspec.json.encode({**item, "status": "completed"}) for item in items if _is_kept(item))
    ignored = named((*question.ignored, *sorted(body.unknown)), strict=settings.strict)
    return Question(run, ignored, Kept(tuple(kept), token))


def as_request(asked: schemas.CompactRequest) -> schemas.ResponsesRequest:
    """Return a request for a response to the conversation that is to be made shorter; nothing of it is kept."""
    fields: Mapping[str, Any] = {name: getattr(asked, name) for name in FIELDS}
    return schemas.ResponsesRequest(**fields, store=False)


async def compacted(events: AsyncIterator[Indexed], kept: Kept, created: int) -> answer.CompactedResponse:
    """Return the conversation that is shorter.

    Args:
        events: What the model tells.
        kept: What stays as it is.
        created: When it was asked for, in seconds since the epoch.

    Raises:
        UpstreamError: The model told nothing.
    """
    told = [event async for _, event in events]
    summary = fold(told)
    if summary.stop == "refusal" or not summary.text.strip():
        raise UpstreamError("The model did not summarize the conversation.")
    item = answer.CompactionItem(f"cmp_{kept.token}", sealed(summary.text))
    return answer.CompactedResponse(
        id=f"resp_{kept.token}",
        created_at=created,
        output=[*map(Raw, kept.messages), Raw(msgspec.json.encode(item))],
        usage=outbound.usage(next(event for event in told if isinstance(event, RunEnd))),
    )


def _is_kept(item: dict[str, Any]) -> bool:
    return item.get("type") == "message" and item.get("role") != "assistant"
