"""What a request refers to takes its place, and what is kept of a request can be shown and read again."""

import json
from typing import Any

import pytest

from claude_relay.engine.vocabulary import Image, Text, ToolCall, Turn
from claude_relay.errors import RelayError
from claude_relay.responses import limits, state
from claude_relay.responses.state import Stored, expanded
from tests.pictures import data_url, png
from tests.unit.responses.bodies import asked, refusal, request

CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
IMAGE = data_url(png())
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "1"}


def stored(*history: dict[str, Any], **items: dict[str, Any]) -> Stored:
    encoded = {name: json.dumps(item).encode() for name, item in items.items()}
    return Stored("00", tuple(json.dumps(item).encode() for item in history), encoded)


def kept(**fields: Any) -> list[dict[str, Any]]:
    """Return the items of a request as they are kept."""
    found = [(item.id, json.loads(item.body)) for item in expanded(request(**fields), Stored("00")).inputs]
    assert [item_id for item_id, _ in found] == [body["id"] for _, body in found]
    return [body for _, body in found]


@pytest.mark.parametrize(
    "given",
    [
        "Hello",
        " ",
        [{"role": "user", "content": "Hello"}],
        [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "?"}],
        [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}, {"role": "user", "content": "?"}],
        [{"role": "user", "content": [{"type": "input_image", "image_url": IMAGE}]}],
        [{"role": "user", "content": "?"}, CALL, OUTPUT, {"type": "reasoning", "summary": []}],
        [{"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"}, {**OUTPUT, "output": []}],
    ],
)
def test_what_is_kept_says_the_same_as_what_was_sent(given: Any) -> None:
    history = tuple(item.body for item in expanded(request(input=given), Stored("00")).inputs)

    assert asked(None, Stored("00", history), input=None).run == asked(input=given).run


def test_items_are_kept_with_an_id_a_type_and_parts() -> None:
    assert kept(input="Hi") == [
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Hi"}],
            "id": "msg_000000",
        }
    ]
    said, call = kept(input=[{"role": "assistant", "content": "Hi"}, {**CALL, "id": "fc_mine"}])
    assert said["content"] == [{"type": "output_text", "text": "Hi", "annotations": []}]
    assert call == {**CALL, "id": "fc_mine"}
    assert kept(input=None) == kept(input="") == kept(input=[]) == kept(input="Hi", store=False) == []


def test_what_came_before_stands_before_the_request_and_is_not_kept_with_it_again() -> None:
    found = expanded(request(input="two"), stored({"role": "user", "content": "one"}))

    assert isinstance(found.request.input, list)
    assert [item["content"] for item in found.request.input] == ["one", "two"]
    assert (found.earlier, len(found.inputs)) == (1, 1)


def test_calls_that_were_kept_are_called_by_the_request_too() -> None:
    run = asked(None, stored(CALL), model="sonnet", input=[OUTPUT]).run

    assert run.turns[1] == Turn("assistant", (ToolCall("c", "f", {}),))


def test_a_call_that_was_cut_off_is_not_told() -> None:
    cut_off = {**CALL, "status": "incomplete"}
    text = {"type": "message", "role": "assistant", "status": "incomplete", "content": "a"}

    run = asked(None, stored(text, cut_off), input="Go on.").run

    assert run.turns[1:] == (Turn("assistant", (Text("a"),)), Turn("user", (Text("Go on."),)))


def test_an_image_that_was_kept_is_shown_again() -> None:
    (image,) = kept(input=[{"role": "user", "content": [{"type": "input_image", "image_url": IMAGE}]}])

    (turn,) = asked(None, stored(image=image), input=[{"type": "item_reference", "id": "image"}]).run.turns
    assert isinstance(turn.content[0], Image)


@pytest.mark.parametrize("reference", [{"type": "item_reference", "id": "a"}, {"id": "a"}, {"type": None, "id": "a"}])
def test_a_reference_of_any_form_stands_for_its_item(reference: dict[str, Any]) -> None:
    given = request(input=[{"role": "user", "content": "?"}, reference, {"id": "b", "role": "user", "content": "!"}])

    assert state.references(given.input) == ["a"]
    found = expanded(given, stored(a={"role": "assistant", "content": "A"})).request.input
    assert isinstance(found, list)
    assert [item["content"] for item in found] == ["?", "A", "!"]


@pytest.mark.parametrize(
    ("given", "status", "param"),
    [
        ([{"role": "user", "content": "?"}, {"type": "item_reference", "id": "x"}], 404, "input[1].id"),
        ([{"type": "item_reference", "id": 5}], 400, "input[0].id"),
        ([{"type": "item_reference"}], 400, "input[0].id"),
        ([{**OUTPUT, "call_id": "z"}], 400, "input[0].call_id"),
        ([{"type": "additional_tools", "tools": 1}], 400, "input[0].tools"),
    ],
)
def test_an_error_names_the_place_in_the_request_itself(given: Any, status: int, param: str) -> None:
    before = stored({"role": "user", "content": "one"}, {"role": "assistant", "content": "two"})

    error = refusal(None, before, input=given)

    assert (error.status, error.param) == (status, param)


def test_a_call_that_was_kept_and_has_no_output_is_refused_in_openais_words() -> None:
    assert refusal(None, stored(CALL), input="And?").message == "No tool output found for function call c."


def test_what_came_before_counts_for_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_ITEMS", 2)
    history = [{"role": "user", "content": "x"}] * 2

    assert expanded(request(input=None), stored(*history)).earlier == 2
    with pytest.raises(RelayError, match="array too long"):
        expanded(request(input="x"), stored(*history))


def test_a_response_is_kept_for_whole_days() -> None:
    day = 86400.0
    assert state.expiry(0.0, 30) == state.expiry(day - 1, 30) == 31 * day
    assert state.expiry(day, 1) == 3 * day


@pytest.mark.parametrize(
    ("text", "answer"), [("a", True), ("", False), ("ü", False), ("\n", False), ("x" * 201, False)]
)
def test_ids_are_short_and_plain(text: str, answer: bool) -> None:
    assert state.is_id(text) is answer
