"""Responses in the background: polled, followed, cancelled, and found again when their relay was lost."""

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.responses import archive
from claude_relay.settings import Settings
from claude_relay.store import memory, sqlite
from claude_relay.store.protocol import BEFORE_FIRST, Event, Key, Store
from claude_relay.web.protocol import BoundedProtocol
from tests.api.conftest import Client
from tests.api.test_stored_responses import ANN, BOB, ask, callers, error_of
from tests.callers import calling
from tests.serving import serving
from tests.unit.responses.bodies import events_of
from tests.valkey_server import valkey_server

__all__ = ["callers"]

SLOW = "!echo interval=0.1\n"
ENDLESS = "!echo interval=0.05 repeat=10000\nagain "
WORDS = "one two three four five six seven eight nine ten"


def started(client: Any, given: str, **fields: Any) -> dict[str, Any]:
    """Begin a response in the background, and return it as it begins."""
    return ask(client, given, background=True, **fields)


def polled(client: Any, response_id: str, until: Callable[[dict[str, Any]], bool], seconds: float = 10) -> Any:
    """Return a response once something is true of it."""
    deadline = time.monotonic() + seconds
    while not until(found := client.get(f"/v1/responses/{response_id}").json()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def is_over(response: dict[str, Any]) -> bool:
    return response["status"] not in {"queued", "in_progress"}


def has_text(response: dict[str, Any]) -> bool:
    return bool(text_of(response))


def text_of(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] for part in item["content"])


@contextmanager
def relay(place: Path | str, runner: ClaudeRunner | None = None, **choices: Any) -> Iterator[httpx.Client]:
    """A client of a real server, whose store is a file or a server that others may use too."""
    opener = partial(sqlite.open_store, place / "store.sqlite3") if isinstance(place, Path) else None
    settings = Settings(store_url=None if isinstance(place, Path) else place, **choices)
    app = create_app(settings, runner or EchoRunner(), open_store=opener)
    config = uvicorn.Config(app, port=0, http=BoundedProtocol, log_config=None, timeout_graceful_shutdown=1)
    with serving(config) as (host, port), httpx.Client(base_url=f"http://{host}:{port}", timeout=20) as client:
        yield client


