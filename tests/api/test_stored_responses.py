"""Responses that were kept: what can go on from them, who finds them, and what is told of them."""

import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.vocabulary import Event, RunRequest, Text
from claude_relay.errors import UnavailableError
from claude_relay.settings import Settings
from claude_relay.store import memory
from claude_relay.store.protocol import Store
from tests.api.conftest import Client
from tests.callers import calling
from tests.unit.responses.bodies import events_of

KEYS = Settings(api_keys=("ann=key-of-ann", "bob=key-of-bob"))
ANN, BOB = {"authorization": "Bearer key-of-ann"}, {"authorization": "Bearer key-of-bob"}
LOOK_UPS = [("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")]


class ListeningRunner(EchoRunner):
    """Remembers what it is asked."""

    def __init__(self) -> None:
        self.heard: list[RunRequest] = []

    def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        """Answer as the echo does."""
        self.heard.append(request)
        return super().run(request)


def ask(client: Client, given: Any, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/responses", json={"input": given, **fields})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def error_of(answer: Any) -> tuple[int, str | None, str | None]:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return answer.status_code, error["code"], error["param"]


@pytest.fixture(scope="module")
def callers() -> Iterator[Client]:
    """A client of a relay with two keys."""
    with calling(create_app(KEYS, EchoRunner(), open_store=memory.open_store)) as running:
        yield running


@pytest.fixture
def broken() -> Iterator[Client]:
    """A client of a relay whose store fails whenever it is used."""

    class Broken:
        def __getattr__(self, name: str) -> Any:
            async def fail(*_: object, **__: object) -> None:
                raise UnavailableError("The store cannot be used: full.", code="store_unavailable")

            return fail

    @asynccontextmanager
    async def open_store() -> AsyncIterator[Store]:
        yield Broken()

    with calling(create_app(Settings(), EchoRunner(), open_store=open_store)) as running:
        yield running


def test_a_response_says_that_it_is_kept_and_is_found_again_as_it_was(client: Client) -> None:
    response = ask(client, "Hello", metadata={"a": "b"})

    assert response["store"] is True
    found = client.get(f"/v1/responses/{response['id']}")
    assert (found.status_code, found.json()) == (200, response)
    assert found.headers["content-type"] == "application/json"


def test_what_sdks_put_into_the_query_of_a_response_changes_nothing(client: Client) -> None:
    response = ask(client, "Hello")
    query = "include[]=reasoning.encrypted_content&include_obfuscation=false&stream=false"

    assert client.get(f"/v1/responses/{response['id']}?{query}").json() == response


def test_answers_that_are_not_kept_have_ids_of_their_own(client: Client) -> None:
    first, second = (ask(client, "Hello", store=False) for _ in range(2))

    assert first["id"] != second["id"]
    assert first["output"][0]["id"] != second["output"][0]["id"]


def test_a_streamed_response_is_kept_before_its_last_event_is_sent(client: Client) -> None:
    with client.stream("POST", "/v1/responses", json={"input": "Hello", "stream": True}) as stream:
        told = events_of(stream.read().decode())

    assert told[0]["response"]["store"] is True
    last = told[-1]["response"]
    assert client.get(f"/v1/responses/{last['id']}").json() == last


def test_the_conversation_goes_on_from_a_response_without_its_instructions() -> None:
    runner = ListeningRunner()
    with calling(create_app(Settings(), runner, open_store=memory.open_store)) as client:
        first = ask(client, "one", instructions="Of the first only.")
        second = ask(client, [{"role": "user", "content": "two"}], previous_response_id=first["id"])
        ask(client, "three", previous_response_id=second["id"], store=False, instructions="Of the third.")

    assert second["previous_response_id"] == first["id"]
    assert [request.system for request in runner.heard] == ["Of the first only.", None, "Of the third."]
    turns = runner.heard[-1].turns
    assert [turn.role for turn in turns] == ["user", "assistant", "user", "assistant", "user"]
    assert [turn.content for turn in turns] == [(Text(said),) for said in ("one", "one", "two", "two", "three")]


def test_calls_that_were_kept_take_outputs_and_their_conversation_stays_with_the_plain_model(client: Client) -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    first = ask(
        client, [{"role": "user", "content": "?"}, call, {**call, "type": "function_call_output", "output": "1"}]
    )
    again = {"input": [{"type": "function_call_output", "call_id": "c", "output": "2"}]}

    answer = client.post("/v1/responses", json={"input": "And?", "previous_response_id": first["id"]})
    refused = client.post("/v1/responses", json={**again, "previous_response_id": first["id"]})

    assert answer.headers["x-claude-relay-personality"] == "chat"
    # errors name the items of the request itself
    assert error_of(refused) == (400, "invalid_value", "input[0].call_id")


def test_a_reference_stands_for_an_item_of_a_question_or_an_answer(client: Client) -> None:
    first = ask(client, [{"id": "msg_mine", "role": "user", "content": "one"}])
    references = [{"type": "item_reference", "id": "msg_mine"}, {"id": first["output"][0]["id"]}]

    second = ask(client, [*references, {"role": "user", "content": "two"}])

    items = client.get(f"/v1/responses/{second['id']}/input_items?order=asc").json()["data"]
    assert [item["content"][0]["text"] for item in items] == ["one", "one", "two"]
    assert [item["role"] for item in items] == ["user", "assistant", "user"]


def test_the_items_of_a_question_come_in_pages_newest_first(client: Client) -> None:
    response = ask(client, [{"role": "user", "content": str(number)} for number in range(25)])
    path = f"/v1/responses/{response['id']}/input_items"

    first = client.get(path).json()
    second = client.get(path, params={"after": first["last_id"], "limit": "4"}).json()
    third = client.get(path, params={"after": second["last_id"], "include[]": "x"}).json()
    ascending = client.get(path, params={"order": "asc", "limit": "100"}).json()

    assert [len(page["data"]) for page in (first, second, third)] == [20, 4, 1]
    assert [page["has_more"] for page in (first, second, third, ascending)] == [True, True, False, False]
    assert (first["object"], first["first_id"]) == ("list", first["data"][0]["id"])
    texts = [item["content"][0]["text"] for page in (first, second, third) for item in page["data"]]
    assert texts == [str(number) for number in reversed(range(25))]
    assert texts[::-1] == [item["content"][0]["text"] for item in ascending["data"]]
    assert len({item["id"] for item in ascending["data"]}) == 25
    assert {(item["type"], item["content"][0]["type"]) for item in ascending["data"]} == {("message", "input_text")}


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("limit=0", (400, "invalid_value", "limit")),
        ("limit=101", (400, "invalid_value", "limit")),
        ("limit=x", (400, "invalid_value", "limit")),
        ("order=up", (400, "invalid_value", "order")),
        ("after=msg_unknown", (404, "not_found", "after")),
        ("after=%C3%BC", (404, "not_found", "after")),
    ],
)
def test_a_page_that_cannot_be_is_refused_with_the_parameters_name(
    client: Client, query: str, error: tuple[int, str, str]
) -> None:
    response = ask(client, "Hello")

    assert error_of(client.get(f"/v1/responses/{response['id']}/input_items?{query}")) == error


