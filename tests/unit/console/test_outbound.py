"""What the page is told."""

import json

import msgspec
import pytest

from claude_relay.console import outbound, page
from claude_relay.engine.approvals import Approval
from claude_relay.engine.runner import RunnerHealth
from claude_relay.store.protocol import Item, Key, Page, Record

PROCESSES = {"starting": 1, "spare": 2, "idle": 3, "busy": 4, "ending": 5, "reused": 6, "reset": 7}


def record(number: int, output: object = (), **fields: object) -> Record:
    body = {"id": f"resp_{number}", "created_at": number, "status": "completed", "model": "sonnet", **fields}
    return Record(Key("ann", "response", f"resp_{number}"), json.dumps({**body, "output": output}).encode(), 9.0)


def test_the_state_has_processes_by_what_they_do() -> None:
    health = RunnerHealth(
        "ok", {"processes": PROCESSES, "waiting": 2, "claude_version": "2.1", "limits": {"answers": 8}}
    )

    state = outbound.state(health, [], [])

    assert state.processes == {"starting": 1, "spare": 2, "idle": 3, "busy": 4, "ending": 5}
    assert (state.waiting, state.claude_version, state.limits) == (2, "2.1", {"answers": 8})


def test_an_engine_without_processes_has_none() -> None:
    state = outbound.state(RunnerHealth("degraded", reason="No claude.", remedy="Install it."), [], [])

    assert (state.processes, state.waiting, state.limits) == (None, 0, None)
    assert (state.status, state.reason, state.remedy) == ("degraded", "No claude.", "Install it.")


def test_what_waits_is_told_without_whose_it_is() -> None:
    approval = Approval("mcpr_1", "ann", "Bash", {"command": "ls"}, "sonnet", 7, "req_1")

    told = msgspec.to_builtins(outbound.waiting(approval, is_held=True))

    assert told == {
        "id": "mcpr_1",
        "name": "Bash",
        "arguments": {"command": "ls"},
        "model": "sonnet",
        "created_at": 7,
        "is_held": True,
    }


def test_responses_are_listed_newest_first_by_how_their_text_begins() -> None:
    text = [{"type": "output_text", "text": "  A long\n answer " + "x" * 500}]
    output = [{"type": "reasoning", "summary": []}, {"type": "message", "content": text}]

    listed = outbound.stored([record(1), record(3, output), record(2, [{"type": "mcp_call", "name": "Bash"}])])

    assert [one.id for one in listed] == ["resp_3", "resp_2", "resp_1"]
    assert [len(one.title) for one in listed] == [120, 0, 0]
    assert listed[0].title.startswith("A long answer xxx")


def test_a_response_is_shown_with_the_items_of_its_request_as_they_are_kept() -> None:
    whole = outbound.whole(record(1), Page((Item("msg_1", b'{"role":"user"}'),), has_more=True))

    assert json.loads(msgspec.json.encode(whole)) == {
        "response": json.loads(record(1).body),
        "input": [{"role": "user"}],
        "has_more": True,
    }


@pytest.mark.parametrize(
    ("accept", "is_wanted"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("text/html", True),
        ("*/*", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_only_browsers_get_the_page(accept: str, is_wanted: bool) -> None:
    assert page.wants_page(accept) == is_wanted