def read(stream: httpx.Response, until: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Read a stream's events up to one of which something is true, and leave."""
    return read_on(stream.iter_lines(), until)


def read_on(lines: Iterator[str], until: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Read a stream's events up to one of which something is true."""
    found = []
    for line in lines:
        if line.startswith("data: "):
            found.append(json.loads(line.removeprefix("data: ")))
            if until(found[-1]):
                break
    return found


def is_text(event: dict[str, Any]) -> bool:
    return bool(event["type"] == "response.output_text.delta")


def test_a_response_in_the_background_is_there_at_once_and_whole_later(client: Client) -> None:
    begun = started(client, SLOW + WORDS, metadata={"a": "b"})

    assert (begun["status"], begun["background"], begun["store"], begun["output"]) == ("queued", True, True, [])
    partly = polled(client, begun["id"], has_text)
    assert (partly["status"], partly["completed_at"], partly["usage"]) == ("in_progress", None, None)
    assert WORDS.startswith(text_of(partly))
    whole = polled(client, begun["id"], is_over)
    assert (whole["status"], text_of(whole), whole["background"]) == ("completed", WORDS, True)
    assert whole["usage"]["output_tokens"] == 10
    assert whole["metadata"] == {"a": "b"}
    assert ask(client, "And?", previous_response_id=begun["id"])["status"] == "completed"


@pytest.mark.parametrize("number", ["-2", str(2**53 + 1), str(10**30), "1.5"])
def test_a_number_that_no_event_can_have_is_no_place_to_go_on_from(client: Client, number: str) -> None:
    whole = polled(client, started(client, WORDS)["id"], is_over)

    refused = client.get(f"/v1/responses/{whole['id']}", params={"stream": "true", "starting_after": number})

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "starting_after")


def test_a_poll_reads_what_is_new_and_no_event_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    read_events: list[int] = []

    @asynccontextmanager
    async def counting() -> AsyncIterator[Store]:
        async with memory.open_store() as store:
            events = store.events

            async def counted(key: Key, after: int = BEFORE_FIRST) -> tuple[Event, ...]:
                found = await events(key, after)
                read_events.extend(event.sequence_number for event in found)
                return found

            monkeypatch.setattr(store, "events", counted)
            yield store

    with calling(create_app(Settings(runner="echo"), open_store=counting)) as client:
        begun = started(client, ENDLESS)
        texts = [text_of(polled(client, begun["id"], has_text))]
        while len(set(texts)) < 4:
            texts.append(text_of(client.get(f"/v1/responses/{begun['id']}").json()))
        cancelled = client.post(f"/v1/responses/{begun['id']}/cancel").json()

    assert read_events == list(range(len(read_events)))
    assert texts == sorted(texts, key=len)
    assert text_of(cancelled).startswith(texts[-1])


def test_its_stream_has_the_same_events_while_it_is_written_and_afterwards(client: Client) -> None:
    body = {"input": "!echo interval=0.02\n" + WORDS, "background": True, "stream": True}
    answer = client.post("/v1/responses", json=body)
    told = events_of(answer.text)

    assert [event["type"] for event in told[:3]] == ["response.created", "response.queued", "response.in_progress"]
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert [event["response"]["status"] for event in told if "response" in event] == [
        "queued",
        "queued",
        "in_progress",
        "completed",
    ]
    whole = told[-1]["response"]
    path = f"/v1/responses/{whole['id']}"
    assert client.get(path).json() == whole
    assert events_of(client.get(path, params={"stream": "true"}).text) == told
    assert events_of(client.get(path, params={"stream": "true", "starting_after": 4}).text) == told[5:]
    assert client.get(path, params={"stream": "true", "starting_after": len(told)}).text == ""
    assert answer.headers["x-claude-relay-personality"]


def test_a_stream_that_is_joined_in_the_middle_goes_on_to_the_end(client: Client) -> None:
    begun = started(client, SLOW + WORDS)
    polled(client, begun["id"], has_text)

    told = events_of(client.get(f"/v1/responses/{begun['id']}?stream=true").text)

    assert "".join(event["delta"] for event in told if is_text(event)) == WORDS
    assert told[-1]["type"] == "response.completed"


@pytest.mark.parametrize(
    ("keeps", "fields", "code"),
    [(True, {"store": False}, "invalid_value"), (False, {}, "unsupported_parameter")],
)
def test_what_is_not_kept_cannot_be_in_the_background(keeps: bool, fields: dict[str, Any], code: str) -> None:
    opener = memory.open_store if keeps else None
    with calling(create_app(Settings(store=False), EchoRunner(), open_store=opener)) as client:
        refused = client.post("/v1/responses", json={"input": "x", "background": True, **fields})

    assert error_of(refused) == (400, code, "background")


def test_a_failure_in_the_background_is_told_with_its_own_code(client: Client) -> None:
    begun = started(client, "!echo error=429 after=1\na b")

    failed = polled(client, begun["id"], is_over)

    assert (failed["status"], failed["error"]["code"], text_of(failed)) == ("failed", "rate_limit_exceeded", "a ")
    events = events_of(client.get(f"/v1/responses/{begun['id']}?stream=true").text)
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-1]["response"] == failed


def test_what_is_cancelled_stops_and_stays_cancelled(client: Client) -> None:
    begun = started(client, ENDLESS)
    path = f"/v1/responses/{begun['id']}"
    polled(client, begun["id"], has_text)

    cancelled = client.post(f"{path}/cancel").json()

    assert cancelled["status"] == "cancelled"
    assert text_of(cancelled).startswith("again again")
    assert client.post(f"{path}/cancel").json() == client.get(path).json() == cancelled
    last = events_of(client.get(f"{path}?stream=true").text)[-1]
    assert (last["type"], last["response"]) == ("response.incomplete", cancelled)


def test_a_response_is_gone_on_from_when_it_is_complete_and_not_before(client: Client) -> None:
    begun = started(client, ENDLESS)

    early = client.post("/v1/responses", json={"input": "And?", "previous_response_id": begun["id"]})
    client.post(f"/v1/responses/{begun['id']}/cancel")
    later = client.post("/v1/responses", json={"input": "And?", "previous_response_id": begun["id"]})

    assert error_of(early) == (400, "previous_response_incomplete", "previous_response_id")
    assert later.status_code == 200


def test_a_conversation_gets_the_items_of_a_response_in_the_background_when_it_is_complete(client: Client) -> None:
    conversation = client.post("/v1/conversations", json={}).json()["id"]
    whole = polled(client, started(client, "Hello", conversation=conversation)["id"], is_over)
    cancelled = started(client, ENDLESS, conversation=conversation)
    client.post(f"/v1/responses/{cancelled['id']}/cancel")

    items = client.get(f"/v1/conversations/{conversation}/items").json()["data"]

    assert whole["conversation"] == {"id": conversation}
    assert [item["role"] for item in items] == ["assistant", "user"]


