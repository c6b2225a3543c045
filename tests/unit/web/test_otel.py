"""One trace for each request, with what it waited for; never what was said."""

import json
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Self

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider, sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.limits.limited import limited
from claude_relay.engine.limits.quotas import quotas
from claude_relay.engine.vocabulary import RunRequest
from claude_relay.settings import Settings
from claude_relay.store.counters import MemoryCounters
from claude_relay.web import otel, tracing
from tests.callers import calling

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Recording(EchoRunner):
    """Keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[RunRequest] = []

    def run(self, request: RunRequest) -> Any:
        self.asked.append(request)
        return super().run(request)


class Traced:
    """A relay whose spans are kept."""

    def __init__(self, sampler: sampling.Sampler = sampling.DEFAULT_ON) -> None:
        self.runner = Recording()
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        settings = Settings()
        app = create_app(
            settings,
            limited(self.runner, settings, quotas(settings, MemoryCounters())),
            traces=otel.OpenTelemetry(provider),
        )
        self._client = calling(app)

    def __enter__(self) -> Self:
        self._client.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.__exit__(None, None, None)

    def chat(self, text: str, headers: Mapping[str, str] | None = None, **fields: Any) -> int:
        body = {"model": "sonnet:chat", "messages": [{"role": "user", "content": text}], **fields}
        return self._client.post("/v1/chat/completions", json=body, headers=headers).status_code

    def get(self, path: str) -> int:
        return self._client.get(path).status_code

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def traced() -> Iterator[Traced]:
    with Traced() as running:
        yield running


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


def test_a_request_is_one_trace_with_all_that_it_waited_for(traced: Traced) -> None:
    assert traced.chat("!echo delay=0.2\nHello there", stream=True, temperature=0.5, max_tokens=99) == 200

    spans = traced.spans
    assert set(spans) == {"POST /v1/chat/completions", "chat sonnet", "queue", "get process", "first token"}
    assert len({span.context.trace_id for span in spans.values()}) == 1
    request, answer = spans["POST /v1/chat/completions"], spans["chat sonnet"]
    assert (request.kind, request.parent) == (SpanKind.SERVER, None)
    assert (answer.kind, answer.parent) == (SpanKind.CLIENT, request.context)
    for name in ("queue", "get process", "first token"):
        assert spans[name].parent == answer.context
    assert 0.2 <= seconds(spans["first token"]) <= seconds(answer) <= seconds(request)
    assert {**attributes(request), "claude_relay.request_id": ""} == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "url.path": "/v1/chat/completions",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "claude_relay.request_id": "",
    }
    told = attributes(answer)
    assert 0.2 <= told.pop("gen_ai.response.time_to_first_chunk") <= seconds(answer)
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "sonnet",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 99,
        "gen_ai.request.reasoning.level": "none",
        "gen_ai.request.stream": True,
        "gen_ai.response.finish_reasons": ("end",),
        "gen_ai.usage.input_tokens": 4,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.cache_write.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 0,
        "claude_relay.cost_usd": 0,
        "claude_relay.upstream_requests": 0,
    }
    assert attributes(spans["get process"]) == {"claude_relay.origin": "echo"}


def test_an_agents_answer_is_the_work_of_an_agent(traced: Traced) -> None:
    traced.chat("hi", model="sonnet:agent")

    told = attributes(traced.spans["invoke_agent Claude Code"])
    assert (told["gen_ai.operation.name"], told["gen_ai.agent.name"]) == ("invoke_agent", "Claude Code")


def test_a_clients_trace_goes_on_and_the_engine_is_told_of_it(traced: Traced) -> None:
    traced.chat("hi", {"traceparent": f"00-{TRACE}-{PARENT}-01"})

    request, answer = traced.spans["POST /v1/chat/completions"], traced.spans["chat sonnet"]
    assert request.parent is not None
    assert (f"{request.parent.trace_id:032x}", f"{request.parent.span_id:016x}") == (TRACE, PARENT)
    (run,) = traced.runner.asked
    assert run.traceparent == f"00-{TRACE}-{answer.context.span_id:016x}-01"


def test_several_answers_are_one_trace(traced: Traced) -> None:
    traced.chat("hi", n=3)

    spans = traced.exporter.get_finished_spans()
    assert len({span.context.trace_id for span in spans}) == 1
    assert [span.name for span in spans].count("get process") == 3
    told = attributes(traced.spans["chat sonnet"])
    assert told["gen_ai.request.choice.count"] == 3
    assert told["gen_ai.response.finish_reasons"] == ("end",) * 3


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_fails_is_an_error_and_says_which(traced: Traced, *, stream: bool) -> None:
    traced.chat("!echo error=503 after=1\none two", stream=stream)

    for name in ("POST /v1/chat/completions", "chat sonnet"):
        span = traced.spans[name]
        assert span.status.status_code is StatusCode.ERROR
        assert attributes(span)["error.type"]


def test_a_clients_mistake_is_told_and_no_error_of_the_server(traced: Traced) -> None:
    assert traced.chat("hi", temperature="warm") == 400

    (span,) = traced.spans.values()
    assert span.status.status_code is StatusCode.UNSET
    assert attributes(span)["http.response.status_code"] == 400
    assert attributes(span)["error.type"]


@pytest.mark.parametrize("path", ["/health", "/v1/health", "/metrics", "/schema/openapi.json", "/nowhere"])
def test_what_is_asked_all_the_time_or_is_nothing_is_not_traced(traced: Traced, path: str) -> None:
    traced.get(path)

    assert traced.spans == {}


def test_nothing_that_was_said_is_in_a_trace(traced: Traced) -> None:
    traced.chat("SECRET", stream=True, stop=["SECRET2"])
    traced.chat("!echo error=400\nSECRET")

    assert "SECRET" not in json.dumps([json.loads(span.to_json()) for span in traced.exporter.get_finished_spans()])


def test_what_the_sampler_leaves_out_is_not_sent_but_told_to_the_engine() -> None:
    with Traced(sampling.ALWAYS_OFF) as traced:
        assert traced.chat("hi") == 200

    assert traced.spans == {}
    (run,) = traced.runner.asked
    assert not int(run.traceparent.rpartition("-")[2], 16) & 1


ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "console"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_SERVICE_NAME": "mine"}, False),
    ],
)
def test_requests_are_traced_only_where_the_environment_says_so(environ: dict[str, str], *, wanted: bool) -> None:
    assert tracing.is_wanted(environ) is wanted


def test_a_protocol_that_is_not_spoken_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert tracing.tracing({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}) is None
    assert "grpc is not supported" in caplog.text


def test_without_the_extra_nothing_is_traced_and_the_log_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr("claude_relay.web.otel")
    monkeypatch.setitem(sys.modules, "claude_relay.web.otel", None)
    caplog.set_level("INFO")

    assert tracing.tracing(ENDPOINT) is None
    assert "extra `otel`" in caplog.text


@pytest.mark.anyio
async def test_a_receiver_that_does_not_answer_delays_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://{}:{}".format(*silent.getsockname()))
        provider = otel.provider()
        provider.get_tracer("test").start_span("one").end()
        began = time.monotonic()
        await otel.OpenTelemetry(provider).stop()

    assert time.monotonic() - began < 4


def test_the_service_has_a_name_that_the_operator_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    assert otel.resource().attributes["service.name"] == "claude-relay"

    monkeypatch.setenv("OTEL_SERVICE_NAME", "relay of the team")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")

    assert otel.resource().attributes["service.name"] == "relay of the team"
    assert otel.resource().attributes["deployment.environment.name"] == "test"
