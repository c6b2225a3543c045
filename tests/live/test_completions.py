"""The completions API over the real CLI: what the model sees, and what becomes of its text."""

import http.client
import json
import socket
import time
from typing import Any

import httpx

from claude_relay.completions.inbound import SYSTEM
from tests.live.bodies import conversation, system_text
from tests.live.relay import Relay
from tests.upstream import FakeUpstream, stall_after, text


def ask(relay: Relay, **fields: Any) -> httpx.Response:
    return relay.http.post("/v1/completions", json={"model": "sonnet", **fields})


def sent(upstream: FakeUpstream) -> dict[str, Any]:
    body = upstream.messages_requests[-1].body
    assert body is not None
    return body


def test_the_model_sees_the_text_to_the_letter_and_its_white_space_is_kept(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(text(chunks=("\n", "    return x\n")))

    answer = ask(chat, prompt="  def f(x):  ", stop=["\n\n"]).json()

    assert answer["choices"][0]["text"] == "\n    return x\n"
    body = sent(upstream)
    assert conversation(body)[-1] == ("user", ["  def f(x):  "])
    assert SYSTEM in system_text(body)
    assert body["max_tokens"] == 16
    assert "thinking" not in body or body["thinking"] == {"type": "disabled"}
    assert len(upstream.messages_requests) == 1


def test_a_gap_is_filled_and_a_code_block_left_out_as_it_comes(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(text(chunks=("```py", "\n    retu", "rn x\n", "```")))

    told = ask(chat, prompt="def f(x):\n", suffix="\n\nf(1)", stream=True).text

    chunks = [json.loads(line.removeprefix("data: ")) for line in told.splitlines() if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "    return x"
    assert conversation(sent(upstream))[-1] == ("user", ["<prefix>def f(x):\n</prefix><suffix>\n\nf(1)</suffix>"])


def test_prompts_are_asked_at_the_same_time_and_processes_are_used_again(chat: Relay, upstream: FakeUpstream) -> None:
    answer = ask(chat, prompt=["a", "b"], n=2).json()
    again = ask(chat, prompt="c").json()

    assert [choice["text"] for choice in answer["choices"]] == ["Hello from fake upstream."] * 4
    assert answer["usage"]["prompt_tokens"] == 4 * again["usage"]["prompt_tokens"]
    assert [turn for record in upstream.messages_requests for turn in conversation(record.body or {})[-1:]].count(
        ("user", ["c"])
    ) == 1


def test_when_the_editor_has_moved_on_the_work_upstream_stops(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(stall_after(0))
    chat.wait_for_spare()
    url = httpx.URL(chat.url)
    client = http.client.HTTPConnection(url.host, url.port)
    client.request("POST", "/v1/completions", json.dumps({"prompt": "a", "stream": True}))
    (record,) = upstream.wait_for(1)

    assert isinstance(client.sock, socket.socket)
    client.close()
    left = time.monotonic()

    assert record.disconnected.wait(1)
    assert time.monotonic() - left < 1