def test_what_is_complete_in_the_background_stays_as_it_is_when_it_is_cancelled(client: Client) -> None:
    begun = started(client, "Hello")
    whole = polled(client, begun["id"], is_over)

    assert client.post(f"/v1/responses/{begun['id']}/cancel").json() == whole


def test_what_is_deleted_while_it_is_written_is_gone_and_its_work_ends(client: Client) -> None:
    begun = started(client, ENDLESS)
    path = f"/v1/responses/{begun['id']}"
    polled(client, begun["id"], has_text)

    assert client.delete(path).json()["deleted"] is True

    wait_for(lambda: not len(client.app.state["claude_relay_jobs"]))
    assert client.get(path).status_code == 404


def wait_for(condition: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nothing_in_the_background_is_found_by_another_caller(callers: Client) -> None:
    body = {"input": ENDLESS, "background": True}
    begun = callers.post("/v1/responses", json=body, headers=ANN).json()

    for method, path in [("GET", ""), ("GET", "?stream=true"), ("POST", "/cancel"), ("DELETE", "")]:
        answer = callers.request(method, f"/v1/responses/{begun['id']}{path}", headers=BOB)
        assert error_of(answer) == (404, "not_found", None)
    mine = callers.post(f"/v1/responses/{begun['id']}/cancel", headers=ANN)
    assert mine.json()["status"] == "cancelled"


def test_the_events_of_a_response_go_after_a_while_and_the_response_stays(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = started(client, "Hello")
    polled(client, begun["id"], is_over)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + archive.LOG_SECONDS + 1)

    refused = client.get(f"/v1/responses/{begun['id']}?stream=true")

    assert error_of(refused) == (400, None, "stream")
    assert "not kept any more" in refused.json()["error"]["message"]
    assert client.get(f"/v1/responses/{begun['id']}").json()["status"] == "completed"


def test_a_relay_that_stops_keeps_what_it_has_not_finished_as_failed(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path))
    with calling(create_app(settings, EchoRunner())) as client:
        begun = started(client, ENDLESS)
        polled(client, begun["id"], has_text)
    with calling(create_app(settings, EchoRunner())) as client:
        found = client.get(f"/v1/responses/{begun['id']}").json()

    assert (found["status"], found["error"]["code"]) == ("failed", "shutting_down")
    assert text_of(found).startswith("again")


@pytest.fixture(params=["sqlite", pytest.param("valkey", marks=pytest.mark.slow)])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """Where relays that share a store keep it."""
    if request.param == "sqlite":
        yield tmp_path
        return
    with valkey_server(tmp_path) as (host, port):
        yield f"valkey://{host}:{port}/0"


def test_another_replica_polls_follows_and_cancels(shared: Path | str) -> None:
    with relay(shared) as one, relay(shared) as other:
        first, second = started(one, SLOW + WORDS), started(one, ENDLESS)
        polled(other, first["id"], has_text)

        with other.stream("GET", f"/v1/responses/{first['id']}?stream=true&starting_after=2") as stream:
            told = read(stream, lambda event: event["type"] == "response.completed")
        began = time.monotonic()
        cancelled = other.post(f"/v1/responses/{second['id']}/cancel").json()

        assert time.monotonic() - began < archive.LEASE / 4
        assert "".join(event["delta"] for event in told if is_text(event)) == WORDS
        assert other.get(f"/v1/responses/{first['id']}").json() == told[-1]["response"]
        assert cancelled["status"] == "cancelled"
        assert one.get(f"/v1/responses/{second['id']}").json() == cancelled


def test_a_stream_whose_client_was_lost_goes_on_and_is_resumed_elsewhere(shared: Path | str) -> None:
    with relay(shared) as one, relay(shared) as other:
        body = {"input": SLOW + WORDS, "stream": True}
        with one.stream("POST", "/v1/responses", json=body) as stream:
            before = read(stream, is_text)
        response_id = before[0]["response"]["id"]
        wait_for(lambda: other.get(f"/v1/responses/{response_id}").status_code == 200)

        last = before[-1]["sequence_number"]
        after = events_of(other.get(f"/v1/responses/{response_id}?stream=true&starting_after={last}").text)

    assert "".join(event["delta"] for event in before + after if is_text(event)) == WORDS
    assert [event["sequence_number"] for event in before + after] == list(range(len(before + after)))
    assert (after[-1]["type"], after[-1]["response"]["background"]) == ("response.completed", True)


