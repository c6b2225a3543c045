"""The Messages API as clients of Anthropic's use it, whatever goes wrong."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partialmethod
from typing import Any

import pytest

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.vocabulary import Event, RunRequest
from claude_relay.errors import RateLimitError, UnavailableError
from claude_relay.settings import Settings
from claude_relay.store import memory
from claude_relay.store.protocol import Store
from claude_relay.web import live_responses
from tests.api.conftest import Client
from tests.callers import ELSEWHERE, calling
from tests.unit.messages.bodies import HELLO, TOOL, events_of, recorded

PATHS = ["/v1/messages", "/messages", "/v1/messages?beta=true", "/messages?beta=true"]
KEYS = Settings(api_keys=("ann=key-of-ann", "bob=key-of-bob"))
ANN, BOB = {"x-api-key": "key-of-ann"}, {"authorization": "Bearer key-of-bob"}


class ListeningRunner(EchoRunner):
    """Remembers what it is asked."""

    def __init__(self) -> None:
        self.heard: list[RunRequest] = []

    def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        """Answer as the echo does."""
        self.heard.append(request)
        return super().run(request)


def ask(client: Client, *messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/messages", json={"messages": list(messages), "max_tokens": 100, **fields})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def going_on(message: dict[str, Any]) -> dict[str, Any]:
    return {"type": "continue", "previous_message_id": message["id"]}


def error_of(answer: Any) -> tuple[int, str, str | None]:
    """Return what an error says, which has Anthropic's shape and names its request."""
    found = answer.json()
    assert set(found) == {"type", "error", "request_id"}
    assert found["type"] == "error"
    assert found["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]
    return answer.status_code, found["error"]["type"], found["error"].get("details", {}).get("error_code")


@pytest.mark.parametrize("path", PATHS)
def test_a_message_is_answered_at_every_path(client: Client, path: str) -> None:
    answer = client.post(path, json={"messages": [HELLO], "max_tokens": 100, "model": "sonnet:chat", "x": 1})

    assert answer.status_code == 200
    message = answer.json()
    assert message["content"] == [{"type": "text", "text": "Hello"}]
    assert (message["type"], message["role"], message["model"]) == ("message", "assistant", "sonnet:chat")
    assert message["usage"]["input_tokens"] == message["usage"]["output_tokens"] == 1
    assert answer.headers["x-claude-relay-ignored"] == "x"
    assert answer.headers["request-id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", PATHS)
def test_a_stream_has_named_events_and_no_other_end(client: Client, path: str) -> None:
    answer = client.post(path, json={"messages": [user("Hello you")], "max_tokens": 100, "stream": True})

    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer.text)
    assert [event["type"] for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0]["message"]["usage"]["input_tokens"] == 2


@pytest.mark.parametrize("name", ["turn1", "turn2-tool_result", "unknown-model"])
def test_a_recorded_request_of_claude_code_is_answered(client: Client, name: str) -> None:
    answer = client.post("/v1/messages?beta=true", json=recorded(f"claude-code-2.1.332-{name}"))

    assert events_of(answer.text)[-1] == {"type": "message_stop"}
    assert answer.headers["x-claude-relay-personality"] == "chat"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("POST", "/v1/messages", b'{"messages": 1}', 400, "invalid_request_error"),
        ("POST", "/v1/messages", b"{", 400, "invalid_request_error"),
        ("POST", "/v1/messages", b"", 400, "invalid_request_error"),
        ("POST", "/v1/messages/batches", b"{}", 404, "not_found_error"),
        ("GET", "/v1/messages", b"", 405, "invalid_request_error"),
        ("GET", "/messages/count_tokens", b"", 405, "invalid_request_error"),
        ("POST", "/v1/messages", b'{"messages": "%b"}' % (b"x" * 2_000_000), 413, "request_too_large"),
        ("POST", "/v1/messages/count_tokens", b"{}", 400, "invalid_request_error"),
        (
            "POST",
            "/messages",
            b'{"messages": [{"role": "user", "content": "!echo error=429"}]}',
            429,
            "rate_limit_error",
        ),
        ("POST", "/messages", b'{"messages": [{"role": "user", "content": "!echo error=502"}]}', 502, "api_error"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_every_error_has_anthropics_shape(method: str, path: str, body: bytes, status: int, kind: str) -> None:
    with calling(create_app(Settings(max_body_size=1), EchoRunner())) as client:
        answer = client.request(method, path, content=body)

    assert error_of(answer) == (status, kind, None)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (UnavailableError("full", code="overloaded", retry_after=5), 529, "overloaded_error"),
        (RateLimitError("slow", retry_after=7), 429, "rate_limit_error"),
    ],
)
def test_a_failure_says_whether_and_when_to_ask_again(
    failing: Callable[[Exception], AbstractContextManager[Client]], error: Exception, status: int, kind: str
) -> None:
    with failing(error) as client:
        answer = client.post("/v1/messages", json={"messages": [HELLO]})

    assert error_of(answer) == (status, kind, None)
    assert answer.headers["retry-after"] in {"5", "7"}
    assert answer.headers["x-should-retry"] == "true"


