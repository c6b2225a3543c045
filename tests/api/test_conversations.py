"""Conversations: what is in them, which requests go on with them, and who finds them."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.vocabulary import Text
from claude_relay.settings import Settings
from claude_relay.store import memory
from tests.api.conftest import Client
from tests.api.test_stored_responses import ANN, BOB, KEYS, ListeningRunner, ask, error_of
from tests.callers import calling
from tests.unit.responses.bodies import events_of

PATH = "/v1/conversations"
NOT_FOUND = (404, "not_found", "conversation")
SAID = {"type": "message", "role": "user", "content": "My name is Ada."}
LOOK_UPS = [
    ("GET", ""),
    ("POST", ""),
    ("DELETE", ""),
    ("GET", "/items"),
    ("POST", "/items"),
    ("GET", "/items/msg_1"),
    ("DELETE", "/items/msg_1"),
]


def create(client: Client, *items: dict[str, Any], **fields: Any) -> str:
    answer = client.post(PATH, json={"items": items, **fields})
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["id"]
    return found


def texts(client: Client, conversation: str, order: str = "asc") -> list[str]:
    answer = client.get(f"{PATH}/{conversation}/items", params={"order": order, "limit": "100"})
    return [item["content"][0]["text"] for item in answer.json()["data"]]


@pytest.fixture(scope="module")
def callers() -> Iterator[Client]:
    """A client of a relay with two keys."""
    with calling(create_app(KEYS, EchoRunner(), open_store=memory.open_store)) as running:
        yield running


def test_a_conversation_is_made_read_changed_and_deleted(client: Client) -> None:
    made = client.post(PATH, json={"metadata": {"topic": "names"}})
    path = f"{PATH}/{made.json()['id']}"

    found, changed = client.get(path), client.post(path, json={"metadata": {"topic": "ages"}})

    assert made.json()["object"] == "conversation"
    assert (made.json()["id"][:5], made.json()["metadata"]) == ("conv_", {"topic": "names"})
    assert found.json() == made.json()
    assert changed.json() == client.get(path).json() == {**made.json(), "metadata": {"topic": "ages"}}
    deleted = {"id": made.json()["id"], "object": "conversation.deleted", "deleted": True}
    assert client.delete(path).json() == deleted
    assert error_of(client.get(path)) == error_of(client.delete(path)) == NOT_FOUND


def test_an_empty_conversation_has_no_items(client: Client) -> None:
    conversation = client.post(PATH, json={}).json()

    items = client.get(f"{PATH}/{conversation['id']}/items").json()

    assert conversation["metadata"] == {}
    assert items == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


def test_items_are_appended_listed_read_and_removed(client: Client) -> None:
    conversation = create(client, {**SAID, "id": "msg_1"})
    path = f"{PATH}/{conversation}/items"

    added = client.post(path, json={"items": [{"role": "assistant", "content": "Hello Ada."}]}).json()

    assert [item["type"] for item in added["data"]] == ["message"]
    assert added["data"][0]["content"] == [{"type": "output_text", "text": "Hello Ada.", "annotations": []}]
    assert client.get(f"{path}/{added['first_id']}").json() == added["data"][0]
    assert texts(client, conversation) == ["My name is Ada.", "Hello Ada."]
    assert texts(client, conversation, "desc") == ["Hello Ada.", "My name is Ada."]
    assert client.delete(f"{path}/msg_1").json()["id"] == conversation
    assert error_of(client.get(f"{path}/msg_1")) == error_of(client.delete(f"{path}/msg_1"))
    assert error_of(client.get(f"{path}/msg_1")) == (404, "not_found", "item_id")
    assert texts(client, conversation) == ["Hello Ada."]


def test_the_items_come_in_pages(client: Client) -> None:
    conversation = create(client, *({"role": "user", "content": str(number)} for number in range(25)))
    path = f"{PATH}/{conversation}/items"

    first = client.get(path, params={"include[]": "reasoning.encrypted_content"}).json()
    second = client.get(path, params={"after": first["last_id"]}).json()

    assert [len(page["data"]) for page in (first, second)] == [20, 5]
    assert [page["has_more"] for page in (first, second)] == [True, False]
    assert first["data"][0]["content"][0]["text"] == "24"
    assert error_of(client.get(path, params={"after": "msg_unknown"})) == (404, "not_found", "after")


def test_an_item_whose_id_is_there_is_replaced(client: Client) -> None:
    conversation = create(client, {**SAID, "id": "msg_1"}, {**SAID, "id": "msg_2", "content": "And I am 36."})

    client.post(f"{PATH}/{conversation}/items", json={"items": [{**SAID, "id": "msg_1", "content": "I am Bob."}]})

    assert texts(client, conversation) == ["I am Bob.", "And I am 36."]


def test_items_of_two_conversations_with_one_id_are_two(client: Client) -> None:
    first, second = (
        create(client, {**SAID, "id": "msg_1"}),
        create(client, {**SAID, "id": "msg_1", "content": "Other."}),
    )

    found = [client.get(f"{PATH}/{each}/items/msg_1").json()["content"][0]["text"] for each in (first, second)]

    assert found == ["My name is Ada.", "Other."]


@pytest.mark.parametrize("as_object", [False, True])
def test_a_request_goes_on_with_its_conversation_which_gets_its_turn(*, as_object: bool) -> None:
    runner = ListeningRunner()
    with calling(create_app(Settings(), runner, open_store=memory.open_store)) as client:
        conversation = create(client, SAID, {"role": "assistant", "content": "Hello Ada."})
        given: Any = {"id": conversation} if as_object else conversation
        first = ask(client, "What is my name?", conversation=given)
        ask(client, "And now?", conversation=given)

        assert first["conversation"] == {"id": conversation}
        assert client.get(f"/v1/responses/{first['id']}").json() == first
        assert texts(client, conversation)[2:] == ["What is my name?", "What is my name?", "And now?", "And now?"]

    said = ["My name is Ada.", "Hello Ada.", "What is my name?", "What is my name?", "And now?"]
    assert [turn.content for turn in runner.heard[-1].turns] == [(Text(text),) for text in said]


def test_a_streamed_response_is_in_its_conversation_before_its_last_event_is_sent(client: Client) -> None:
    conversation = create(client)
    body = {"input": "Hello", "stream": True, "conversation": conversation}

    told = events_of(client.post("/v1/responses", json=body).text)

    assert told[0]["response"]["conversation"] == told[-1]["response"]["conversation"] == {"id": conversation}
    assert texts(client, conversation) == ["Hello", "Hello"]


def test_a_response_in_the_background_is_in_its_conversation_when_it_is_complete(client: Client) -> None:
    conversation = create(client)
    asked = ask(client, "!echo delay=0.3\nHello", conversation=conversation, background=True)
    before = texts(client, conversation)

    path, deadline = f"/v1/responses/{asked['id']}", time.monotonic() + 20
    while client.get(path).json()["status"] != "completed" and time.monotonic() < deadline:
        time.sleep(0.05)

    assert (asked["conversation"], before) == ({"id": conversation}, [])
    assert texts(client, conversation)[1] == "Hello"


def test_a_response_without_a_conversation_names_none(client: Client) -> None:
    assert "conversation" not in ask(client, "Hello")


def test_what_failed_or_is_not_to_be_kept_is_not_in_the_conversation(client: Client) -> None:
    conversation = create(client, SAID, {"role": "assistant", "content": "Hello."})

    failed = {"input": "!echo error=502 after=1\na b", "stream": True, "conversation": conversation}
    client.post("/v1/responses", json=failed)
    ask(client, "Forget this.", conversation=conversation, store=False)

    assert texts(client, conversation) == ["My name is Ada.", "Hello."]


def test_an_answer_that_was_cut_off_is_in_the_conversation(client: Client) -> None:
    conversation = create(client)

    assert ask(client, "!echo stop=length\nabc", conversation=conversation)["status"] == "incomplete"

    assert texts(client, conversation)[1] == "abc"


def test_an_item_may_be_a_reference_to_one_that_was_kept(client: Client) -> None:
    response = ask(client, [{**SAID, "id": "msg_kept"}])
    reference = {"type": "item_reference", "id": "msg_kept"}

    conversation = create(client, reference, {"id": response["output"][0]["id"]})

    assert texts(client, conversation) == ["My name is Ada."] * 2
    refused = client.post(PATH, json={"items": [{"type": "item_reference", "id": "msg_never_kept"}]})
    assert error_of(refused) == (404, "not_found", "items[0].id")


def test_a_conversation_and_its_responses_are_deleted_apart(client: Client) -> None:
    conversation = create(client)
    first, second = (ask(client, text, conversation=conversation) for text in ("one", "two"))

    client.delete(f"/v1/responses/{first['id']}")
    assert texts(client, conversation) == ["one", "one", "two", "two"]
    client.delete(f"{PATH}/{conversation}")

    assert client.get(f"/v1/responses/{second['id']}").status_code == 200
    refused = client.post("/v1/responses", json={"input": "three", "conversation": conversation})
    assert error_of(refused) == NOT_FOUND


def test_a_conversation_and_a_previous_response_exclude_each_other(client: Client) -> None:
    body = {"input": "x", "conversation": create(client), "previous_response_id": ask(client, "Hello")["id"]}

    assert error_of(client.post("/v1/responses", json=body)) == (400, "mutually_exclusive_parameters", "conversation")


def test_errors_in_what_a_conversation_has_name_the_conversation(client: Client) -> None:
    conversation = create(client, {"type": "function_call", "call_id": "c"})

    answer = client.post("/v1/responses", json={"input": "x", "conversation": conversation})

    assert error_of(answer) == (400, "missing_required_parameter", "conversation.name")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"items": 5}, (400, "invalid_value", "items")),
        ({"items": ["x"]}, (400, "invalid_value", "items[0]")),
        ({"items": [{}]}, (400, "missing_required_parameter", "items[0].type")),
        ({"items": [{"type": 5}]}, (400, "invalid_value", "items[0].type")),
        ({"items": [{"role": "someone"}]}, (400, "invalid_value", "items[0].role")),
        ({"items": [SAID, {**SAID, "content": [{"type": "input_audio"}]}]}, (400, "invalid_value", None)),
        ({"metadata": "x"}, (400, "invalid_value", "metadata")),
        ({"metadata": {"a": 5}}, (400, "invalid_value", "metadata[...]")),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_place(client: Client, body: Any, error: Any) -> None:
    found = error_of(client.post(PATH, json=body))

    assert found[:2] == error[:2]
    assert error[2] is None or found[2] == error[2]


def test_too_many_items_are_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claude_relay.responses.conversations.inbound.MOST_ITEMS", 2)

    assert error_of(client.post(PATH, json={"items": [SAID] * 3}))[2] == "items"


def test_what_is_large_is_kept_whole(client: Client) -> None:
    long = "x" * 200_000

    assert texts(client, create(client, {**SAID, "content": long})) == [long]


@pytest.mark.parametrize("method_and_path", LOOK_UPS)
@pytest.mark.parametrize("conversation", ["conv_unknown", "%C3%BC", "x" * 500, "%00"])
def test_an_id_of_any_kind_is_not_found(client: Client, method_and_path: tuple[str, str], conversation: str) -> None:
    method, path = method_and_path
    body = {"items": [SAID]} if method == "POST" else None

    assert error_of(client.request(method, f"{PATH}/{conversation}{path}", json=body)) == NOT_FOUND


@pytest.mark.parametrize("method_and_path", LOOK_UPS)
def test_nothing_of_another_caller_is_found(callers: Client, method_and_path: tuple[str, str]) -> None:
    method, path = method_and_path
    made = callers.post(PATH, json={"items": [{**SAID, "id": "msg_1"}]}, headers=ANN).json()["id"]
    body = {"items": [SAID]} if method == "POST" else None

    assert error_of(callers.request(method, f"{PATH}/{made}{path}", json=body, headers=BOB)) == NOT_FOUND
    refused = callers.post("/v1/responses", json={"input": "x", "conversation": made}, headers=BOB)
    assert error_of(refused) == NOT_FOUND
    assert callers.get(f"{PATH}/{made}/items/msg_1", headers=ANN).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("GET", "/conv_1"), ("GET", "/conv_1/items")])
def test_a_relay_that_keeps_nothing_says_so(method: str, path: str) -> None:
    with calling(create_app(Settings(store=False), EchoRunner())) as client:
        answer = client.request(method, f"{PATH}{path}", json={} if method == "POST" else None)
        asked = client.post("/v1/responses", json={"input": "x", "conversation": "conv_1"})

    assert error_of(answer) == (400, "nothing_stored", None)
    assert error_of(asked) == NOT_FOUND
    assert "Nothing is stored here" in asked.json()["error"]["message"]
