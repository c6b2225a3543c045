"""A conversation into a session: which lines to write, and when to wait. Pure plans; ``session`` carries them out."""

from typing import Any

from claude_relay.engine.claude import wire
from claude_relay.engine.vocabulary import RunRequest, Text, Turn

Batch = tuple[wire.Outgoing, ...]
"""Lines that may be written at once."""


def native(request: RunRequest, *, client_composed: bool) -> tuple[Batch, ...]:
    """Hand a conversation over as real turns, so that the CLI composes the request.

    The CLI queues a user's turn but takes an assistant's turn at once: each batch must have been answered with a
    ``result`` before the next one is written. The last batch asks.

    Args:
        request: The conversation.
        client_composed: Whether the CLI takes lines marked as plain text.
    """
    last = len(request.turns) - 1
    batches: list[list[wire.Outgoing]] = [[]]
    for index, turn in enumerate(request.turns):
        if turn.role == "assistant":
            batches.append([wire.assistant(_blocks(turn), request.model)])
        else:
            content = _blocks(turn) if client_composed else _guarded(_blocks(turn))
            batches[-1].append(wire.user(content, asks=index == last, client_composed=client_composed))
    return tuple(map(tuple, batches))


def _blocks(turn: Turn) -> list[dict[str, Any]]:
    return [_block(piece) for piece in turn.content]


def _block(piece: Text) -> dict[str, Any]:
    return {"type": "text", "text": piece.text}


def _guarded(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep an older CLI from running the last text as a command of its own."""
    *before, last = blocks
    if last["text"].startswith("/"):
        last = {**last, "text": " " + last["text"]}
    return [*before, last]