def test_a_stream_that_fails_ends_with_an_event_that_sdks_raise(client: Client) -> None:
    body = {"messages": [user("!echo error=502 after=1\na b")], "stream": True}

    answer = client.post("/v1/messages", json=body)

    *_, before, last = events_of(answer.text)
    assert before["type"] == "content_block_delta"
    assert (last["type"], last["error"]["type"]) == ("error", "api_error")
    assert last["request_id"] == answer.headers["request-id"]


def test_a_relay_that_stops_says_so_in_anthropics_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    relay = create_app(Settings(), EchoRunner())
    draining = next(plugin for plugin in relay.plugins.init if hasattr(plugin, "_draining"))._draining
    with calling(relay) as client:
        monkeypatch.setattr(draining, "_task", object())
        answer = client.post("/v1/messages", json={"messages": [HELLO]})

    assert error_of(answer) == (503, "api_error", None)
    assert answer.headers["x-should-retry"] == "true"


@pytest.mark.parametrize("headers", [ANN, BOB])
def test_both_ways_to_send_a_key_are_taken(headers: dict[str, str]) -> None:
    with calling(create_app(KEYS, EchoRunner()), peer=ELSEWHERE) as client:
        assert client.post("/v1/messages", json={"messages": [HELLO]}, headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens", "/messages/nothing"])
@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}])
def test_a_stranger_is_told_so_in_anthropics_shape(path: str, headers: dict[str, str]) -> None:
    with calling(create_app(KEYS, EchoRunner()), peer=ELSEWHERE) as client:
        answer = client.post(path, json={"messages": [HELLO]}, headers=headers)

    assert error_of(answer) == (401, "authentication_error", None)


def test_a_stream_that_waits_shows_signs_of_life_before_its_first_event(monkeypatch: pytest.MonkeyPatch) -> None:
    shown_soon = partialmethod(live_responses.LiveResponse.__init__, keep_alive=0.05)
    monkeypatch.setattr(live_responses.LiveResponse, "__init__", shown_soon)
    body = {"messages": [user("!echo delay=0.4\nhi")], "stream": True}
    with calling(create_app(Settings(first_byte=0.01), EchoRunner())) as client:
        events = events_of(client.post("/v1/messages", json=body).text)

    assert events[0] == {"type": "ping"}
    assert next(event["type"] for event in events if event["type"] != "ping") == "message_start"
    assert events[-1] == {"type": "message_stop"}


# --- threads ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_thread_goes_on_with_the_new_turn_alone(stream: bool) -> None:
    runner = ListeningRunner()
    with calling(create_app(Settings(), runner, open_store=memory.open_store)) as client:
        message = ask(client, HELLO, thread={"type": "create"}, system="Be brief.", tools=[TOOL])
        body = {"messages": [user("More")], "max_tokens": 9, "thread": going_on(message), "stream": stream}
        second = client.post("/v1/messages", json=body)
        first_id = json.loads(second.text)["id"] if not stream else events_of(second.text)[0]["message"]["id"]
        ask(client, user("Even more"), thread=going_on({"id": first_id}))
        whole = [HELLO, *(each for words in ("Hello", "More", "More") for each in [user(words)])]
        messages = [{**each, "role": role} for each, role in zip(whole, ("user", "assistant") * 2, strict=True)]
        ask(client, *messages, user("Even more"), system="Be brief.", tools=[TOOL])

    *_, threaded, sent_whole = runner.heard
    assert threaded == sent_whole


def test_a_thread_can_be_gone_on_with_twice() -> None:
    with calling(create_app(Settings(), EchoRunner(), open_store=memory.open_store)) as client:
        first = ask(client, HELLO, thread={"type": "create"})
        again = [ask(client, user("More"), thread=going_on(first)) for _ in range(2)]

    assert again[0]["id"] != again[1]["id"]
    assert again[0]["usage"] == again[1]["usage"]


@pytest.mark.parametrize("message_id", ["msg_none", "", "ä", "x" * 300])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_a_thread_that_is_not_there_is_told_so_that_sdks_send_everything(
    client: Client, path: str, message_id: str
) -> None:
    answer = client.post(path, json={"messages": [HELLO], "thread": going_on({"id": message_id})})

    assert error_of(answer) == (404, "not_found_error", "thread_not_found")


