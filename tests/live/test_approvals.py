"""Tools that need permission, over the real CLI: who is asked, how it goes on, and what is left when nobody answers."""

import json
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import FakeUpstream, Message, Text, ToolUse, text


def touching(name: str, call_id: str = "toolu_1") -> ToolUse:
    """Return a call that needs permission, and shows whether it was made."""
    return ToolUse(call_id, "Bash", {"command": f"touch {name}; echo made"})


@pytest.fixture(scope="module")
def asking_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("asking")


@pytest.fixture(scope="module")
def shared(shared_upstream: FakeUpstream, claude_path: str, asking_home: Path) -> Iterator[Relay]:
    environ = clean_environment(asking_home, shared_upstream)
    with relay(asking_home, environ, claude_path=claude_path, permission_mode="ask", max_concurrent=2) as running:
        yield running


@pytest.fixture
def asking(shared: Relay, upstream: FakeUpstream) -> Relay:
    """A relay that asks its callers."""
    shared.settle()
    upstream.clear()
    return shared


def ask(relay: Relay, given: Any, **fields: Any) -> dict[str, Any]:
    answer = relay.http.post("/v1/responses", json={"model": "sonnet:agent", "input": given, **fields})
    found: dict[str, Any] = answer.json()
    assert answer.status_code == 200, found
    return found


def decided(request: dict[str, Any], *, approve: bool, **fields: Any) -> dict[str, Any]:
    return {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": approve, **fields}


def of(response: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [item for item in response["output"] if item["type"] == kind]


def result(upstream: FakeUpstream) -> dict[str, Any]:
    """Return the last result of a tool that the model was told."""
    body = upstream.messages_requests[-1].body
    assert body is not None
    blocks = [block for turn in body["messages"] for block in turn["content"] if isinstance(block, dict)]
    found: dict[str, Any] = [block for block in blocks if block["type"] == "tool_result"][-1]
    return found


def test_a_response_ends_with_a_request_for_permission_and_goes_on_in_the_same_process(
    asking: Relay, asking_home: Path, upstream: FakeUpstream
) -> None:
    upstream.replies(Message(blocks=(Text("I make it."), touching("a"))), text("It is made."), text("Bye."))
    asked: list[Any] = [{"role": "user", "content": "Make it."}]

    first = ask(asking, asked)
    (request,) = of(first, "mcp_approval_request")
    assert [item["type"] for item in first["output"]] == ["message", "mcp_approval_request"]
    assert (first["status"], request["server_label"], request["name"]) == ("completed", "claude_code", "Bash")
    assert json.loads(request["arguments"]) == {"command": "touch a; echo made"}
    assert not (asking_home / "a").exists()
    assert asking.processes()["busy"] == 1

    second = ask(asking, [decided(request, approve=True)], previous_response_id=first["id"])
    assert (asking_home / "a").exists()
    (call,) = of(second, "mcp_call")
    assert (call["output"], call["status"], call["approval_request_id"]) == ("made", "completed", request["id"])
    assert second["output"][-1]["content"][0]["text"] == "It is made."
    assert second["usage"]["output_tokens"] == first["usage"]["output_tokens"] // 2
    assert len(upstream.messages_requests) == 2

    asking.settle()
    reused = asking.processes()["reused"]
    whole = [*asked, *first["output"], decided(request, approve=True), *second["output"]]
    ask(asking, [*whole, {"role": "user", "content": "Thanks."}])
    assert asking.processes()["reused"] == reused + 1


def test_a_denial_is_told_to_the_model_with_its_reason(
    asking: Relay, asking_home: Path, upstream: FakeUpstream
) -> None:
    upstream.replies(Message(blocks=(touching("b"),)), text("I see."))

    first = ask(asking, "Make it.", stream=False, store=False)
    (request,) = of(first, "mcp_approval_request")
    answer = decided(request, approve=False, reason="Not on a Sunday.")
    second = ask(asking, [{"role": "user", "content": "Make it."}, *first["output"], answer])

    assert not (asking_home / "b").exists()
    assert "Not on a Sunday." in str(result(upstream)["content"])
    (call,) = of(second, "mcp_call")
    assert (call["status"], call["output"]) == ("failed", None)
    assert "Not on a Sunday." in str(call["error"])


def test_several_requests_are_answered_at_once(asking: Relay, upstream: FakeUpstream) -> None:
    fetching = [ToolUse(f"toolu_{n}", "WebFetch", {"url": f"http://127.0.0.{n}:1/", "prompt": "?"}) for n in (1, 2)]
    upstream.replies(Message(blocks=tuple(fetching)), text("Neither."))

    first = ask(asking, "Fetch both.")
    one, two = of(first, "mcp_approval_request")
    half = asking.http.post(
        "/v1/responses",
        json={"input": [decided(one, approve=True)], "previous_response_id": first["id"], "model": "sonnet:agent"},
    )
    both = [decided(one, approve=False), decided(two, approve=False)]
    second = ask(asking, both, previous_response_id=first["id"])

    assert (half.status_code, half.json()["error"]["param"]) == (400, "input")
    assert two["id"] in half.json()["error"]["message"]
    assert [call["approval_request_id"] for call in of(second, "mcp_call")] == [one["id"], two["id"]]
    assert second["output"][-1]["content"][0]["text"] == "Neither."


def test_one_tool_after_the_other_asks(asking: Relay, asking_home: Path, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(touching("c"), touching("d", "toolu_2"))), text("Both."))

    response = ask(asking, "Make both.")
    for _ in range(2):
        (request,) = of(response, "mcp_approval_request")
        response = ask(asking, [decided(request, approve=True)], previous_response_id=response["id"])

    assert (asking_home / "c").exists()
    assert (asking_home / "d").exists()
    assert response["output"][-1]["content"][0]["text"] == "Both."


def test_what_does_not_wait_any_more_is_refused_and_nothing_is_done(asking: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(touching("e"),)), text("Done."))
    first = ask(asking, "Make it.")
    (request,) = of(first, "mcp_approval_request")
    ask(asking, [decided(request, approve=False)], previous_response_id=first["id"])
    asked = len(upstream.messages_requests)

    body = {"model": "sonnet", "input": [decided(request, approve=True)], "previous_response_id": first["id"]}
    again = asking.http.post("/v1/responses", json=body)

    assert (again.status_code, again.json()["error"]["param"]) == (400, "input")
    assert again.json()["error"]["code"] == "approval_not_found"
    assert len(upstream.messages_requests) == asked


