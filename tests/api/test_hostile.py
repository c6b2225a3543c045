"""Whatever is sent, the answer is the client's fault or an answer, never the relay's mistake and never its end."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.settings import Settings
from claude_relay.web import protocol
from claude_relay.web.framing import LONGEST_HEAD
from tests.api.conftest import Client
from tests.api.sockets import answer, connected, head, listening
from tests.serving import Place

MEGABYTE = 1024 * 1024
HELLO = b'{"messages":[{"role":"user","content":"hi"}]}'


def body(content: bytes = b'"hi"', fields: bytes = b"") -> bytes:
    """Return a request around raw JSON."""
    return b'{"messages":[{"role":"user","content":%b}]%b}' % (content, fields)


def post(client: Client, content: bytes) -> httpx.Response:
    return client.post("/v1/chat/completions", content=content, headers={"content-type": "application/json"})


def assert_error(response: httpx.Response, status: int = 400) -> dict[str, str | None]:
    assert response.status_code == status, response.text[:200]
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    error: dict[str, str | None] = response.json()["error"]
    return error


# --- what is no request ----------------------------------------------------------------------------------------------

NO_JSON = {
    "nothing": b"",
    "a word": b"hello",
    "a form": b"messages=hi",
    "open": HELLO[:-1],
    "two": HELLO + HELLO,
    "NUL": b"\0",
    "NULs": b"\0" * MEGABYTE,
    "bad UTF-8": body(b'"\xff\xfe"'),
    "half a character in UTF-8": body(b'"\xed\xa0\x80"'),
    "overlong UTF-8": body(b'"\xc0\xaf"'),
    "UTF-16": HELLO.decode().encode("utf-16"),
    "two marks before it": b"\xef\xbb\xbf" * 2 + HELLO,
    "a raw line break in a text": body(b'"a\nb"'),
    "deep lists": b"[" * 500_000,
    "deep objects": b'{"a":' * 200_000,
    "deep content": body(b"[" * 100_000 + b"]" * 100_000),
    "deep unknown field": body(fields=b',"x":' + b"[" * 100_000 + b"]" * 100_000),
    "deep schema": body(
        fields=b',"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":'
        + b'{"items":' * 50_000
        + b"{}"
        + b"}" * 50_000
        + b"}}"
    ),
    "a list": b"[" + HELLO + b"]",
    "a number": b"1" * 5000,
    "infinity": body(fields=b',"temperature":Infinity'),
    "not a number": body(fields=b',"temperature":NaN'),
    "1e999": body(fields=b',"temperature":1e999'),
    "-1e999": body(fields=b',"top_p":-1e999'),
    "10**5000": body(fields=b',"max_tokens":1' + b"0" * 5000),
    "10**5000 as seed": body(fields=b',"seed":1' + b"0" * 5000),
    "10**5000 in a tool": body(
        fields=b',"tools":[{"type":"function","function":{"name":"f","parameters":{"x":1' + b"0" * 5000 + b"}}}]"
    ),
    "negative": body(fields=b',"max_tokens":-1'),
    "too many answers": body(fields=b',"n":1000000'),
    "no messages": b'{"messages":[]}',
    "a bad tool name": body(fields=b',"tools":[{"type":"function","function":{"name":"a b\\u0000"}}]'),
    "a schema that refers to a file": body(
        fields=b',"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":'
        b'{"$ref":"file:///etc/passwd"}}}'
    ),
    "a schema that refers to the network": body(
        fields=b',"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":'
        b'{"$ref":"http://169.254.169.254/"}}}'
    ),
}


@pytest.mark.parametrize("content", NO_JSON.values(), ids=NO_JSON.keys())
def test_what_cannot_be_served_is_a_400_that_says_so_briefly(client: Client, content: bytes) -> None:
    error = assert_error(post(client, content))

    assert len(error["message"] or "") < 1000
    assert post(client, HELLO).status_code == 200


def schema_asked(schema: object) -> bytes:
    """Return a request for an answer in a form."""
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    return json.dumps({"messages": [{"role": "user", "content": "hi"}], "response_format": form}).encode()


def chained(length: int, keyword: str) -> dict[str, Any]:
    """Return a schema whose definitions refer each twice to the next."""
    definitions = {f"d{i}": {keyword: [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{length}": {"type": "string"}}}


NO_SCHEMA: dict[str, tuple[dict[str, Any], str]] = {
    "5,001 properties": ({"properties": {f"p{i}": {} for i in range(5_001)}}, "5,000 properties"),
    "5,001 enum values": ({"enum": list(range(5_001))}, "5,000 enum values"),
    "long names": ({"properties": {"p" * 120_001: {}}}, "120,000 characters"),
    "references that double in allOf": (chained(300, "allOf"), "100,000 schemas"),
    "references that double in anyOf": (chained(300, "anyOf"), "100,000 schemas"),
    "3,000 references": (chained(3_000, "oneOf"), "2,000 different references"),
    "a reference to itself": ({"$ref": "#"}, "back to itself"),
    "a dialect that is a number": ({"$schema": 5}, "$.$schema"),
    "a dialect that is a list": ({"$schema": []}, "$.$schema"),
    "a name that is a number": ({"$id": 5}, "$.$id"),
    "a name that is no URI": ({"$id": "http://[a"}, "is not a URI"),
    "a reference that is a number": ({"$ref": 5}, "$.$ref"),
    "a reference to nowhere": ({"$ref": "#/$defs/a"}, "#/$defs/a"),
}


@pytest.mark.parametrize(("schema", "words"), NO_SCHEMA.values(), ids=NO_SCHEMA.keys())
def test_a_schema_that_cannot_be_used_is_a_400_that_names_the_limit_or_the_place(
    client: Client, schema: dict[str, Any], words: str
) -> None:
    error = assert_error(post(client, schema_asked(schema)))

    assert error["param"] == "response_format.json_schema.schema"
    assert error["code"] == "invalid_json_schema"
    assert words in (error["message"] or "")
    assert len(error["message"] or "") < 500


ANSWERED: dict[str, tuple[dict[str, Any], int]] = {
    "a pattern that fits": ({"type": "string", "pattern": "^(h|i)+$"}, 200),
    "a pattern that backtracks": ({"type": "string", "pattern": "^(h+i+)+!$"}, 502),
    "a pattern with look-ahead": ({"type": "string", "pattern": "^(?=h)hi$"}, 200),
    "a pattern that nobody knows": ({"type": "string", "pattern": "("}, 200),
    "an unknown dialect": ({"$schema": "https://dialects.example/mine", "type": "string"}, 200),
    "recursive": ({"anyOf": [{"items": {"$ref": "#"}, "type": "array"}, {"type": "string"}]}, 200),
    "5,000 properties": ({"properties": {f"p{i}": {"type": "string"} for i in range(5_000)}}, 200),
    "another type": ({"type": "integer"}, 502),
}


@pytest.mark.parametrize(("schema", "status"), ANSWERED.values(), ids=ANSWERED.keys())
def test_an_answer_is_held_against_whatever_schema_was_taken(
    client: Client, schema: dict[str, Any], status: int
) -> None:
    asked = json.loads(schema_asked(schema))
    asked["messages"][0]["content"] = '"hi"'

    response = post(client, json.dumps(asked).encode())

    assert response.status_code == status, response.text
    if status == 502:
        assert assert_error(response, 502)["code"] == "invalid_structured_output"


SERVED = {
    "a byte order mark": (b"\xef\xbb\xbf" + HELLO, "hi"),
    "a byte order mark and half a character": (b"\xef\xbb\xbf" + body(rb'"a\ud83d"'), "a\ufffd"),
    "NUL in a text": (body(rb'"a\u0000b"'), "a\0b"),
    "control characters": (body(rb'"\u0001\u001b[31m\u0007"'), "\x01\x1b[31m\x07"),
    "half a character": (body(rb'"a\ud83d"'), "a\ufffd"),
    "the other half": (body(rb'"\ude00b"'), "\ufffdb"),
    "halves around a whole": (body(rb'"\ud800\ud83d\ude00\udc00"'), "\ufffd😀\ufffd"),
    "a half after backslashes": (body(rb'"\\\\\ud800"'), "\\\\\ufffd"),
    "no half, though it looks like one": (body(rb'"\\ud800"'), r"\ud800"),
    "a line separator": (body('"a\u2028b"'.encode()), "a\u2028b"),
    "line breaks": (body(rb'"a\nb\r\nc"'), "a\nb\r\nc"),
    "right to left": (body('"\u202eabc"'.encode()), "\u202eabc"),
    "duplicate keys": (
        b'{"messages":[{"role":"user","content":"a"}],"messages":[{"role":"user","content":"hi"}]}',
        "hi",
    ),
    "white space": (b" \r\n\t" * 1000 + HELLO + b" \r\n\t" * 1000, "hi"),
    "a number next to zero": (body(fields=b',"temperature":1e-999'), "hi"),
    "a long fraction": (body(fields=b',"temperature":0.' + b"1" * 5000), "hi"),
    "a huge seed": (body(fields=b',"seed":' + b"9" * 30), "hi"),
    "unknown fields": (body(fields=b"".join(b',"x%d":1' % number for number in range(1_000))), "hi"),
    "a long text": (body(b'"%b"' % (b"x" * 4 * MEGABYTE)), "x" * 4 * MEGABYTE),
}


@pytest.mark.parametrize(("content", "text"), SERVED.values(), ids=SERVED.keys())
def test_what_is_only_strange_is_served(client: Client, content: bytes, text: str) -> None:
    response = post(client, content)

    assert response.status_code == 200, response.text[:200]
    assert response.json()["choices"][0]["message"]["content"] == text


def test_ten_thousand_messages_are_a_conversation(client: Client) -> None:
    turns = [{"role": "user" if number % 2 else "assistant", "content": f"{number}"} for number in range(10_001, 0, -1)]

    response = client.post("/v1/chat/completions", json={"messages": turns})

    assert response.json()["choices"][0]["message"]["content"] == "1"


def test_too_many_halves_are_no_cut_text_and_not_worth_the_work(client: Client) -> None:
    assert_error(post(client, body(b'"' + rb"\ud800" * 2000 + b'"')))


@pytest.mark.parametrize(
    "name", ["x-request-id", "authorization", "origin", "content-type", "x-forwarded-for", "cookie"]
)
@pytest.mark.parametrize(
    "value", [b"\xff\xfe", b"\x00", b"a" * 8000, b"\x1b[31m", b"%s%n{0}", b'"><script>', b"", b"[::1"]
)
def test_a_strange_header_is_no_mistake_of_the_relay(client: Client, name: str, value: bytes) -> None:
    response = client.post("/v1/chat/completions", content=HELLO, headers=[(name.encode(), value)])

    assert response.status_code in {200, 400, 401, 403, 415}
    assert set(response.json()) & {"error", "choices"}


@pytest.mark.parametrize(
    "host", ["[::1", "[", "a:b:c", "localhost:99999999", "@", "\x7f", "localhost\\", "..", "%", "💥"]
)
def test_a_strange_host_is_no_mistake_of_the_relay(client: Client, host: str) -> None:
    response = client.get("/v1/models", headers=[(b"host", host.encode())])

    assert response.status_code in {200, 400, 403}
    assert set(response.json()) & {"error", "data"}


@pytest.mark.parametrize(
    "path",
    ["/%00", "/%ff", "/..%2f..%2fetc/passwd", "/schema/assets/..%2f..%2f__init__.py", "//", "/v1//models", "/" * 5000],
)
def test_a_strange_path_leads_nowhere(client: Client, path: str) -> None:
    assert client.get(f"http://127.0.0.1:8082{path}").status_code in {200, 400, 404, 405}
    assert "import" not in client.get(f"http://127.0.0.1:8082{path}").text


@pytest.mark.parametrize(
    "model", ["../../etc/passwd", "%00", "%0d%0ax:y", "a" * 5000, "--help", "$(id)", "💥", "a%20b"]
)
def test_any_text_may_be_the_name_of_a_model(client: Client, model: str) -> None:
    assert client.get(f"/v1/models/{model}").status_code in {200, 404}
    assert client.post("/v1/chat/completions", json={**json.loads(HELLO), "model": model}).status_code == 200


# --- over a real socket ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Where a relay listens that takes a megabyte."""
    with listening(create_app(Settings(max_body_size=1), EchoRunner())) as found:
        yield found