def test_a_message_without_thread_is_not_kept(client: Client) -> None:
    message = ask(client, HELLO)

    answer = client.post("/v1/messages", json={"messages": [HELLO], "thread": going_on(message)})

    assert error_of(answer)[2] == "thread_not_found"


def test_the_threads_of_others_are_not_found() -> None:
    with calling(create_app(KEYS, EchoRunner(), open_store=memory.open_store), peer=ELSEWHERE) as client:
        body = {"messages": [HELLO], "thread": {"type": "create"}}
        message = client.post("/v1/messages", json=body, headers=ANN).json()
        body = {"messages": [HELLO], "thread": going_on(message)}
        own = client.post("/v1/messages", json=body, headers=ANN)
        foreign = client.post("/v1/messages", json=body, headers=BOB)

    assert (own.status_code, foreign.status_code) == (200, 404)


def test_the_messages_of_a_thread_are_no_responses(client: Client) -> None:
    message = ask(client, HELLO, thread={"type": "create"})

    assert client.get(f"/v1/responses/{message['id']}").status_code == 404
    assert client.post("/v1/responses", json={"input": "x", "previous_response_id": message["id"]}).status_code == 400


@pytest.mark.parametrize("thread", [{"type": "create"}, going_on({"id": "msg_1"})])
def test_where_nothing_is_kept_sdks_are_told_to_go_on_without_threads(thread: dict[str, str]) -> None:
    with calling(create_app(Settings(store=False), EchoRunner())) as client:
        answer = client.post("/v1/messages", json={"messages": [HELLO], "thread": thread})

    assert error_of(answer) == (400, "invalid_request_error", "thread_unsupported_request")
    assert answer.json()["error"]["details"]["unsupported"] == ["thread"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_comes_though_its_thread_cannot_be_kept(stream: bool) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            async def fail(*_: object, **__: object) -> None:
                raise UnavailableError("The store cannot be used: full.", code="store_unavailable")

            return fail

    @asynccontextmanager
    async def open_store() -> AsyncIterator[Store]:
        yield Broken()

    with calling(create_app(Settings(), EchoRunner(), open_store=open_store)) as client:
        answer = client.post("/v1/messages", json={"messages": [HELLO], "thread": {"type": "create"}, "stream": stream})

    assert answer.status_code == 200
    assert "Hello" in answer.text
    assert "error" not in answer.text


# --- counts and models -----------------------------------------------------------------------------------------------


@pytest.fixture
def counting() -> Iterator[tuple[Client, ListeningRunner]]:
    runner = ListeningRunner()
    with calling(create_app(Settings(max_per_minute=1), runner, open_store=memory.open_store)) as client:
        yield client, runner


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens?beta=true", "/messages/count_tokens"])
def test_tokens_are_counted_without_a_run_and_without_being_limited(
    counting: tuple[Client, ListeningRunner], path: str
) -> None:
    client, runner = counting
    body = recorded("anthropic-python-2.14-count_tokens")

    for _ in range(3):
        answer = client.post(path, json=body)

    assert answer.status_code == 200
    assert set(answer.json()) == {"input_tokens"}
    assert 1 < answer.json()["input_tokens"] < 20
    assert answer.headers["x-claude-relay-token-count"] == "estimate"
    assert runner.heard == []


def test_the_tokens_of_a_thread_are_those_of_all_of_it(client: Client) -> None:
    message = ask(client, user("word " * 1_000), thread={"type": "create"})

    def count(**fields: Any) -> int:
        found: int = client.post("/v1/messages/count_tokens", json={"messages": [HELLO], **fields}).json()[
            "input_tokens"
        ]
        return found

    assert count(thread=going_on(message)) > 1_000 > count()


def test_models_are_listed_for_both_kinds_of_sdks(client: Client) -> None:
    listed = client.get("/v1/models?limit=1000").json()

    assert (listed["object"], listed["has_more"]) == ("list", False)
    assert (listed["first_id"], listed["last_id"]) == (listed["data"][0]["id"], listed["data"][-1]["id"])
    model = client.get(f"/v1/models/{listed['first_id']}").json()
    assert model == listed["data"][0]
    assert {"object", "created", "owned_by", "type", "display_name", "created_at", "lifecycle"} <= set(model)


def test_a_request_that_is_sent_twice_with_one_key_has_one_answer_and_another_one_is_refused(client: Client) -> None:
    headers = {"idempotency-key": "one"}
    body = {"messages": [HELLO], "max_tokens": 9}

    first, again = (client.post("/v1/messages", json=body, headers=headers) for _ in range(2))
    other = client.post("/v1/messages", json={**body, "max_tokens": 8}, headers=headers)

    assert first.json() == again.json()
    assert error_of(other) == (409, "invalid_request_error", None)