def test_what_is_deleted_is_gone(client: Client) -> None:
    response = ask(client, "Hello")
    path = f"/v1/responses/{response['id']}"

    deleted = client.delete(path)

    assert (deleted.status_code, deleted.json()) == (200, {"id": response["id"], "object": "response", "deleted": True})
    assert error_of(client.get(path)) == error_of(client.delete(path)) == (404, "not_found", None)
    body = {"input": [{"type": "item_reference", "id": response["output"][0]["id"]}]}
    assert error_of(client.post("/v1/responses", json=body)) == (404, "not_found", "input[0].id")


def test_a_response_that_is_complete_can_neither_be_cancelled_nor_streamed_again(client: Client) -> None:
    path = f"/v1/responses/{ask(client, 'Hello')['id']}"

    cancelled, streamed = client.post(f"{path}/cancel"), client.get(f"{path}?stream=true&starting_after=3")

    assert cancelled.status_code == streamed.status_code == 400
    assert cancelled.json()["error"]["message"] == "Cannot cancel a synchronous response."
    assert "background=true" in streamed.json()["error"]["message"]


def test_nothing_of_another_caller_is_found(callers: Client) -> None:
    mine = callers.post("/v1/responses", json={"input": [{"id": "msg_1", "role": "user", "content": "x"}]}, headers=ANN)
    response = mine.json()

    for method, path in LOOK_UPS:
        answer = callers.request(method, f"/v1/responses/{response['id']}{path}", headers=BOB)
        assert error_of(answer) == (404, "not_found", None)
    going_on = {"input": "x", "previous_response_id": response["id"]}
    refused = callers.post("/v1/responses", json=going_on, headers=BOB)
    assert error_of(refused) == (400, "previous_response_not_found", "previous_response_id")
    for item_id in ("msg_1", response["output"][0]["id"]):
        referring = {"input": [{"type": "item_reference", "id": item_id}]}
        assert callers.post("/v1/responses", json=referring, headers=BOB).status_code == 404
    assert callers.post("/v1/responses", json=going_on, headers=ANN).status_code == 200


def test_nothing_of_a_request_that_says_so_is_kept(client: Client) -> None:
    response = ask(client, [{"id": "msg_1", "role": "user", "content": "x"}], store=False)

    assert response["store"] is False
    for method, path in LOOK_UPS:
        assert client.request(method, f"/v1/responses/{response['id']}{path}").status_code == 404
    for item_id in ("msg_1", response["output"][0]["id"]):
        referring = {"input": [{"type": "item_reference", "id": item_id}]}
        answer = client.post("/v1/responses", json=referring)
        assert error_of(answer) == (404, "not_found", "input[0].id")
        assert "Items are not persisted when `store` is set to false." in answer.json()["error"]["message"]