def test_a_stream_whose_client_was_lost_is_given_up_if_nobody_asks_for_it(tmp_path: Path) -> None:
    with relay(tmp_path, resume_timeout=0.5) as client:
        with client.stream("POST", "/v1/responses", json={"input": ENDLESS, "stream": True}) as stream:
            response_id = read(stream, is_text)[0]["response"]["id"]
        time.sleep(1.5)
        found = client.get(f"/v1/responses/{response_id}").json()

    assert (found["status"], found["background"]) == ("cancelled", True)
    assert text_of(found).startswith("again")


def test_a_stream_whose_client_was_lost_is_worked_on_to_its_end_once_somebody_has_asked_for_it(tmp_path: Path) -> None:
    with relay(tmp_path, resume_timeout=0.5) as client:
        with client.stream("POST", "/v1/responses", json={"input": SLOW + WORDS * 3, "stream": True}) as stream:
            response_id = read(stream, is_text)[0]["response"]["id"]
        wait_for(lambda: client.get(f"/v1/responses/{response_id}").status_code == 200)
        time.sleep(1)
        whole = polled(client, response_id, is_over)

    assert (whole["status"], text_of(whole)) == ("completed", WORDS * 3)


@pytest.mark.parametrize("fields", [{"store": False}, {}])
def test_a_stream_that_is_not_to_be_resumed_ends_with_its_client(tmp_path: Path, fields: dict[str, Any]) -> None:
    with relay(tmp_path, resume_timeout=30 if fields else 0) as client:
        with client.stream("POST", "/v1/responses", json={"input": ENDLESS, "stream": True, **fields}) as stream:
            response_id = read(stream, is_text)[0]["response"]["id"]
        time.sleep(0.5)

        assert client.get(f"/v1/responses/{response_id}").status_code == 404


def test_a_stream_that_takes_long_is_found_by_others_while_its_client_listens(tmp_path: Path) -> None:
    with relay(tmp_path) as one, relay(tmp_path) as other, ExitStack() as stack:
        stream = stack.enter_context(one.stream("POST", "/v1/responses", json={"input": ENDLESS, "stream": True}))
        lines = stream.iter_lines()
        response_id = read_on(lines, is_text)[0]["response"]["id"]
        wait_for(lambda: other.get(f"/v1/responses/{response_id}").status_code == 200)

        found = other.get(f"/v1/responses/{response_id}").json()
        refused = other.post(f"/v1/responses/{response_id}/cancel")

    assert (found["status"], found["background"]) == ("in_progress", False)
    assert has_text(found)
    assert refused.json()["error"]["message"] == "Cannot cancel a synchronous response."


def test_many_who_follow_one_response_read_the_same(client: Client) -> None:
    begun = started(client, SLOW + WORDS)
    found: list[list[dict[str, Any]]] = []

    def follow() -> None:
        found.append(events_of(client.get(f"/v1/responses/{begun['id']}?stream=true").text))

    threads = [threading.Thread(target=follow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len(found) == 4
    assert found[1:] == found[:-1]


def test_what_a_killed_relay_was_working_on_has_failed_with_what_was_done_so_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path) as (process, client):
        begun = started(client, ENDLESS)
        polled(client, begun["id"], has_text)
        with client.stream("POST", "/v1/responses", json={"input": ENDLESS, "stream": True}) as stream:
            lines = stream.iter_lines()
            listening = read_on(lines, is_text)[0]["response"]
            polled(client, listening["id"], lambda found: "output" in found and has_text(found))
            process.kill()
    now = time.time()
    with relay(tmp_path) as client:
        at_first = client.get(f"/v1/responses/{begun['id']}").json()
        monkeypatch.setattr(time, "time", lambda: now + archive.LEASE + 1)
        events = events_of(client.get(f"/v1/responses/{begun['id']}?stream=true&starting_after=1").text)
        found = [client.get(f"/v1/responses/{each['id']}").json() for each in (begun, listening)]
        items = [{"type": "item_reference", "id": found[0]["output"][0]["id"]}]
        referred = client.post("/v1/responses", json={"input": [*items, {"role": "user", "content": "And?"}]})
        cancelled = client.post(f"/v1/responses/{begun['id']}/cancel").json()

    assert at_first["status"] == "in_progress"
    assert [response["status"] for response in found] == ["failed", "failed"]
    assert {response["error"]["code"] for response in found} == {"relay_stopped"}
    assert all(text_of(response).startswith("again") for response in found)
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-1]["response"] == found[0] == cancelled
    assert referred.status_code == 200


