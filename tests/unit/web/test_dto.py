"""Bodies are read strictly, and what is wrong with one is told by the parameter's name."""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import pytest
from litestar import post
from litestar.params import JSONBody
from litestar.testing import TestClient, create_test_client
from msgspec import Meta, Struct

from claude_relay.engine import surrogates
from claude_relay.errors import InvalidRequestError
from claude_relay.web import errors
from claude_relay.web.controller import WireController
from claude_relay.web.dto import decode, lenient


class Words(Struct, tag_field="type", tag="text"):
    text: str


class Picture(Struct, tag_field="type", tag="image"):
    url: str


class Message(Struct):
    content: str | list[Words | Picture]


class Order(Struct):
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool = False
    limits: dict[str, int] = {}
    extra: Any = None


DECODER = msgspec.json.Decoder(Order)


def refused(body: bytes | object) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as raised:
        decode(DECODER, body if isinstance(body, bytes) else json.dumps(body).encode())
    return raised.value


def order(**fields: object) -> dict[str, object]:
    return {"messages": [{"content": "hi"}], **fields}


def test_a_good_body_becomes_the_struct_as_it_is_declared() -> None:
    body = order(messages=[{"content": [{"type": "text", "text": "a"}, {"type": "image", "url": "b"}]}], stream=True)

    assert decode(DECODER, json.dumps(body).encode()) == Order([Message([Words("a"), Picture("b")])], stream=True)


def test_parameters_that_nobody_knows_are_passed_over() -> None:
    assert decode(DECODER, json.dumps(order(new_thing={"a": [1]})).encode()) == Order([Message("hi")])


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (order(stream="true"), "stream"),
        (order(stream=1), "stream"),
        (order(messages=[]), "messages"),
        (order(messages="hi"), "messages"),
        (order(messages=[{"content": 5}]), "messages[0].content"),
        (order(messages=[{"content": "a"}, {"content": None}]), "messages[1].content"),
        (order(messages=[{"content": [{"type": "sound"}]}]), "messages[0].content[0].type"),
        (order(messages=[{"content": [{"type": "text", "text": ["a"]}]}]), "messages[0].content[0].text"),
        (order(limits={"a": "many"}), "limits[...]"),
    ],
)
def test_a_bad_value_is_told_by_its_path(body: object, param: str) -> None:
    error = refused(body)

    assert (error.param, error.code) == (param, "invalid_value")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        (order(messages=[{}]), "messages[0].content"),
        (order(messages=[{"content": [{"type": "text"}]}]), "messages[0].content[0].text"),
        (order(messages=[{"content": [{"text": "a"}]}]), "messages[0].content[0].type"),
    ],
)
def test_a_missing_value_is_told_by_its_path(body: object, param: str) -> None:
    error = refused(body)

    assert (error.param, error.code) == (param, "missing_required_parameter")
    assert error.message == f"Missing required parameter: '{param}'."


@pytest.mark.parametrize("body", [[], "hi", 5, None, True])
def test_a_body_that_is_no_object_has_no_parameter_at_fault(body: object) -> None:
    error = refused(body)

    assert (error.param, error.code) == (None, "invalid_value")
    assert error.message.startswith("Invalid type for the body: expected an object, but got ")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" \n", id="blank"),
        pytest.param(b'{"messages": [{"content": "h', id="truncated"),
        pytest.param(b'{"messages": [{"content": "hi"}]} trailing', id="trailing"),
        pytest.param(b"{'messages': []}", id="single quotes"),
        pytest.param(b'{"messages": [{"content": "\xff\xfe"}]}', id="invalid UTF-8"),
        pytest.param(b'{"extra": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="100,000 nested brackets"),
        pytest.param(b'{"unknown": ' + b"[" * 100_000, id="100,000 open brackets"),
        pytest.param(b'{"extra": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, id="100,000 nested objects"),
        pytest.param(b'{"extra": NaN}', id="NaN"),
    ],
)
def test_a_body_that_is_no_json_is_refused_as_such(body: bytes) -> None:
    error = refused(body)

    assert (error.status, error.param, error.code) == (400, None, "invalid_json")
    assert error.message.startswith("We could not parse the JSON body of your request: ")