@pytest.mark.parametrize("options", ["after=1", "after=0 delay=0.2"])
def test_a_stream_that_failed_is_kept_as_failed(options: str) -> None:
    body = {"input": f"!echo error=502 {options}\na b", "stream": True}
    with calling(create_app(Settings(first_byte=0.05), EchoRunner(), open_store=memory.open_store)) as client:
        *_, failed = events_of(client.post("/v1/responses", json=body).text)
        found = client.get(f"/v1/responses/{failed['response']['id']}").json()

    assert found == failed["response"]
    assert (found["status"], found["error"]["code"], found["store"]) == ("failed", "server_is_overloaded", True)


@pytest.mark.parametrize("method_and_path", LOOK_UPS)
@pytest.mark.parametrize("response_id", ["resp_unknown", "%C3%BC", "x" * 500, "%00"])
def test_an_id_of_any_kind_is_not_found(client: Client, method_and_path: tuple[str, str], response_id: str) -> None:
    method, path = method_and_path

    assert error_of(client.request(method, f"/v1/responses/{response_id}{path}")) == (404, "not_found", None)


@pytest.mark.parametrize("given", ["ü", "", "x" * 500, "\0", "resp_unknown"])
def test_a_response_that_never_was_cannot_be_gone_on_from(client: Client, given: str) -> None:
    answer = client.post("/v1/responses", json={"input": "x", "previous_response_id": given})

    assert error_of(answer) == (400, "previous_response_not_found", "previous_response_id")


def test_ids_that_cannot_be_kept_are_replaced_so_that_no_item_is_lost(client: Client) -> None:
    same = {"id": "msg_same", "role": "user"}
    odd = [{**same, "content": "a"}, {**same, "content": "b"}, {"id": 5, "role": "user", "content": "c"}]
    response = ask(client, [*odd, {"id": "ü", "role": "user", "content": "d"}])

    items = client.get(f"/v1/responses/{response['id']}/input_items?order=asc").json()["data"]

    assert [item["content"][0]["text"] for item in items] == ["a", "b", "c", "d"]
    assert items[0]["id"] == "msg_same"
    assert all(item["id"].startswith("msg_") for item in items)


def test_without_a_store_nothing_is_kept_and_the_answer_says_so() -> None:
    with calling(create_app(Settings(store=False), EchoRunner())) as client:
        response = ask(client, "Hello", store=True)
        going_on = client.post("/v1/responses", json={"input": "x", "previous_response_id": response["id"]})

        assert response["store"] is False
        assert error_of(going_on) == (400, "previous_response_not_found", "previous_response_id")
        for method, path in LOOK_UPS:
            answer = client.request(method, f"/v1/responses/{response['id']}{path}")
            assert error_of(answer) == (404, "not_found", None)


def test_a_store_that_cannot_be_opened_costs_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with calling(create_app(Settings(state_dir=str(tmp_path / "file")), EchoRunner())) as client:
        assert ask(client, "Hello")["store"] is False

    (told,) = [record for record in caplog.records if "not kept" in record.getMessage()]
    assert told.levelno == logging.WARNING


@pytest.mark.parametrize("stream", [False, True])
def test_a_store_that_fails_costs_no_answer(broken: Client, stream: bool) -> None:
    answer = broken.post("/v1/responses", json={"input": "Hello", "stream": stream})

    response = events_of(answer.text)[-1]["response"] if stream else answer.json()
    assert (response["status"], response["store"]) == ("completed", False)
    going_on = broken.post("/v1/responses", json={"input": "x", "previous_response_id": "resp_1"})
    assert error_of(going_on)[:2] == (503, "server_is_overloaded")


def test_responses_are_in_the_users_directory_and_nobody_else_reads_them(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path / "state"))
    with calling(create_app(settings, EchoRunner())) as client:
        response = ask(client, "Hello")
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
    with calling(create_app(settings, EchoRunner())) as client:
        assert client.get(f"/v1/responses/{response['id']}").json() == response

    assert modes["store.sqlite3"] == 0o600
    assert set(modes.values()) == {0o600}


def test_a_response_is_kept_for_as_many_days_as_the_operator_says(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    settings = Settings(store_days=2)
    with calling(create_app(settings, EchoRunner(), open_store=memory.open_store)) as client:
        path = f"/v1/responses/{ask(client, 'Hello')['id']}"
        monkeypatch.setattr(time, "time", lambda: now + 2 * 86400)
        assert client.get(path).status_code == 200
        monkeypatch.setattr(time, "time", lambda: now + 3 * 86400)
        assert client.get(path).status_code == 404


def test_what_is_kept_is_json_as_deep_as_a_request_may_be(client: Client) -> None:
    deep = '{"a":' * 500 + "1" + "}" * 500
    body = f'{{"input":[{{"role":"user","content":"x","extra":{deep}}}]}}'

    answer = client.post("/v1/responses", content=body, headers={"content-type": "application/json"})

    items = client.get(f"/v1/responses/{answer.json()['id']}/input_items").json()["data"]
    assert items[0]["extra"] == json.loads(deep)