@contextmanager
def served(state: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """A relay in a process of its own, and a client of it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "claude_relay", "serve", "--runner", "echo", "--port", str(port)]
    process = subprocess.Popen([*command, "--state-dir", str(state)], stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            wait_for(lambda: is_up(client), 20)
            yield process, client
    finally:
        process.kill()
        process.wait()


def is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


# --- limits ----------------------------------------------------------------------------------------------------------


@contextmanager
def limited(**limits: Any) -> Iterator[Any]:
    """A client of a relay with the operator's limits."""
    with calling(create_app(Settings(runner="echo", **limits), open_store=memory.open_store)) as client:
        yield client


def post(client: Any, given: str, **fields: Any) -> httpx.Response:
    found: httpx.Response = client.post("/v1/responses", json={"input": given, "background": True, **fields})
    return found


@pytest.mark.parametrize("stream", [False, True])
def test_one_over_the_limit_of_a_minute_is_refused_at_once_as_one_with_a_client_is(*, stream: bool) -> None:
    with limited(max_per_minute=1) as client:
        first = post(client, "Hi").json()
        refused = post(client, "Hi", stream=stream)
        foreground = client.post("/v1/responses", json={"input": "Hi", "stream": stream})

        assert polled(client, first["id"], is_over)["status"] == "completed"
    assert (refused.status_code, foreground.status_code) == (429, 429)
    assert refused.json() == foreground.json()
    assert 0 < int(refused.headers["retry-after"]) <= 60


def test_one_that_finds_the_queue_full_is_refused_at_once_and_one_that_waits_in_it_is_not() -> None:
    with limited(max_concurrent=1, max_queue=1) as client:
        running = post(client, ENDLESS).json()
        polled(client, running["id"], has_text)
        waiting = post(client, "two").json()
        refused = post(client, "three")

        assert error_of(refused)[:2] == (429, "queue_full")
        assert int(refused.headers["retry-after"]) > 0
        assert client.get(f"/v1/responses/{waiting['id']}").json()["status"] == "queued"
        assert client.post(f"/v1/responses/{running['id']}/cancel").json()["status"] == "cancelled"
        whole = polled(client, waiting["id"], is_over)
    assert (whole["status"], text_of(whole)) == ("completed", "two")


def test_one_of_a_caller_who_has_as_many_as_it_may_have_waits_for_its_turn() -> None:
    with limited(max_concurrent=9, max_per_caller=1) as client:
        first = post(client, ENDLESS).json()
        polled(client, first["id"], has_text)
        second = post(client, "two").json()

        assert second["status"] == "queued"
        assert client.delete(f"/v1/responses/{first['id']}").status_code == 200
        assert polled(client, second["id"], is_over)["status"] == "completed"


def test_one_that_waits_too_long_has_failed() -> None:
    with limited(max_concurrent=1, queue_timeout=0.5) as client:
        first = post(client, ENDLESS).json()
        polled(client, first["id"], has_text)
        second = polled(client, post(client, "two").json()["id"], is_over)

    assert (second["status"], second["error"]["code"]) == ("failed", "queue_timeout")


# --- what is told of them --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cancelled", [False, True])
def test_work_in_the_background_is_counted_and_logged_when_it_is_over(
    fresh: Client, caplog: pytest.LogCaptureFixture, *, cancelled: bool
) -> None:
    caplog.set_level("INFO", "claude_relay.web.access_log")
    response = started(fresh, ENDLESS if cancelled else "one two")
    if cancelled:
        fresh.post(f"/v1/responses/{response['id']}/cancel")
    polled(fresh, response["id"], is_over)
    deadline = time.monotonic() + 5
    while not (lines := [record for record in caplog.records if record.getMessage() == "background"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)

    fields = vars(lines[0])["fields"]
    assert fields.get("error") == ("cancelled" if cancelled else None)
    assert ("completion_tokens" in fields) is not cancelled
    found = fresh.get("/metrics").text
    outcome = "cancelled" if cancelled else "end"
    assert re.search(
        rf'^claude_relay_runs_total{{family="responses",.*outcome="{outcome}".*}} 1\.0$', found, re.MULTILINE
    )
    created = re.search(
        r'^claude_relay_requests_total{error="",path="/v1/responses",.*status="200"} (\S+)$', found, re.MULTILINE
    )
    assert created is not None
