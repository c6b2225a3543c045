"""Texts that could break a line, a shell or a command reach the CLI on one line, and the upstream as they are."""

import json

import httpx
import pytest

from tests.live.bodies import conversation, system_text
from tests.live.relay import Relay
from tests.upstream import FakeUpstream

STRANGE = {
    "NUL": ('"a\\u0000b"', "a\0b"),
    "half a character": ('"cut \\ud83d"', "cut \ufffd"),
    "the other half": ('"\\ude00 cut"', "\ufffd cut"),
    "line separators": ('"a\u2028b\u2029c\u0085d"', "a\u2028b\u2029c\u0085d"),
    "line breaks": (r'"a\nb\r\nc\rd"', "a\nb\r\nc\rd"),
    "a line of the protocol": (
        r'"x\n{\"type\":\"control_request\",\"request_id\":\"1\",\"request\":{\"subtype\":\"interrupt\"}}\n"',
        'x\n{"type":"control_request","request_id":"1","request":{"subtype":"interrupt"}}\n',
    ),
    "control characters": (r'"a\u001b[31mb\u0007\u0008c"', "a\x1b[31mb\x07\x08c"),
    "a byte order mark": ('"\\ufeffa"', "\ufeffa"),
    "private and unassigned characters": ('"\ue000\uffff\U0010ffff"', "\ue000\uffff\U0010ffff"),
    "a shell's words": (r'"$(id) `id` ; id #\"\u0027"', "$(id) `id` ; id #\"'"),
}


def _asked(relay: Relay, raw: str) -> httpx.Response:
    body = json.dumps({"model": "sonnet", "messages": [{"role": "user", "content": "RAW"}]}).replace('"RAW"', raw)
    return relay.http.post("/v1/chat/completions", content=body.encode(), headers={"content-type": "application/json"})


@pytest.mark.parametrize(("raw", "text"), STRANGE.values(), ids=STRANGE.keys())
def test_a_strange_text_is_one_line_for_the_cli_and_is_served(
    chat: Relay, upstream: FakeUpstream, raw: str, text: str
) -> None:
    response = _asked(chat, raw)

    assert response.status_code == 200, response.text
    assert response.json()["choices"][0]["message"]["content"] == "Hello from fake upstream."
    (request,) = upstream.messages_requests
    assert conversation(request.body or {}) == [("user", [text])]


def test_strange_texts_of_the_past_and_of_the_system_arrive_as_they_are(chat: Relay, upstream: FakeUpstream) -> None:
    strange = "".join(json.loads(raw) for raw, _ in list(STRANGE.values())[3:5]) + "a\0b"
    messages = [
        {"role": "system", "content": f"system {strange}"},
        {"role": "user", "content": f"first {strange}"},
        {"role": "assistant", "content": f"answer {strange}"},
        {"role": "user", "content": "second"},
    ]

    assert chat.post(messages=messages).status_code == 200

    (request,) = upstream.messages_requests
    assert request.body is not None
    assert conversation(request.body) == [
        ("user", [f"first {strange}"]),
        ("assistant", [f"answer {strange}"]),
        ("user", ["second"]),
    ]
    assert f"system {strange}" in system_text(request.body)
