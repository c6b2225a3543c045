"""What a client's own retries cost, as OpenAI's SDK makes them by default: nothing where they cannot help."""

import json
from typing import Any

import openai
import pytest

from tests import upstream as fake
from tests.live.relay import Relay
from tests.upstream import FakeUpstream, Message, Reply, Text, ToolUse, text

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}


def works_and_fails(body: dict[str, Any]) -> Reply:
    """Use a tool of Claude Code's own; then the upstream fails."""
    if "toolu_bash" in json.dumps(body["messages"]):
        return fake.server_error()
    return Message(
        blocks=(Text("Let me look."), ToolUse("toolu_bash", "Bash", {"command": "true", "description": "x"}))
    )


def cost(running: Relay, upstream: FakeUpstream, retries: int, **fields: Any) -> tuple[int, openai.APIStatusError]:
    """Return how many upstream requests a failing request costs, and what the client is told in the end."""
    upstream.clear()
    client = running.openai.with_options(max_retries=retries)
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model="sonnet", messages=[{"role": "user", "content": "hi"}], **fields)
    running.settle()
    return len(upstream.messages_requests), raised.value


@pytest.mark.parametrize(
    ("reply", "fields", "status"),
    [
        pytest.param(fake.bad_request("no"), {}, 400, id="refused"),
        pytest.param(fake.unauthorized(), {}, 401, id="no-login"),
        pytest.param(fake.model_not_found(), {}, 404, id="no-model"),
        pytest.param(fake.prompt_too_long(), {}, 400, id="too-long"),
        pytest.param(text('{"a":"no number"}'), {"response_format": FORMAT}, 502, id="json-that-does-not-fit"),
        pytest.param(text("Sure! Here it is."), {"response_format": FORMAT}, 502, id="no-json"),
        pytest.param(fake.drop_after(1), {}, 502, id="lost-half-way"),
        pytest.param(fake.error_after(1), {}, 503, id="overloaded-half-way"),
    ],
)
def test_a_client_that_asks_again_by_itself_is_kept_from_what_cannot_help(
    chat: Relay, upstream: FakeUpstream, reply: Reply, fields: dict[str, Any], status: int
) -> None:
    upstream.default = reply
    once, _ = cost(chat, upstream, 0, **fields)
    with_retries, error = cost(chat, upstream, 2, **fields)

    assert (error.status_code, error.response.headers["x-should-retry"]) == (status, "false")
    assert once == with_retries > 0


def test_the_work_of_an_agent_that_failed_in_the_end_is_not_done_again(agent: Relay, upstream: FakeUpstream) -> None:
    upstream.default = works_and_fails
    once, _ = cost(agent, upstream, 0)
    with_retries, error = cost(agent, upstream, 2)

    assert (error.status_code, error.response.headers["x-should-retry"]) == (502, "false")
    assert once == with_retries


@pytest.mark.parametrize("failure", [fake.overloaded(), fake.rate_limited()], ids=["overloaded", "rate-limited"])
def test_a_client_is_told_to_ask_again_where_that_helps(
    chat: Relay, upstream: FakeUpstream, failure: fake.Failure
) -> None:
    upstream.replies(failure)
    refused = chat.chat("hi")
    upstream.clear()
    upstream.replies(failure, text("At last."))
    answer = chat.openai.with_options(max_retries=2).chat.completions.create(
        model="sonnet", messages=[{"role": "user", "content": "hi"}]
    )

    assert (refused.headers["x-should-retry"], refused.headers["retry-after"]) == ("true", "5")
    assert answer.choices[0].message.content == "At last."
    assert len(upstream.messages_requests) == 2
