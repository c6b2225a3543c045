"""Reasoning travels as a text that carries all of it, and nothing else is taken for one."""

import base64

import msgspec
import pytest

from claude_relay.engine.vocabulary import RedactedThinking, Thinking, ThinkingBlock
from claude_relay.responses.signed_thinking import packed, unpacked

PREFIX = "claude-relay-1:"


def as_text(content: bytes) -> str:
    return PREFIX + base64.b64encode(content).decode()


@pytest.mark.parametrize(
    "block",
    [
        Thinking("Let me see.", "EqQBCkYI+/=="),
        Thinking("", "U1"),
        Thinking("\u2028 \U0001f600\x00", "U1"),
        RedactedThinking("ZGF0YQ=="),
    ],
)
def test_a_block_comes_back_as_it_was(block: ThinkingBlock) -> None:
    assert unpacked(packed(block)) == block
    assert packed(block).isascii()


@pytest.mark.parametrize(
    "given",
    [
        None,
        5,
        ["x"],
        "",
        "gAAAAABo",
        PREFIX,
        PREFIX + "no base64!",
        PREFIX + "\u00e9",
        packed(Thinking("a", "U1"))[:-5],
        as_text(b"{}"),
        as_text(b"[]"),
        as_text(b"\xff"),
        as_text(b'{"thinking":"unsigned"}'),
        as_text(b'{"thinking":5,"signature":"U1"}'),
        as_text(b'{"x":' * 100_000),
        msgspec.json.encode({"thinking": "a", "signature": "U1"}).decode(),
    ],
    ids=range(16),
)
def test_what_is_not_ours_is_no_block(given: object) -> None:
    assert unpacked(given) is None
