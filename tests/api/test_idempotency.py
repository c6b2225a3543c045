"""Requests with an ``Idempotency-Key`` that are sent again: one piece of work, one answer."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.vocabulary import Event, RunRequest
from claude_relay.settings import Settings
from claude_relay.store import memory
from claude_relay.web import idempotency
from tests.api.conftest import Client
from tests.api.test_background import WORDS, read, relay, served, wait_for
from tests.api.test_stored_responses import ANN, BOB, KEYS, ListeningRunner, error_of
from tests.callers import calling
from tests.unit.responses.bodies import events_of

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
SLOW = "!echo interval=0.05\n" + WORDS


def body(path: str, text: str = "Hello", **fields: Any) -> dict[str, Any]:
    given = {"messages": [{"role": "user", "content": text}]} if path == CHAT else {"input": text}
    return {**given, **fields}


def keyed(key: str = "key-1") -> dict[str, str]:
    return {"idempotency-key": key}


def is_answered(answer: httpx.Response, path: str, text: str) -> bool:
    found = answer.json()
    said = found["choices"][0]["message"] if path == CHAT else found["output"][0]["content"][0]
    return bool(said["content" if path == CHAT else "text"] == text)


@contextmanager
def listening(**choices: Any) -> Iterator[tuple[Client, ListeningRunner]]:
    runner = ListeningRunner()
    with calling(create_app(Settings(**choices), runner, open_store=memory.open_store)) as client:
        yield client, runner


def at_once(*asking: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """Return the answers to requests of which each begins a moment after the one before."""
    answers: dict[int, httpx.Response] = {}

    def ask(index: int) -> None:
        answers[index] = asking[index]()

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(asking))]
    for thread in threads:
        thread.start()
        time.sleep(0.15)
    for thread in threads:
        thread.join(10)
    return [answers[index] for index in range(len(asking))]


def test_a_large_body_is_read_once_and_told_from_another() -> None:
    text = "x" * 3_000_000
    with listening() as (client, runner):
        first = client.post(CHAT, json=body(CHAT, text), headers=keyed())
        again = client.post(CHAT, json=body(CHAT, text), headers=keyed())
        other = client.post(CHAT, json=body(CHAT, f"{text}y"), headers=keyed())

        assert is_answered(first, CHAT, text)
        assert (again.content, other.status_code) == (first.content, 409)
        assert len(runner.heard) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_a_request_that_is_sent_again_gets_the_same_bytes_and_asks_nothing(path: str, stream: bool) -> None:
    with listening() as (client, runner):
        first = client.post(path, json=body(path, stream=stream), headers=keyed())
        again = client.post(path.removeprefix("/v1"), json=body(path, stream=stream), headers=keyed())

        assert (again.status_code, again.content) == (200, first.content)
        assert len(runner.heard) == 1
    assert first.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    same = ("content-type", "x-claude-relay-personality")
    assert [again.headers[name] for name in same] == [first.headers[name] for name in same]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_a_request_that_is_sent_again_while_the_first_is_answered_joins_it(path: str, stream: bool) -> None:
    with listening() as (client, runner):
        sending = lambda: client.post(path, json=body(path, SLOW, stream=stream), headers=keyed())  # noqa: E731
        first, *others = at_once(sending, sending, sending)

        assert len(runner.heard) == 1
    assert [answer.content for answer in others] == [first.content] * 2
    assert [answer.status_code for answer in others] == [200, 200]


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_another_request_with_the_same_key_is_a_conflict_that_names_the_header(path: str) -> None:
    with listening() as (client, runner):
        client.post(path, json=body(path), headers=keyed())
        refused = client.post(path, json=body(path, "Bye"), headers=keyed())
        other_key = client.post(path, json=body(path, "Bye"), headers=keyed("key-2"))

        assert error_of(refused) == (409, "idempotency_key_reused", None)
        assert "Idempotency-Key" in refused.json()["error"]["message"]
        assert refused.headers["x-should-retry"] == "false"
        assert is_answered(other_key, path, "Bye")
        assert len(runner.heard) == 2


def test_the_same_body_for_another_family_is_another_request() -> None:
    with listening() as (client, _):
        client.post(CHAT, json=body(CHAT), headers=keyed())

        assert client.post(RESPONSES, json=body(CHAT), headers=keyed()).status_code == 409


def test_a_key_is_its_callers_own() -> None:
    runner = ListeningRunner()
    with calling(create_app(KEYS, runner, open_store=memory.open_store)) as client:
        client.post(CHAT, json=body(CHAT, "of Ann"), headers={**keyed(), **ANN})
        answer = client.post(CHAT, json=body(CHAT, "of Bob"), headers={**keyed(), **BOB})

        assert is_answered(answer, CHAT, "of Bob")
        assert len(runner.heard) == 2


def test_requests_without_a_key_are_answered_each() -> None:
    with listening() as (client, runner):
        for _ in range(2):
            assert "idempotent-replayed" not in client.post(CHAT, json=body(CHAT)).headers

        assert len(runner.heard) == 2


def test_without_a_store_a_key_means_nothing() -> None:
    runner = ListeningRunner()
    with calling(create_app(Settings(store=False), runner)) as client:
        for _ in range(2):
            assert client.post(CHAT, json=body(CHAT), headers=keyed()).status_code == 200

    assert len(runner.heard) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9"])
def test_a_key_that_cannot_be_one_is_refused(client: Client, key: str) -> None:
    refused = client.post(CHAT, json=body(CHAT), headers={b"idempotency-key": key.encode("latin-1")})

    assert error_of(refused) == (400, "invalid_idempotency_key", None)


@pytest.mark.parametrize(
    ("text", "stream", "first_byte"),
    [
        ("!echo error=429", False, 10),
        ("!echo error=502 after=1\na b", True, 10),
        ("!echo error=502 delay=0.2", False, 0.05),
    ],
)
def test_a_request_that_failed_may_be_sent_again(text: str, stream: bool, first_byte: float) -> None:
    with listening(first_byte=first_byte) as (client, runner):
        for _ in range(2):
            failed = client.post(CHAT, json=body(CHAT, text, stream=stream), headers=keyed())
            assert "error" in failed.text
            assert "idempotent-replayed" not in failed.headers

        assert len(runner.heard) == 2
        assert client.post(CHAT, json=body(CHAT, "another"), headers=keyed()).status_code == 200


def test_a_request_that_is_refused_does_not_take_its_key(client: Client) -> None:
    refused = client.post(CHAT, json={"messages": 5}, headers=keyed())

    assert refused.status_code == 400
    assert client.post(CHAT, json=body(CHAT), headers=keyed()).status_code == 200


class FailingFirst(ListeningRunner):
    """Fails the first time, before there is any answer."""

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        self.heard.append(request)
        if len(self.heard) == 1:
            await asyncio.sleep(0.5)
            raise ConnectionError("not now")
        async for event in EchoRunner().run(request):
            yield event


def test_who_joins_a_request_that_fails_before_its_answer_begins_is_answered_itself() -> None:
    runner = FailingFirst()
    app = create_app(Settings(), runner, open_store=memory.open_store)
    with calling(app, raise_server_exceptions=False) as client:
        sending = lambda: client.post(CHAT, json=body(CHAT), headers=keyed())  # noqa: E731
        first, *others = at_once(sending, sending, sending)

    assert first.status_code == 500
    assert all(is_answered(answer, CHAT, "Hello") for answer in others)
    assert len(runner.heard) == 2


def test_who_joins_a_stream_that_fails_gets_the_same_failure(client: Client) -> None:
    sending = lambda: client.post(  # noqa: E731
        CHAT,
        json=body(CHAT, "!echo error=502 after=8 interval=0.1\n" + WORDS, stream=True),
        headers=keyed("key-of-failure"),
    )
    first, second = at_once(sending, sending)

    assert "upstream_error" in first.text
    assert second.content == first.content


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_a_client_that_did_not_wait_gets_the_answer_of_the_work_that_it_began(tmp_path: Path, path: str) -> None:
    runner = ListeningRunner()
    with relay(tmp_path, runner) as one, relay(tmp_path, runner) as other:
        asked: dict[str, Any] = {"json": body(path, SLOW), "headers": keyed()}
        with pytest.raises(httpx.ReadTimeout):
            one.post(path, timeout=0.2, **asked)
        again = other.post(path, **asked)

        assert len(runner.heard) == 1
    assert again.headers["idempotent-replayed"] == "true"
    assert is_answered(again, path, WORDS)


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_a_client_that_lost_its_stream_gets_all_of_it_again(tmp_path: Path, path: str) -> None:
    runner = ListeningRunner()
    with relay(tmp_path, runner) as one, relay(tmp_path, runner) as other:
        asked: dict[str, Any] = {"json": body(path, SLOW, stream=True), "headers": keyed()}
        with one.stream("POST", path, **asked) as stream:
            begun = next(stream.iter_lines())
        again = other.post(path, **asked)

        assert len(runner.heard) == 1
    assert again.text.startswith(begun)
    assert "ten" in again.text


def test_a_request_in_the_background_is_begun_once() -> None:
    with listening() as (client, runner):
        asked: dict[str, Any] = {"json": body(RESPONSES, background=True), "headers": keyed()}
        first, again = client.post(RESPONSES, **asked).json(), client.post(RESPONSES, **asked).json()
        wait_for(lambda: client.get(f"{RESPONSES}/{first['id']}").json()["status"] == "completed")

        assert (again, len(runner.heard)) == (first, 1)


def test_a_key_is_free_again_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    with listening() as (client, runner):
        client.post(CHAT, json=body(CHAT), headers=keyed())
        monkeypatch.setattr(time, "time", lambda: now + idempotency.KEPT_SECONDS + 10)
        assert is_answered(client.post(CHAT, json=body(CHAT, "Bye"), headers=keyed()), CHAT, "Bye")

        assert len(runner.heard) == 2


def test_a_request_whose_relay_was_killed_may_be_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {
        "json": body(RESPONSES, "!echo interval=0.1 repeat=40\nagain ", stream=True),
        "headers": keyed(),
    }
    with served(tmp_path) as (process, client), relay(tmp_path) as other:
        with client.stream("POST", RESPONSES, **asked) as stream:
            read(stream, lambda event: event["type"] == "response.output_text.delta")
        with other.stream("POST", RESPONSES, **asked) as joined:
            joined_events = joined.iter_lines()
            next(joined_events)
            process.kill()
            now = time.time()
            monkeypatch.setattr(time, "time", lambda: now + idempotency.LEASE + 1)
            rest = "\n".join(joined_events)
        again = other.post(RESPONSES, json=asked["json"], headers=keyed())

    assert "relay_stopped" in rest
    assert "idempotent-replayed" not in again.headers
    assert events_of(again.text)[-1]["type"] == "response.completed"
