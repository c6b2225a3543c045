"""What a request may hold, and that looking at it takes time in proportion to its size."""

import time
from typing import Any

import msgspec
import pytest

from claude_relay.chat import inbound, outbound
from claude_relay.chat.controller import read
from claude_relay.engine.custom_tools import InputText
from claude_relay.engine.vocabulary import TextDelta
from claude_relay.errors import InvalidRequestError
from claude_relay.settings import Settings
from claude_relay.web import body_limits
from tests.unit.chat.bodies import CALLER, HELLO

GIF = "R0lGODlhQUFBQUFB"
"""The beginning of an image."""
USER = {"role": "user", "content": "hi"}


def calls(number: int) -> list[dict[str, Any]]:
    made = [{"id": f"c{n}", "type": "function", "function": {"name": "t", "arguments": "{}"}} for n in range(number)]
    results = [{"role": "tool", "tool_call_id": f"c{n}", "content": "r"} for n in range(number)]
    return [USER, {"role": "assistant", "tool_calls": made}, *results]


def functions(number: int) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": f"t{n}"}} for n in range(number)]


def allowed(number: int) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": f"t{n % 9}"}} for n in range(number)]
    return {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": tools}}


def image(data: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": data}}]}]


def refused(**fields: Any) -> InvalidRequestError:
    return refusal(msgspec.json.encode({"messages": HELLO, **fields}))


def refusal(body: bytes) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as raised:
        read(body)
    return raised.value


@pytest.mark.parametrize(
    ("fields", "param", "found"),
    [
        ({"stop": ["x"] * 65}, "stop", 65),
        ({"tools": functions(1025)}, "tools", 1025),
        ({"functions": [{"name": f"t{n}"} for n in range(1025)]}, "functions", 1025),
        ({"tools": functions(9), "tool_choice": allowed(1025)}, "tool_choice.allowed_tools.tools", 1025),
        ({"messages": [USER] * 20_001}, "messages", 20_001),
        ({"messages": calls(1025)}, "messages[1].tool_calls", 1025),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_lists_have_an_end_in_openais_words(fields: dict[str, Any], param: str, found: int) -> None:
    error = refused(**fields)

    assert (error.param, error.code) == (param, "array_above_max_length")
    assert error.message.startswith(f"Invalid '{param}': array too long. Expected an array with maximum length ")
    assert error.message.endswith(f", but got an array with length {found} instead.")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stop": "x" * 1001}, "stop"),
        ({"stop": ["a", "x" * 1001]}, "stop[1]"),
        # each chunk of an answer tells it
        ({"model": "x" * 5001}, "model"),
    ],
)
def test_texts_have_an_end_in_openais_words(fields: dict[str, Any], param: str) -> None:
    error = refused(**fields)

    assert (error.param, error.code) == (param, "string_above_max_length")
    assert error.message.startswith(f"Invalid '{param}': string too long. Expected a string with maximum length ")


def asked(fields: bytes = b"", message: bytes = b"", content: bytes = b'"hi"') -> bytes:
    return b'{"messages":[{"role":"user"%b,"content":%b}]%b}' % (message, content, fields)


MANY = 110_000
TOO_MUCH = {
    "fields": asked(b"".join(b',"f%d":1' % n for n in range(MANY))),
    "fields, with spaces": asked(b"".join(b',"f%d" : 1' % n for n in range(MANY))),
    "labels": asked(b',"metadata":{%b"z":1}' % b"".join(b'"k%d" :"v",' % n for n in range(MANY))),
    "numbers": asked(b',"logit_bias":{"a":[%b1]}' % (b"1," * MANY)),
    "lists": asked(b',"nobody_knows":[%b1]' % (b"[]," * MANY)),
    "levels": asked(b',"nobody_knows":%b' % (b"[" * MANY)),
    "objects in a message": asked(message=b',"x":[%b1]' % (b"{}," * MANY)),
    "lists in sound": asked(content=b'[{"type":"input_audio","input_audio":{"a":[%b1]}}]' % (b"[]," * MANY)),
    "parts": asked(content=b'[%b{"type":"text","text":"x"}]' % (b'{"\\u0074ype":"text","text":"x"},' * MANY)),
    "messages": b'{"messages":[%b{"role":"user"}]}' % (b'{"\\u0072ole" :"user"},' * MANY),
}


@pytest.mark.slow
@pytest.mark.parametrize("body", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_a_body_with_too_much_in_it_is_not_read_however_it_is_written(body: bytes) -> None:
    error = refusal(body)

    assert (error.code, error.param) == ("request_too_complex", None)
    assert f"{body_limits.MOST_VALUES:,} values" in error.message


def test_there_is_an_end_of_parameters_that_are_none() -> None:
    error = refused(**{f"f{n}": 1 for n in range(body_limits.MOST_UNKNOWN + 1)})

    assert (error.code, error.param) == ("request_too_complex", None)


@pytest.mark.parametrize("calls_", [1, 10])
def test_arguments_of_past_calls_have_an_end_together(calls_: int) -> None:
    arguments = '{"a":[%s1]}' % ("{}," * (60_000 // calls_))
    made = [
        {"id": f"c{n}", "type": "function", "function": {"name": "t", "arguments": arguments}} for n in range(calls_)
    ]

    error = refused(messages=[USER, {"role": "assistant", "tool_calls": made}])

    assert (error.code, error.param) == ("request_too_complex", "messages")


TEXTS = {
    "JSON": '{"role": "user", "type": 1, "a":1, "b":2}' * 60_000,
    "commas": "1,2,3\n" * 300_000,
    "quotation marks": '",' * 300_000,
    "backslashes": "\\" * 2_000_001,
    "backslashes and quotation marks": '\\",[\\\\",' * 200_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_text_is_not_counted_whatever_stands_in_it(text: str) -> None:
    body = msgspec.json.encode({"messages": [{"role": "user", "content": text}]})

    assert read(body).request.messages[0].content == text
    assert b"".join(body_limits.outside_of_texts(body)) == b"{:[{:,:}]}"


@pytest.mark.parametrize("piece", range(1, 12))
def test_texts_are_left_out_wherever_the_pieces_of_a_body_end(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limits, "_PIECE", piece)
    body = rb'{"a\\":[1,"x,\",[",{"b":"\\\\"},"\\\",{"],"c":2}'

    assert b"".join(body_limits.outside_of_texts(body)) == b"{:[1,,{:},],:2}"


@pytest.mark.parametrize("number", ["%s", "0.%s", "1e-%s"])
@pytest.mark.parametrize("piece", [64, 1 << 20])
def test_numbers_have_an_end_in_bodies_that_are_large(number: str, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limits, "_PIECE", piece)
    longest, too_long = (f',"x":[{number % ("9081726354" * 13)[:size]}]'.encode() for size in (128, 129))
    padding = b',"y":"%b"' % (b"1" * body_limits.LARGE)

    error = refusal(asked(too_long + padding))
    read(asked(longest + padding))
    read(asked(too_long))

    assert (error.code, error.param) == ("request_too_complex", None)
    assert "128 digits in a number" in error.message


def test_numbers_have_an_end_in_the_arguments_of_past_calls() -> None:
    arguments = '{"a":[%s1]}' % (("9" * 129 + ",") * 1_000)
    made = [{"id": "c", "type": "function", "function": {"name": "t", "arguments": arguments}}]

    error = refused(messages=[USER, {"role": "assistant", "tool_calls": made}])

    assert (error.code, error.param) == ("request_too_complex", "messages")


LINEAR: dict[str, Any] = {
    "messages in a row": lambda size: {"messages": [USER] * (2_000 * size)},
    "parts": lambda size: {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * (3_000 * size)}]},
    "tools": lambda size: {"tools": functions(100 * size)},
    "calls": lambda size: {"messages": calls(100 * size)},
    "blanks in base64": lambda size: {"messages": image("data:image/png;base64," + " " * (2_000_000 * size) + GIF)},
    "escapes": lambda size: {"messages": image("data:,GIF89a" + "%41" * (10_000 * size))},
}


@pytest.mark.slow
@pytest.mark.parametrize("make", LINEAR.values(), ids=LINEAR.keys())
def test_ten_times_as_much_takes_some_ten_times_as_long(make: Any) -> None:
    def seconds(size: int) -> float:
        body = msgspec.json.encode({"messages": HELLO, **make(size)})
        began = time.process_time()
        inbound.to_question(read(body), Settings(), CALLER)
        return time.process_time() - began

    # a collection of garbage may be in one run, and not in all
    little, much = (min(seconds(size) for _ in range(3)) for size in (1, 10))
    assert much < 60 * little + 0.05


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        (["    "] * 50_000, "    " * 50_000),
        (['{"other":"', *["abcd"] * 50_000], '{"other":"' + "abcd" * 50_000),
        (['{"input":"a" ', *["abcd"] * 50_000], "a"),
    ],
    ids=["blanks", "another argument", "after its end"],
)
def test_arguments_that_are_no_text_are_not_looked_at_again_and_again(pieces: list[str], told: str) -> None:
    reader = InputText()
    began = time.process_time()

    said = "".join(map(reader.feed, pieces)) + reader.flush()

    assert said == told
    assert time.process_time() - began < 2


def test_blanks_before_a_structured_answer_are_not_looked_at_again_and_again() -> None:
    progress = outbound._Progress(outbound.RenderOptions("chatcmpl-1", 0, "sonnet", structured=True))
    began = time.process_time()

    deltas = [delta for _ in range(50_000) for delta in progress.deltas(TextDelta("    "))]
    deltas += progress.deltas(TextDelta('{"a":1}'))

    assert "".join(str(delta.content) for delta in deltas) == "    " * 50_000 + '{"a":1}'
    assert time.process_time() - began < 2
