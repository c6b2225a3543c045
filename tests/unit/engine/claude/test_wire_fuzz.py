"""Whatever a CLI prints, it is a line or it is none; whatever is written to it is one line."""

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_relay.engine.claude import outgoing, wire
from tests.unit.captures import NAMES, raw_lines

pytestmark = pytest.mark.slow

LINES = sorted({line for name in NAMES for line in raw_lines(name)}, key=len)
BOUNDED = settings(max_examples=300, deadline=None, derandomize=True, database=None)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
# texts that UTF-8 can carry; what else a client sends is refused or mended before it comes here
TEXT = st.text(st.characters(codec="utf-8"))
SENT = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
OBJECT = st.dictionaries(TEXT, SENT, max_size=4)


def assert_a_line_or_none(raw: bytes) -> None:
    try:
        line = wire.decode(raw)
    except msgspec.DecodeError:
        return
    assert isinstance(line, get_args(wire.Line))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A recorded line in which some bytes were changed, lost, doubled or cut off."""
    line = bytearray(draw(st.sampled_from(LINES)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(line)))
        size = draw(st.integers(0, 20))
        line[at : at + size] = draw(
            st.binary(max_size=8) | st.sampled_from([b"", b"null", b'"', b"{", b"}", b"[]", b"-1"])
        )
    return bytes(line)


@st.composite
def rewritten(draw: st.DrawFn) -> bytes:
    """A recorded line that is still JSON, but holds something else somewhere."""
    value = json.loads(draw(st.sampled_from(LINES)))
    holder: Any = value
    while True:
        key: Any = draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
        if not (isinstance(holder[key], dict | list) and holder[key]) or draw(st.booleans()):
            break
        holder = holder[key]
    holder[key] = draw(JSON)
    return json.dumps(value).encode("utf-8", "surrogatepass")


@BOUNDED
@given(st.binary(max_size=400))
def test_any_bytes_are_a_line_or_none(raw: bytes) -> None:
    assert_a_line_or_none(raw)


@BOUNDED
@given(JSON)
def test_any_json_is_a_line_or_none(value: Any) -> None:
    assert_a_line_or_none(json.dumps(value).encode("utf-8", "surrogatepass"))


@BOUNDED
@given(damaged())
def test_a_damaged_line_is_a_line_or_none(raw: bytes) -> None:
    assert_a_line_or_none(raw)


@BOUNDED
@given(rewritten())
def test_a_line_with_something_else_in_it_is_a_line_or_none(raw: bytes) -> None:
    assert_a_line_or_none(raw)


def test_what_was_recorded_is_known_to_the_last_line() -> None:
    kinds = {type(wire.decode(line)) for line in LINES}

    assert {wire.StreamEvent, wire.Assistant, wire.Result, wire.System} <= kinds


@BOUNDED
@given(TEXT, OBJECT, st.booleans())
def test_each_thing_that_is_written_is_one_line_and_one_object(text: str, fields: dict[str, Any], flag: bool) -> None:
    content = [{"type": "text", "text": text}]
    lines: list[outgoing.Line] = [
        outgoing.user(content, asks=flag, client_composed=flag),
        outgoing.assistant(content, text),
        outgoing.control(text, "initialize", fields=fields),
        outgoing.answer(text, fields),
        outgoing.refusal(text, text),
        outgoing.boundary(),
    ]

    written = outgoing.encode(lines)

    assert written.endswith(b"\n")
    objects = [json.loads(line) for line in written[:-1].split(b"\n")]
    assert [type(one) for one in objects] == [dict] * len(lines)
    assert objects[0]["message"]["content"][0]["text"] == text
    assert objects[2]["request"]["fields"] == fields
