"""500 requests that OpenAI's API takes, each another one: all are answered, and the upstream refuses none of them."""

import json
import re
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.relay import Relay, clean_environment, relay
from tests.live.varied import Varied, reply_of, requests
from tests.upstream import FakeUpstream, Reply
from tests.upstream.rules import refusal

NUMBERS = {"chat": 330, "verbatim": 160, "agent": 10}
"""How many of each kind; a question of an agent needs a process of its own, so there are few of these."""
BINDINGS = {"chat": 13, "verbatim": 8, "agent": 5}
SEED = 5
RETIRED = "claude-opus-4-1-20250805"
"""A model in whose place Claude Code by itself asks a newer one: what that refuses is learned."""
_TAG = re.compile(r"\[\w+-\d+\]")


def _tag(body: dict[str, Any]) -> str:
    return str(_TAG.findall(json.dumps(body["messages"]))[0])


class Obeying:
    """An upstream that does as each request asks, and counts how often it was asked for each."""

    def __init__(self, asked: list[Varied]) -> None:
        self._asked = {varied.tag: varied for varied in asked}
        self.answered: Counter[str] = Counter()

    def __call__(self, body: dict[str, Any]) -> Reply:
        tag = _tag(body)
        self.answered[tag] += 1
        return reply_of(self._asked[tag], body)


def _ask(running: Relay, varied: Varied) -> httpx.Response:
    # as escapes, since a client may send half of a character
    body = json.dumps(varied.body).encode()
    return running.http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})


def _choices(response: httpx.Response) -> list[dict[str, Any]]:
    if not response.headers["content-type"].startswith("text/event-stream"):
        return list(response.json()["choices"])
    *events, done, _ = response.text.split("\n\n")
    assert done == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events if event.startswith("data: ")]
    return [{**choice, "message": choice["delta"]} for chunk in chunks for choice in chunk["choices"]]


def _fault(varied: Varied, response: httpx.Response) -> str | None:
    """Return what OpenAI would not have answered, if there is anything."""
    if response.status_code != 200 or '"error":' in response.text:
        return response.text[-500:]
    choices = _choices(response)
    words = "".join(choice["message"].get("content") or "" for choice in choices)
    reasons = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    if reasons in (["tool_calls"], ["function_call"]):
        return None if {"tool_choice", "function_call"} & varied.body.keys() else "a call that nobody asked for"
    is_it = _begins(words, varied) if varied.body.get("stop") else _same(words, varied)
    return None if is_it and reasons == ["stop"] else f"{reasons} {words}"


def _begins(words: str, varied: Varied) -> bool:
    """Whether an answer that a stop sequence may have cut off is the beginning, in whatever way its JSON is written."""
    return "".join(varied.words.split()).startswith("".join(words.split()))


def _same(words: str, varied: Varied) -> bool:
    return words == varied.words if varied.answer is None else bool(json.loads(words) == varied.answer)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", NUMBERS)
def test_what_openai_takes_is_answered_and_the_upstream_refuses_nothing_that_can_be_known(
    home: Path, upstream: FakeUpstream, claude_path: str, kind: str
) -> None:
    choices = {"history": "verbatim"} if kind == "verbatim" else {}
    personality = "agent" if kind == "agent" else "chat"
    asked = requests(NUMBERS[kind], SEED, personality, BINDINGS[kind])
    upstream.default = obeying = Obeying(asked)
    groups = defaultdict(list)
    for varied in asked:
        groups[varied.binding].append(varied)

    def ask_in_turn(group: list[Varied]) -> list[tuple[Varied, httpx.Response]]:
        return [(varied, _ask(running, varied)) for varied in group]

    with (
        relay(home, clean_environment(home, upstream), claude_path=claude_path, max_concurrent=4, **choices) as running,
        ThreadPoolExecutor(4) as pool,
    ):
        running.wait_until(lambda: _knows_full_ids(running), 20)
        answers = [answer for group in pool.map(ask_in_turn, groups.values()) for answer in group]

    faults = {varied.tag: fault for varied, response in answers if (fault := _fault(varied, response)) is not None}
    assert (len(answers), faults) == (NUMBERS[kind], {})
    assert obeying.answered == dict.fromkeys((varied.tag for varied in asked), 1)

    models = {varied.tag: varied.body["model"].partition(":")[0] for varied in asked}
    refused = {models[_tag(body)]: refusal(body) for body in _bodies(upstream) if refusal(body) is not None}
    assert refused.keys() <= {RETIRED}, refused


def _knows_full_ids(running: Relay) -> bool:
    return "claude-" in running.http.get("/v1/models").text


def _bodies(upstream: FakeUpstream) -> list[dict[str, Any]]:
    return [request.body for request in upstream.messages_requests if request.body is not None]
