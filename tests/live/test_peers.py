"""Claude Code's sessions speak to each other; nobody speaks to a client's, and no answer is that to another's words."""

import json
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.live.bodies import conversation
from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import FakeUpstream, Message, Reply, ToolUse, text

WORDS = "WORDS-OF-A-PEER"
CALLERS = [f"caller-{number}" for number in range(10)]
_LISTED = re.compile(r"claude-relay(?: \[\w+\])?(?=\s+\N{MIDDLE DOT})")
_ACCEPTING = """
import os, sys
os.execv({cli!r}, [{cli!r}, *(argument.replace('"refuse"', '"accept"') for argument in sys.argv[1:])])
"""


class Town:
    """An upstream whose agent speaks to every session that it finds, and whose chats repeat what they were asked.

    Attributes:
        spoken_to: The sessions that the agent has spoken to, by the names it found.
        gate: While it is clear, chats whose question is ``slow`` are not answered.
    """

    def __init__(self) -> None:
        self.spoken_to: list[str] = []
        self.gate = threading.Event()

    def __call__(self, body: dict[str, Any]) -> Reply:
        if any(tool["name"] == "Bash" for tool in body["tools"]):
            return self._speak(body)
        question = conversation(body)[-1][1][-1]
        return text(f"You asked: {question}", head_delay=2.0 if question.startswith("slow") else 0.0)

    def _speak(self, body: dict[str, Any]) -> Reply:
        blocks = [block for message in body["messages"] for block in message["content"] if isinstance(block, dict)]
        results = {
            block["tool_use_id"]: json.dumps(block, ensure_ascii=False) for block in blocks if "tool_use_id" in block
        }
        if not results:
            return Message(blocks=(ToolUse("toolu_list", "ListAgents", {}),))
        if len(results) > 1:
            return text("spoken")
        self.spoken_to = list(dict.fromkeys(_LISTED.findall(results["toolu_list"])))
        words = [{"to": name, "message": WORDS, "summary": "words"} for name in self.spoken_to] or [{}]
        return Message(blocks=tuple(ToolUse(f"toolu_{n}", "SendMessage", said) for n, said in enumerate(words)))


@contextmanager
def town(home: Path, upstream: FakeUpstream, claude_path: str) -> Iterator[tuple[Relay, Town]]:
    upstream.default = made = Town()
    environ = clean_environment(home, upstream)
    with relay(home, environ, claude_path=claude_path, max_concurrent=24, max_processes=32) as running:
        yield running, made


def ask(running: Relay, caller: str, *said: str) -> str:
    """Ask the next question of a caller's conversation, and return the answer."""
    messages: list[dict[str, str]] = []
    for number, question in enumerate(said, 1):
        messages.append({"role": "user", "content": question})
        if number < len(said):
            messages.append({"role": "assistant", "content": f"You asked: {question}"})
    sent = running.http.post(
        "/v1/chat/completions",
        json={"model": "sonnet:chat", "messages": messages},
        headers={"Authorization": f"Bearer {caller}"},
    )
    assert sent.status_code == 200, sent.text
    return str(sent.json()["choices"][0]["message"]["content"])


def speak(running: Relay) -> None:
    """Let an agent of another caller speak to every session it finds."""
    assert running.chat("speak", model="sonnet:agent").json()["choices"][0]["message"]["content"] == "spoken"


def each_gets_its_own(running: Relay, made: Town, upstream: FakeUpstream, *, current: bool) -> None:
    with ThreadPoolExecutor(len(CALLERS)) as pool:
        first = pool.map(lambda caller: ask(running, caller, f"first of {caller}"), CALLERS)
        assert list(first) == [f"You asked: first of {caller}" for caller in CALLERS]
        # some are busy now, the others idle, and there are spares
        slow = [pool.submit(ask, running, f"busy-{n}", f"slow {n}") for n in range(3)]
        upstream.wait_for(len(CALLERS) + 3, 30)
        speak(running)
        assert [answer.result() for answer in slow] == [f"You asked: slow {n}" for n in range(3)]
        second = pool.map(lambda caller: ask(running, caller, f"first of {caller}", f"second of {caller}"), CALLERS)
        assert list(second) == [f"You asked: second of {caller}" for caller in CALLERS]
    # 2.1.197 has no sessions that speak to each other
    assert len(made.spoken_to) >= (len(CALLERS) if current else 0), "the agent found the others' sessions"


def chats(upstream: FakeUpstream) -> list[str]:
    """Return what the upstream was sent by processes of ``chat``."""
    bodies = [request.body for request in upstream.messages_requests if request.body is not None]
    return [json.dumps(body) for body in bodies if not any(tool["name"] == "Bash" for tool in body["tools"])]


def test_an_agent_that_speaks_to_every_session_reaches_none_of_the_others(
    home: Path, upstream: FakeUpstream, claude_path: str, current: bool
) -> None:
    with town(home, upstream, claude_path) as (running, made):
        each_gets_its_own(running, made, upstream, current=current)
        assert not [body for body in chats(upstream) if WORDS in body]
        assert len(chats(upstream)) == 2 * len(CALLERS) + 3, "nothing was asked that no client asked"
        if current:
            assert running.processes()["reused"] == len(CALLERS), "none of theirs had to end"


def test_where_words_come_in_all_the_same_no_answer_is_that_to_them(
    home: Path, upstream: FakeUpstream, claude_path: str, current: bool
) -> None:
    accepting = home / "claude"
    accepting.write_text(f"#!{sys.executable}\n" + _ACCEPTING.format(cli=claude_path))
    accepting.chmod(0o755)
    with town(home, upstream, str(accepting)) as (running, made):
        each_gets_its_own(running, made, upstream, current=current)
        assert (running.processes()["unsolicited"] >= 1) is current
