"""What the OpenAPI document allows, and what it does not, never breaks the relay, and the answers are as documented."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from claude_relay.asgi import create_app
from claude_relay.chat.schemas import ChatCompletionChunk
from claude_relay.completions.schemas import Completion
from claude_relay.engine.echo import EchoRunner
from claude_relay.messages.failures import MessagesError
from claude_relay.responses.failures import OVERLOADED
from claude_relay.settings import Settings
from claude_relay.web.dialect import ErrorResponse
from tests.api.conftest import Client
from tests.callers import calling
from tests.unit.messages.bodies import events_of

DOCUMENT = create_app(Settings(), EchoRunner()).openapi_schema.to_schema()
CHECKS = [status_code_conformance, content_type_conformance]

schema = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module")
def local() -> Iterator[Client]:
    """One client for all examples."""
    with calling(create_app(Settings(), EchoRunner()), raise_server_exceptions=False) as running:
        yield running


@pytest.fixture(scope="module")
def statuses() -> dict[str, Counter[int]]:
    """How often each operation was answered with each status."""
    return defaultdict(Counter)


@schema.parametrize()
@settings(max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_documented(
    case: schemathesis.Case[Any], local: Client, statuses: dict[str, Counter[int]]
) -> None:
    response = sent(case, local)

    statuses[case.path][response.status_code] += 1
    case.validate_response(response, checks=CHECKS)
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        if case.path in {"/v1/responses", "/v1/messages"}:
            (assert_named_events if case.path == "/v1/responses" else events_of)(response.text)
        else:
            assert_events(response.text, Completion if case.path == "/v1/completions" else ChatCompletionChunk)
    else:
        case.validate_response(response, checks=[response_schema_conformance])
    if response.is_error and case.path.startswith("/v1/messages"):
        error = msgspec.json.decode(response.content, type=MessagesError).error
        assert response.status_code < 500 or "JSON" in error.message
    elif response.is_error:
        code = msgspec.json.decode(response.content, type=ErrorResponse).error.code
        # the echo runner says what it was told, which is seldom the JSON that was asked for
        assert response.status_code < 500 or code in {"invalid_structured_output", OVERLOADED}


def test_what_was_tried_was_both_served_and_refused(statuses: dict[str, Counter[int]]) -> None:
    assert set(statuses) == set(DOCUMENT["paths"])
    for path in ("/v1/chat/completions", "/v1/responses", "/v1/completions"):
        assert statuses[path][200] >= 10
        assert statuses[path][400] >= 10
    # what the document calls any object is hardly ever a message
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        assert statuses[path][400] >= 10


def assert_events(text: str, kind: type[ChatCompletionChunk | Completion]) -> None:
    """The document says of a stream that it is text; what its events are, the code's own types say."""
    *events, end = text.removesuffix("\n\n").split("\n\n")
    if end != "data: [DONE]":
        msgspec.json.decode(end.removeprefix("data: "), type=ErrorResponse)
    for event in events:
        msgspec.json.decode(event.removeprefix("data: "), type=kind)


def assert_named_events(text: str) -> None:
    """Each event has its name twice and its number; what the events hold, the tests of the family say."""
    events = text.removesuffix("\n\n").split("\n\n")
    assert events
    for number, event in enumerate(events):
        name, data = event.split("\n")
        told = json.loads(data.removeprefix("data: "))
        assert (name, told["sequence_number"]) == (f"event: {told['type']}", number)


def sent(case: schemathesis.Case[Any], client: Client) -> httpx.Response:
    """Send an example; its body may be anything."""
    request = case.as_transport_kwargs(base_url="http://127.0.0.1:8082")
    content = json.dumps(request["json"]).encode() if "json" in request else request.get("data") or b""
    return client.request(
        request["method"], request["url"], params=request.get("params"), headers=request["headers"], content=content
    )
