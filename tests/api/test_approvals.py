"""What waits for permission, over HTTP: listed and decided by who asked, and by nobody else."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from claude_relay.asgi import create_app
from claude_relay.engine.approvals import Approval, Approvals
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.pausing import PausingRunner
from claude_relay.engine.vocabulary import (
    ApprovalRequested,
    Decision,
    Event,
    RunEnd,
    RunPaused,
    RunRequest,
    TextDelta,
    ToolActivity,
    ToolOutcome,
    Usage,
)
from claude_relay.settings import Settings
from claude_relay.store import memory
from tests.api.conftest import Client
from tests.callers import calling

KEYS = Settings(api_keys=("ann=key-of-ann", "bob=key-of-bob"), permission_mode="ask", reasoning=True)
ANN, BOB = {"authorization": "Bearer key-of-ann"}, {"authorization": "Bearer key-of-bob"}
ARGUMENTS = {"command": "ls"}


class AskingRunner(EchoRunner):
    """Asks whether a tool may be used, and says what it heard."""

    def __init__(self, approvals: Approvals) -> None:
        self._approvals = approvals

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        """Ask."""
        answer: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()

        async def respond(decision: Decision) -> None:
            answer.set_result(decision)

        approval = Approval("mcpr_1", request.caller, "Bash", ARGUMENTS, request.model, 1_790_000_000, "req_1")
        self._approvals.ask(approval, respond)
        yield ToolActivity("Bash", "ls", ARGUMENTS, "t1")
        yield ApprovalRequested("mcpr_1", "t1", "Bash", ARGUMENTS)
        yield RunPaused(Usage(1, 0, 0, 1))
        decision = await answer
        yield ToolOutcome("t1", decision.reason or "ok", is_error=not decision.approve)
        yield TextDelta(f"{decision.approve}: {decision.reason}")
        yield RunEnd("end", Usage(2, 0, 0, 3))


@pytest.fixture
def client() -> Iterator[Client]:
    approvals = Approvals(20)
    runner = PausingRunner(AskingRunner(approvals), approvals)
    with calling(create_app(KEYS, runner, open_store=memory.open_store, approvals=approvals)) as running:
        yield running


def chat(client: Client) -> dict[str, Any]:
    body = {"model": "sonnet:agent", "messages": [{"role": "user", "content": "Hi"}]}
    found: dict[str, Any] = client.post("/v1/chat/completions", json=body, headers=ANN).json()
    return found


def waiting(client: Client, headers: dict[str, str]) -> list[dict[str, Any]]:
    answer = client.get("/v1/approvals", headers=headers)
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def decide(client: Client, headers: dict[str, str], body: Any = None) -> Any:
    return client.post("/v1/approvals/mcpr_1", json=body or {"approve": True}, headers=headers)


def error(answer: Any) -> tuple[int, Any, Any]:
    found = answer.json()["error"]
    return answer.status_code, found["code"], found["param"]


def test_a_chat_waits_for_the_decision_of_who_asked_and_nobody_else_sees_it(client: Client) -> None:
    with ThreadPoolExecutor() as pool:
        asking = pool.submit(chat, client)
        while not waiting(client, ANN):
            assert not asking.done()
        (found,) = waiting(client, ANN)
        of_others = waiting(client, BOB)
        while_it_waits = client.get("/metrics", headers=ANN).text
        refused = [decide(client, BOB), decide(client, ANN, {"approve": "yes"}), decide(client, ANN, {"reason": "x"})]
        decided = decide(client, ANN, {"approve": False, "reason": "Not now."})
        answer = asking.result(10)

    assert found == {
        "id": "mcpr_1",
        "object": "approval",
        "name": "Bash",
        "arguments": ARGUMENTS,
        "model": "sonnet",
        "created_at": 1_790_000_000,
        "request_id": "req_1",
    }
    assert of_others == []
    assert "claude_relay_approvals_waiting 1.0" in while_it_waits
    figures = client.get("/metrics", headers=ANN).text
    assert "claude_relay_approvals_waiting 0.0" in figures
    assert 'claude_relay_approval_seconds_count{outcome="denied"} 1.0' in figures
    assert list(map(error, refused)) == [
        (404, "approval_not_found", None),
        (400, "invalid_value", "approve"),
        (400, "missing_required_parameter", "approve"),
    ]
    assert decided.json() == {"id": "mcpr_1", "approve": False, "object": "approval.decision"}
    assert answer["choices"][0]["message"]["content"] == "False: Not now."
    assert error(decide(client, ANN)) == (404, "approval_not_found", None)


def test_a_response_ends_and_is_gone_on_from_by_who_asked(client: Client) -> None:
    first = client.post("/v1/responses", json={"model": "sonnet:agent", "input": "Hi"}, headers=ANN).json()
    held, here = waiting(client, ANN), decide(client, ANN)
    answer = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    body = {"model": "sonnet:agent", "input": [*first["output"], answer]}
    anothers = client.post("/v1/responses", json=body, headers=BOB)
    body = {"model": "sonnet:agent", "input": [answer], "previous_response_id": first["id"]}
    second = client.post("/v1/responses", json=body, headers=ANN).json()
    kept = client.get(f"/v1/responses/{first['id']}", headers=ANN).json()
    again = client.post("/v1/responses", json=body, headers=ANN)

    assert [item["type"] for item in first["output"]] == ["mcp_approval_request"]
    assert kept == first
    assert [each["id"] for each in held] == ["mcpr_1"]
    assert error(here)[:2] == (400, "approval_of_response")
    assert error(anothers) == error(again) == (400, "approval_not_found", "input")
    assert [item["type"] for item in second["output"]] == ["mcp_call", "message"]
    assert second["output"][0]["approval_request_id"] == "mcpr_1"
    assert (first["usage"]["output_tokens"], second["usage"]["output_tokens"]) == (1, 2)


@pytest.mark.parametrize("method", ["cancel", "delete"])
def test_a_response_that_is_cancelled_or_deleted_waits_no_more(client: Client, method: str) -> None:
    body = {"model": "sonnet:agent", "input": "Hi", "background": True}
    first = client.post("/v1/responses", json=body, headers=ANN).json()
    path = f"/v1/responses/{first['id']}"
    deadline = time.monotonic() + 5
    while client.get(path, headers=ANN).json()["status"] != "completed":
        assert time.monotonic() < deadline
    held = waiting(client, ANN)
    of_others = client.post(f"{path}/cancel", headers=BOB), client.delete(path, headers=BOB)
    still = waiting(client, ANN)

    ended = client.post(f"{path}/cancel", headers=ANN) if method == "cancel" else client.delete(path, headers=ANN)

    assert [answer.status_code for answer in of_others] == [404, 404]
    assert ended.status_code == 200
    assert len(held) == len(still) == 1
    assert waiting(client, ANN) == []


def test_who_has_no_key_sees_nothing(client: Client) -> None:
    assert client.get("/v1/approvals").status_code == decide(client, {}).status_code == 401


def test_where_callers_are_not_asked_an_answer_to_nothing_is_an_error() -> None:
    answer = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    approvals = Approvals(20)
    app = create_app(Settings(), PausingRunner(EchoRunner(), approvals), open_store=memory.open_store)

    with calling(app) as running:
        assert error(running.post("/v1/responses", json={"input": [answer]})) == (400, "approval_not_found", "input")
        assert running.get("/v1/approvals").json() == {"data": [], "object": "list"}
