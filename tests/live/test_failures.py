"""What a client is told when something fails: a true status before the first token, an error frame after it."""

import json
from pathlib import Path

import openai
import pytest

from tests import upstream as fake
from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import FakeUpstream

FAILURES = [
    (fake.bad_request("no good"), 400, "invalid_request_error", None),
    (fake.prompt_too_long(), 400, "invalid_request_error", "context_length_exceeded"),
    (fake.unauthorized(), 401, "authentication_error", "invalid_api_key"),
    (fake.forbidden(), 403, "permission_error", "permission_denied"),
    (fake.model_not_found("sonnet"), 404, "invalid_request_error", "model_not_found"),
    (fake.too_large(), 413, "invalid_request_error", "request_too_large"),
    (fake.rate_limited(), 429, "rate_limit_error", "rate_limit_exceeded"),
    (fake.server_error(), 502, "server_error", "upstream_error"),
    (fake.overloaded(), 503, "server_error", "overloaded"),
]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(("failure", "status", "kind", "code"), FAILURES, ids=lambda value: str(value)[:20])
def test_a_failure_before_the_first_token_is_a_true_status(
    chat: Relay, upstream: FakeUpstream, failure: fake.Failure, status: int, kind: str, code: str | None, stream: bool
) -> None:
    upstream.default = failure
    response = chat.chat("hi", stream=stream)
    error = response.json()["error"]
    assert response.status_code == status
    assert (error["type"], error["code"]) == (kind, code)
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert "API Error" not in error["message"]
    assert "127.0.0.1" not in error["message"]
    assert ("retry-after" in response.headers) == (status in {429, 503})


def test_the_agent_tries_again_before_it_gives_up(agent: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(fake.overloaded(), fake.text("at last"))
    assert agent.chat("hi").json()["choices"][0]["message"]["content"] == "at last"


def test_an_unknown_model_is_named(chat: Relay, upstream: FakeUpstream) -> None:
    upstream.default = lambda body: fake.model_not_found(body["model"])
    with pytest.raises(openai.NotFoundError) as raised:
        chat.openai.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "hi"}])
    assert raised.value.code == "model_not_found"
    assert raised.value.param == "model"
    assert "gpt-9" in raised.value.message


@pytest.mark.parametrize(
    ("cut", "code"),
    [(fake.error_after(1), "overloaded"), (fake.drop_after(1), "upstream_disconnected")],
    ids=["error", "drop"],
)
def test_a_failure_in_mid_stream_is_one_error_frame_and_the_end(
    either: Relay, upstream: FakeUpstream, cut: fake.Message, code: str
) -> None:
    upstream.replies(cut)
    body = {"model": "sonnet", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    with either.http.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.status_code == 200
        frames = [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line]
    *chunks, last = frames
    assert last["error"]["code"] == code
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * len(chunks)
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "Hello fr"


@pytest.mark.parametrize("cut", [fake.error_after(1), fake.drop_after(1)], ids=["error", "drop"])
def test_a_plain_answer_that_breaks_off_is_an_error_not_half_an_answer(
    chat: Relay, upstream: FakeUpstream, cut: fake.Message
) -> None:
    upstream.replies(cut)
    assert chat.chat("hi").status_code in {502, 503}


@pytest.mark.parametrize(
    ("stop_reason", "finish"), [("max_tokens", "length"), ("refusal", "content_filter"), ("stop_sequence", "stop")]
)
def test_every_end_has_its_finish_reason(either: Relay, upstream: FakeUpstream, stop_reason: str, finish: str) -> None:
    upstream.replies(fake.text("so far", stop_reason=stop_reason))
    choice = either.chat("hi").json()["choices"][0]
    assert choice["finish_reason"] == finish
    assert choice["message"]["content"] == "so far"


def test_not_logged_in_says_what_to_do(home: Path, upstream: FakeUpstream, claude_path: str) -> None:
    environ = clean_environment(home, upstream)
    del environ["ANTHROPIC_API_KEY"]
    with relay(home, environ, personality="chat", claude_path=claude_path, warm=0) as running:
        response = running.chat("hi")
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "not_logged_in"
    assert "/login" in response.json()["error"]["message"]
    assert upstream.messages_requests == []


def test_without_a_cli_the_relay_is_degraded_and_says_why(home: Path) -> None:
    missing = str(home / "claude")
    with relay(home, clean_environment(home), claude_path=missing) as running:
        health = running.http.get("/health").json()
        response = running.chat("hi")
    assert health["status"] == "degraded"
    assert missing in health["reason"]
    assert "--claude-path" in health["remedy"]
    assert response.status_code == 503
    assert response.json()["error"]["message"] == health["reason"]


def test_a_cli_that_appears_later_is_found(home: Path, upstream: FakeUpstream, claude_path: str) -> None:
    later = home / "claude"
    with relay(home, clean_environment(home, upstream), claude_path=str(later), personality="chat") as running:
        assert running.chat("hi").status_code == 503
        later.symlink_to(claude_path)
        assert running.chat("hi").status_code == 200
        assert running.http.get("/health").json()["status"] == "ok"


@pytest.mark.provokes_errors
def test_a_cli_that_ends_at_once_is_an_error_not_silence(home: Path) -> None:
    broken = home / "claude"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && echo 2.1.330 && exit\necho broken >&2\nexit 3\n')
    broken.chmod(0o755)
    with relay(home, clean_environment(home), claude_path=str(broken), warm=0) as running:
        response = running.chat("hi")
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "claude_exited"
