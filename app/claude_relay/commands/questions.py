"""One question of ``claude-relay ask``: as a request for a response, and what comes of its stream. Pure."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from claude_relay.engine.vocabulary import Event, RunEnd, StopReason, TextDelta, ThinkingDelta, ToolActivity, Usage
from claude_relay.errors import RelayError, UpstreamError

Item = dict[str, Any]
"""An item of a conversation, as the responses API has it."""


class Question(Struct, frozen=True):
    """What is asked.

    Attributes:
        text: The question.
        model: The model; the relay's own choice when not given.
        images: The contents of images that belong to it.
        schema: The JSON schema of its answer, if it must have one.
        past: The conversation before.
    """

    text: str
    model: str | None = None
    images: tuple[bytes, ...] = ()
    schema: Mapping[str, Any] | None = None
    past: tuple[Item, ...] = ()


def message(question: Question) -> Item:
    """Return the question as an item. What kind of image it is, the relay sees by its bytes."""
    images = [
        {"type": "input_image", "image_url": f"data:image/png;base64,{base64.b64encode(image).decode()}"}
        for image in question.images
    ]
    return {"role": "user", "content": [{"type": "input_text", "text": question.text}, *images]}


def request_body(question: Question) -> dict[str, Any]:
    """Return the request for a streamed response, of which the relay keeps nothing."""
    body: dict[str, Any] = {"input": [*question.past, message(question)], "stream": True, "store": False}
    if question.model is not None:
        body["model"] = question.model
    if question.schema is not None:
        body["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": question.schema}}
    return body


def continued(question: Question, answer: str) -> tuple[Item, ...]:
    """Return the conversation with the question and its answer."""
    return (*question.past, message(question), {"role": "assistant", "content": answer})


def events_of(told: Mapping[str, Any]) -> Iterable[Event]:
    """Return what an event of a response's stream stands for.

    Raises:
        RelayError: The response has failed.
    """
    match told:
        case {"type": "response.output_text.delta" | "response.refusal.delta", "delta": str(piece)}:
            return (TextDelta(piece),)
        case {"type": "response.reasoning_summary_text.delta", "delta": str(piece)}:
            return (ThinkingDelta(piece),)
        case {"type": "response.output_item.added", "item": {"type": "mcp_call", "name": str(tool)}}:
            return (ToolActivity(tool),)
        case {"type": "response.completed"}:
            return (_end("end"),)
        case {"type": "response.incomplete"}:
            return (_end("length"),)
        case {"type": "error", "message": str(text)}:
            raise UpstreamError(text)
    return ()


def refusal(status: int, told: object) -> RelayError:
    """Return the error of a response that is none."""
    match told:
        case {"error": {"message": str(text)}}:
            return UpstreamError(text)
    return UpstreamError(f"The relay answered with status {status}.")


def _end(stop: StopReason) -> RunEnd:
    return RunEnd(stop, Usage())
