"""What a request may hold, and that looking at it takes time in proportion to its size."""

import time
from typing import Any

import msgspec
import pytest

from claude_relay.chat import limits, outbound, parameters
from claude_relay.chat.arguments import InputText
from claude_relay.chat.schemas import ChatCompletionRequest
from claude_relay.engine.vocabulary import TextDelta
from claude_relay.errors import InvalidRequestError
from claude_relay.web.dto import decode
from tests.unit.chat.bodies import HELLO, understood

_requests = msgspec.json.Decoder(ChatCompletionRequest)
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
    body = msgspec.json.encode({"messages": HELLO, **fields})
    with pytest.raises(InvalidRequestError) as raised:
        limits.unknown_fields(body, parameters.KNOWN)
        limits.require_few(decode(_requests, body))
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


@pytest.mark.parametrize(("stop", "param"), [("x" * 1001, "stop"), (["a", "x" * 1001], "stop[1]")])
def test_stop_sequences_have_an_end(stop: object, param: str) -> None:
    error = refused(stop=stop)

    assert (error.param, error.code) == (param, "string_above_max_length")


@pytest.mark.parametrize(
    ("fields", "param", "what"),
    [
        ({f"f{n}": 1 for n in range(1_001)}, None, "1000 unknown parameters"),
        ({f"f{n}": 1 for n in range(200_000)}, None, "150000 keys"),
        ({"metadata": {f"k{n}": "v" for n in range(200_000)}}, None, "150000 keys"),
        ({"logit_bias": {str(n): 1 for n in range(200_000)}}, None, "150000 keys"),
        ({"metadata": {"a": [1] * 300_002}}, "metadata", "300000 values"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 60_000}]}, None, "50000 parts"),
    ],
    ids=["unknown", "many unknown", "metadata", "logit_bias", "numbers", "parts"],
)
def test_a_body_with_too_much_in_it_is_not_read(fields: dict[str, Any], param: str | None, what: str) -> None:
    error = refused(**fields)

    assert (error.param, error.code) == (param, "request_too_complex")
    assert what in error.message


def test_text_is_not_counted_whatever_stands_in_it() -> None:
    text = '{"role": "user", "type": 1, "a":1, "b":2}' * 60_000
    body = msgspec.json.encode({"messages": [{"role": "user", "content": text}]})

    assert limits.unknown_fields(body, parameters.KNOWN) == frozenset()


LINEAR: dict[str, Any] = {
    "messages in a row": lambda size: {"messages": [USER] * (2_000 * size)},
    "parts": lambda size: {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * (4_000 * size)}]},
    "tools": lambda size: {"tools": functions(100 * size)},
    "calls": lambda size: {"messages": calls(100 * size)},
    "blanks in base64": lambda size: {"messages": image("data:image/png;base64," + " " * (2_000_000 * size) + "AAAA")},
    "escapes": lambda size: {"messages": image("data:image/png," + "%41" * (10_000 * size))},
}


@pytest.mark.parametrize("make", LINEAR.values(), ids=LINEAR.keys())
def test_ten_times_as_much_takes_some_ten_times_as_long(make: Any) -> None:
    def seconds(size: int) -> float:
        fields = make(size)
        began = time.process_time()
        understood(**fields)
        return time.process_time() - began

    seconds(1)
    least = min(seconds(1) for _ in range(3))
    assert seconds(10) < 60 * least + 0.05


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

    said = "".join(map(reader.feed, pieces)) + reader.rest()

    assert said == told
    assert time.process_time() - began < 2


def test_blanks_before_a_structured_answer_are_not_looked_at_again_and_again() -> None:
    progress = outbound._Progress(outbound.Presentation("chatcmpl-1", 0, "sonnet", structured=True))
    began = time.process_time()

    deltas = [delta for _ in range(50_000) for delta in progress.deltas(TextDelta("    "))]
    deltas += progress.deltas(TextDelta('{"a":1}'))

    assert "".join(str(delta.content) for delta in deltas) == "    " * 50_000 + '{"a":1}'
    assert time.process_time() - began < 2
