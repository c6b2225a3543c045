"""What the operator allows an answer: turns, money and time. Beyond it the work ends, upstream too."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import FakeUpstream, Message, ToolUse, stall_after, text

Run = Callable[..., Relay]


@pytest.fixture
def run(tmp_path: Path, upstream: FakeUpstream, claude_path: str) -> Iterator[Run]:
    """Run relays of the operator's choice."""
    with ExitStack() as stack:

        def start(personality: str, **choices: Any) -> Relay:
            environ = clean_environment(tmp_path, upstream)
            running = stack.enter_context(
                relay(tmp_path, environ, claude_path=claude_path, personality=personality, **choices)
            )
            running.wait_for_spare()
            return running

        yield start


def _working(step: int) -> Message:
    return Message(blocks=(ToolUse(f"toolu_{step}", "Bash", {"command": "true"}),))


def test_an_agent_that_met_its_turns_ends_with_length(run: Run, upstream: FakeUpstream) -> None:
    agent = run("agent", max_turns=2, permission_mode="dontAsk")
    upstream.replies(*map(_working, range(5)))

    answer = agent.chat("work").json()
    agent.settle()

    assert answer["choices"][0]["finish_reason"] == "length"
    assert len(upstream.messages_requests) == 2
    assert answer["usage"]["cost"] > 0


def test_an_agent_that_spent_its_money_ends_with_length_and_each_question_has_its_own(
    run: Run, upstream: FakeUpstream
) -> None:
    agent = run("agent", max_budget_usd=0.000001, permission_mode="dontAsk")
    upstream.replies(_working(1), _working(2))

    first = agent.chat("work").json()
    upstream.clear()
    second = agent.chat("work").json()
    agent.settle()

    assert first["choices"][0]["finish_reason"] == "length"
    # a lone answer is complete before its price is known
    assert second["choices"][0]["message"]["content"] == "Hello from fake upstream."
    assert len(upstream.messages_requests) == 1
    assert agent.processes()["reused"] == 0


@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_an_upstream_that_says_nothing_is_given_up_and_hears_of_it(
    run: Run, upstream: FakeUpstream, personality: str
) -> None:
    running = run(personality, first_event_timeout=4)
    upstream.replies(text(head_delay=60))

    response = running.chat("?")
    running.settle()

    assert response.status_code == 504
    assert response.json()["error"]["code"] == "first_event_timeout"
    assert response.headers["x-should-retry"] == "false"
    assert upstream.messages_requests[0].disconnected.wait(5)
    assert len(upstream.messages_requests) == 1


@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_an_answer_that_stops_coming_is_one_error_frame(run: Run, upstream: FakeUpstream, personality: str) -> None:
    running = run(personality, silence_timeout=1.5)
    upstream.replies(stall_after(2))

    frames = running.chat("?", stream=True).text.strip().split("\n\n")
    running.settle()

    assert [frame for frame in frames if '"error"' in frame] == frames[-1:]
    assert "silence_timeout" in frames[-1]
    assert upstream.messages_requests[0].disconnected.wait(5)
    assert running.chat("?").status_code == 200


def test_an_answer_that_takes_too_long_in_all_is_ended(run: Run, upstream: FakeUpstream) -> None:
    running = run("chat", total_timeout=5)
    upstream.replies(text("word " * 100, chunks=100, interval=0.1))

    frames = running.chat("?", stream=True).text.strip().split("\n\n")

    assert "total_timeout" in frames[-1]
    assert len(frames) > 5


def _times_out(running: Relay) -> None:
    assert running.chat("?").status_code == 504


def _leaves(running: Relay) -> None:
    body = {"model": "sonnet", "messages": [{"role": "user", "content": "?"}], "stream": True}
    with running.http.stream("POST", "/v1/chat/completions", json=body) as response:
        next(filter(lambda line: "Hello" in line, response.iter_lines()))


def _is_cut(running: Relay) -> None:
    # the upstream takes no stop sequence of white space, so the relay looks for it
    assert running.chat("?", stop=[" "]).json()["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("personality", ["chat", "agent"])
@pytest.mark.parametrize("stopped", [_times_out, _leaves, _is_cut])
def test_what_an_answer_that_was_stopped_has_cost_is_spent(
    run: Run, upstream: FakeUpstream, personality: str, stopped: Callable[[Relay], None], *, current: bool
) -> None:
    running = run(personality, max_usd_per_day=0.0001, silence_timeout=1.5)
    upstream.replies(stall_after(2))

    stopped(running)
    running.settle()

    # 2.1.197 counts an answer only when it is whole
    assert running.chat("?").status_code == (429 if current else 200)


def _begun(running: Relay, *, stream: bool) -> tuple[int, str, float, str]:
    """Return status and type of a response, the seconds until its head came, and all of it."""
    body = {"model": "sonnet", "messages": [{"role": "user", "content": "?"}], "stream": stream}
    began = time.monotonic()
    with running.http.stream("POST", "/v1/chat/completions", json=body) as response:
        waited = time.monotonic() - began
        return response.status_code, response.headers["content-type"], waited, response.read().decode()


@pytest.mark.parametrize(("stream", "kind"), [(True, "text/event-stream"), (False, "application/json")])
def test_a_response_begins_in_time_even_if_its_answer_does_not(
    run: Run, upstream: FakeUpstream, kind: str, *, stream: bool
) -> None:
    running = run("chat", first_byte=1)
    upstream.replies(text(head_delay=6, chunks=1))

    status, media_type, waited, said = _begun(running, stream=stream)

    assert (status, media_type.partition(";")[0]) == (200, kind)
    assert waited < 5
    assert '"content":"Hello from fake upstream."' in said
    assert said.endswith("data: [DONE]\n\n") if stream else json.loads(said)["choices"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_failure_after_the_response_has_begun_is_an_error_inside(
    run: Run, upstream: FakeUpstream, *, stream: bool
) -> None:
    running = run("chat", first_byte=1, first_event_timeout=3)
    upstream.replies(text(head_delay=60))

    status, _, _, said = _begun(running, stream=stream)
    running.settle()

    assert status == 200
    error = json.loads(said.strip().removeprefix("data: "))["error"]
    assert error["code"] == "first_event_timeout"
    assert upstream.messages_requests[0].disconnected.wait(5)