def test_a_value_that_looks_like_a_path_is_not_taken_for_one() -> None:
    body = order(messages=[{"content": [{"type": "x - at `$.model`"}]}])

    assert refused(body).param == "messages[0].content[0].type"


# --- inside an application -------------------------------------------------------------------------------------------


class Bill(Struct):
    amount: int


class Shop(WireController):
    path = "/shop"

    @post("/order", status_code=200)
    async def take(self, data: JSONBody[Order]) -> Order:
        return data

    @post("/bill", status_code=200)
    async def send(self, data: JSONBody[Bill]) -> Bill:
        return data


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Any]]:
    with create_test_client([Shop], exception_handlers={Exception: errors.respond}) as opened:
        yield opened


def test_each_handler_reads_its_own_kind_of_body(client: TestClient[Any]) -> None:
    assert client.post("/shop/bill", json={"amount": 3}).json() == {"amount": 3}
    assert client.post("/shop/order", json=order()).json()["messages"] == [{"content": "hi"}]
    assert client.post("/shop/bill", json=order()).json()["error"]["param"] == "amount"


def test_a_bad_body_is_answered_with_400_and_its_parameter(client: TestClient[Any]) -> None:
    answer = client.post("/shop/order", json=order(stream="true"))

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "stream"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_is_read_as_json_whatever_it_calls_itself(client: TestClient[Any], content_type: str) -> None:
    answer = client.post("/shop/bill", content=b'{"amount": 3}', headers={"content-type": content_type})

    assert answer.json() == {"amount": 3}


def test_an_empty_body_is_answered_with_400(client: TestClient[Any]) -> None:
    answer = client.post("/shop/bill")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_json"


def test_structs_keep_their_names_and_unions_in_the_schema(client: TestClient[Any]) -> None:
    schemas = client.app.openapi_schema.to_schema()["components"]["schemas"]

    assert {"Order", "Message", "Words", "Picture", "Bill"} <= set(schemas)
    assert schemas["Words"]["properties"]["type"]["const"] == "text"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (rb"a\ud83d", "a\ufffd"),
        (rb"\ude00a", "\ufffda"),
        (rb"\uD83D\uDE00", "😀"),
        (rb"\ud83d\ude00\ude00", "😀\ufffd"),
        (rb"\ud83d\ud83d\ude00", "\ufffd😀"),
        (rb"\\\ud83d\\ud83d", "\\\ufffd\\ud83d"),
    ],
)
def test_lone_surrogates_are_what_clients_make_by_cutting_texts(text: bytes, read: str) -> None:
    assert lenient(msgspec.json.Decoder(str), b'"' + text + b'"') == read


LONG = {
    "no JSON": b'"' + b"x" * 4_000_000,
    "escapes that are no JSON": b'"' + rb"\u0041" * 600_000,
    "pairs and a half": b'"' + rb"\ud83d\ude00" * 300_000 + rb'\ud83d"',
    "backslashes and a half": b'"' + rb"\\" * 2_000_000 + rb'\ud83d"',
}


@pytest.mark.parametrize("body", LONG.values(), ids=LONG.keys())
def test_lone_surrogates_are_looked_for_once(body: bytes) -> None:
    began = time.process_time()
    with contextlib.suppress(msgspec.DecodeError):
        assert lenient(msgspec.json.Decoder(str), body).endswith("\ufffd")

    assert time.process_time() - began < 0.25


@pytest.mark.parametrize("step", range(1, 15))
def test_lone_surrogates_are_found_wherever_the_search_pauses(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogates, "_STEP", step)
    text = rb'"\ud83d\ude00\\ud83da\\\ud83db\ud83d"'

    assert lenient(msgspec.json.Decoder(str), text) == "😀\\ud83da\\\ufffdb\ufffd"


@pytest.mark.parametrize("bad", [b'"\\ud83d', b'"\\ud83d" x', b'"' + rb"\ud83d" * 1001 + b'"', b"", b'"\\x"'])
def test_what_is_no_json_in_spite_of_that_stays_none(bad: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        lenient(msgspec.json.Decoder(str), bad)