@pytest.fixture(autouse=True)
def alive(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test sent, the server answers the next one."""
    yield
    if "place" in request.fixturenames:
        host, port = request.getfixturevalue("place")
        response = httpx.post(f"http://{host}:{port}/v1/chat/completions", content=HELLO)
        assert response.json()["choices"][0]["message"]["content"] == "hi"


def status(response: bytes) -> int:
    return int(response.split(b" ", 2)[1])


def error_of(response: bytes) -> Any:
    return json.loads(response.partition(b"\r\n\r\n")[2])["error"]


def test_a_body_that_says_it_is_too_large_is_refused_before_any_of_it_comes(place: Place) -> None:
    with connected(place) as connection:
        connection.sendall(head(content_length=str(MEGABYTE + 1)))
        response = answer(connection)

    assert status(response) == 413
    assert error_of(response)["code"] == "request_too_large"


def test_who_asks_first_is_not_told_to_send_a_body_that_is_too_large(place: Place) -> None:
    with connected(place) as connection:
        connection.sendall(head(content_length=str(MEGABYTE + 1), expect="100-continue"))

        assert status(answer(connection)) == 413


def test_a_body_in_pieces_is_cut_off_as_soon_as_it_is_too_large(place: Place) -> None:
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with connected(place) as connection:
        connection.sendall(head(transfer_encoding="chunked") + piece * 17)  # and no end
        response = answer(connection)

    assert status(response) == 413
    assert "--max-body-size" in error_of(response)["message"]


def test_a_body_of_the_limit_is_served_whole_and_in_pieces(place: Place) -> None:
    full = HELLO.ljust(MEGABYTE)
    with connected(place) as connection:
        connection.sendall(head(content_length=str(len(full))) + full)
        assert status(answer(connection)) == 200
        connection.sendall(head(transfer_encoding="chunked") + b"100000\r\n" + full + b"\r\n0\r\n\r\n")
        assert status(answer(connection)) == 200


def test_what_is_left_of_a_refused_body_is_not_taken_for_the_next_request(place: Place) -> None:
    too_large = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n".ljust(MEGABYTE + 1)
    with connected(place) as connection:
        connection.sendall(head(content_length=str(len(too_large))) + too_large)
        assert status(answer(connection)) == 413
        connection.sendall(head("/nothing", "GET"))
        assert status(answer(connection)) == 404


def test_a_slow_body_is_waited_for_and_holds_nobody_up(place: Place) -> None:
    with connected(place) as slow:
        slow.sendall(head(content_length=str(len(HELLO))))
        for number in range(len(HELLO) - 1):
            slow.sendall(HELLO[number : number + 1])
            if number % 10 == 0:
                with connected(place) as quick:
                    quick.sendall(head(content_length=str(len(HELLO))) + HELLO)
                    assert status(answer(quick)) == 200
        slow.sendall(HELLO[-1:])

        assert status(answer(slow)) == 200


def test_who_leaves_in_the_middle_of_a_body_is_no_mistake_of_the_relay(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    for sent in (b"", b"{", HELLO[:-1]):
        with connected(place) as connection:
            connection.sendall(head(content_length=str(len(HELLO))) + sent)
    time.sleep(0.2)

    assert [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}] == []


HALVES = {
    "half a head": head()[:-10],
    "no body": head(content_length=str(len(HELLO))),
    "half a body": head(content_length=str(len(HELLO))) + HELLO[:10],
    "half a piece": head(transfer_encoding="chunked") + b"100\r\nhalf",
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES.keys())
def test_who_begins_to_ask_and_stops_is_not_waited_for(
    place: Place, monkeypatch: pytest.MonkeyPatch, half: bytes
) -> None:
    monkeypatch.setattr(protocol, "LONGEST_WAIT", 0.2)
    with connected(place) as connection:
        connection.sendall(half)
        assert error_of(answer(connection))["code"] == "request_timeout"

        assert connection.recv(1) == b""


def test_who_stops_at_a_second_request_is_not_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LONGEST_WAIT", 0.2)
    with connected(place) as connection:
        connection.sendall(head("/v1/models", "GET"))
        assert status(answer(connection)) == 200
        connection.sendall(head("/v1/models", "GET")[:-10])

        assert status(answer(connection)) == 408


def test_who_connects_and_asks_nothing_is_let_go(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LONGEST_WAIT", 0.2)
    with connected(place) as connection:
        assert connection.recv(1) == b""


def test_what_comes_after_a_request_does_not_end_its_answer(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LONGEST_WAIT", 0.2)
    slow = b'{"messages":[{"role":"user","content":"!echo interval=0.1\\na b c d e f g h"}]}'
    with connected(place) as connection:
        connection.sendall(head(content_length=str(len(slow))) + slow + b"\r\n")

        assert status(answer(connection)) == 200


FLOODS = {
    "one header": b"x: " + b"a" * (2 * LONGEST_HEAD),
    "many headers": b"x: y\r\n" * LONGEST_HEAD,
    "one name": b"a" * (2 * LONGEST_HEAD),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_headers_without_an_end_are_ended(place: Place, flood: bytes) -> None:
    with connected(place) as connection:
        response = _until_refused(connection, head()[:-2], flood)

    assert status(response) == 400
    assert error_of(response)["code"] == "invalid_http"


def test_a_path_without_an_end_is_ended(place: Place) -> None:
    with connected(place) as connection:
        response = _until_refused(connection, b"GET /", b"a" * (2 * LONGEST_HEAD))

    assert status(response) == 400


@pytest.mark.parametrize("endless", [b"x: y\r\n", b"x: " + b"a" * 65536], ids=["many", "long"])
def test_trailers_without_an_end_are_ended(place: Place, endless: bytes) -> None:
    start = head(transfer_encoding="chunked") + b"%x\r\n%b\r\n0\r\n" % (len(HELLO), HELLO)

    with connected(place) as connection:
        assert _is_cut_off(connection, start, endless * (LONGEST_HEAD // len(endless) + 1))


def test_a_size_of_a_piece_without_an_end_is_ended(place: Place) -> None:
    with connected(place) as connection:
        assert _is_cut_off(connection, head(transfer_encoding="chunked") + b"5;", b"a" * 65536)


def test_many_headers_within_the_limit_are_served(place: Place) -> None:
    headers = b"".join(b"x-%d: y\r\n" % number for number in range(3000))
    with connected(place) as connection:
        connection.sendall(head(content_length=str(len(HELLO)))[:-2] + headers + b"\r\n" + HELLO)

        assert status(answer(connection)) == 200


NO_HTTP = {
    "a greeting": b"HELO relay\r\n\r\n",
    "TLS": bytes.fromhex("16030100a5010000a10303") + b"\0" * 100,
    "a bad length": head(content_length="five"),
    "a negative length": head(content_length="-1"),
    "two lengths": head()[:-2] + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "a length and pieces": head(transfer_encoding="chunked", content_length="5") + b"0\r\n\r\n",
    "a bad piece": head(transfer_encoding="chunked") + b"zz\r\n",
    "a space before the colon": head()[:-2] + b"x : y\r\n\r\n",
    "NUL in a header": head()[:-2] + b"x: \0\r\n\r\n",
    "HTTP/9": b"GET / HTTP/9.9\r\n\r\n",
}


@pytest.mark.parametrize("said", NO_HTTP.values(), ids=NO_HTTP.keys())
def test_what_is_no_http_gets_the_one_shape_of_errors(place: Place, said: bytes) -> None:
    with connected(place) as connection:
        connection.sendall(said)
        response = answer(connection)

    assert status(response) == 400
    assert set(error_of(response)) == {"message", "type", "param", "code"}


def _until_refused(connection: socket.socket, start: bytes, flood: bytes) -> bytes:
    """Send until the server hangs up, and return what it said."""
    connection.sendall(start + flood[: LONGEST_HEAD + 1 - len(start)])
    return answer(connection)


def _is_cut_off(connection: socket.socket, start: bytes, endless: bytes) -> bool:
    """Send what never ends; whether the server hangs up before it has had much of it."""
    connection.sendall(start)
    try:
        for _ in range(100):
            connection.sendall(endless)
    except OSError:
        return True
    return False