def test_a_stream_of_a_chat_waits_until_it_is_answered_elsewhere(
    asking: Relay, asking_home: Path, upstream: FakeUpstream
) -> None:
    upstream.replies(Message(blocks=(touching("f"),)), text("Done."))
    body = {"model": "sonnet:agent", "messages": [{"role": "user", "content": "Make it."}], "stream": True}
    heard: list[str] = []

    def listen() -> None:
        with asking.http.stream("POST", "/v1/chat/completions", json=body) as response:
            heard.extend(response.iter_lines())

    listening = threading.Thread(target=listen)
    listening.start()
    asking.wait_until(lambda: waiting(asking), 20)
    (found,) = waiting(asking)
    assert (found["object"], found["name"], found["arguments"]["command"]) == ("approval", "Bash", "touch f; echo made")
    answer = asking.http.post(f"/v1/approvals/{found['id']}", json={"approve": True})
    listening.join(20)

    assert answer.json() == {"id": found["id"], "object": "approval.decision", "approve": True}
    assert (asking_home / "f").exists()
    assert heard[-2] == "data: [DONE]"
    assert waiting(asking) == []
    assert asking.http.post(f"/v1/approvals/{found['id']}", json={"approve": True}).status_code == 404


def test_a_client_that_leaves_ends_the_wait_and_the_process(asking: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(touching("g"),)), text("Done."))
    body = {"model": "sonnet:agent", "messages": [{"role": "user", "content": "Make it."}]}

    leaving = HTTPConnection(asking.url.removeprefix("http://"))
    leaving.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
    asking.wait_until(lambda: waiting(asking), 20)
    leaving.close()

    asking.wait_until(lambda: waiting(asking) == [])
    asking.settle()
    assert len(upstream.messages_requests) == 1


def test_nobody_answers_and_the_tool_is_denied_or_the_process_ended(
    home: Path, upstream: FakeUpstream, claude_path: str
) -> None:
    upstream.replies(Message(blocks=(touching("h"),)), text("I see."), Message(blocks=(touching("h"),)))
    choices: dict[str, Any] = {"permission_mode": "ask", "approval_timeout": 1, "silence_timeout": 1}
    with relay(home, clean_environment(home, upstream), claude_path=claude_path, **choices) as running:
        chat = running.chat("Make it.", model="sonnet:agent").json()
        assert "within 1 seconds" in str(result(upstream)["content"])
        first = ask(running, "Make it.")
        (request,) = of(first, "mcp_approval_request")
        time.sleep(1.2)
        running.settle()
        body = {"model": "sonnet", "input": [decided(request, approve=True)], "previous_response_id": first["id"]}
        late = running.http.post("/v1/responses", json=body)
        # what waits when the relay stops ends with it
        upstream.replies(Message(blocks=(touching("h"),)))
        assert of(ask(running, "Make it."), "mcp_approval_request")

    assert chat["choices"][0]["message"]["content"] == "I see."
    assert (late.status_code, late.json()["error"]["code"]) == (400, "approval_not_found")
    assert not (home / "h").exists()


def waiting(relay: Relay) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = relay.http.get("/v1/approvals").json()["data"]
    return found
