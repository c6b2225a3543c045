"""Traces of requests: one for each, by OpenTelemetry's conventions for HTTP servers and for generative AI.

The span of a request and the one of its answers begin when they begin; those below are made at the end, from what is
known then. So nothing is done while an answer is streamed, and spans never hold prompts or answers.
"""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import HTTPScope, Receive, Scope, Send
from msgspec.structs import replace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from claude_relay import __version__
from claude_relay.engine.vocabulary import RunRequest, Usage
from claude_relay.web.context import Asked, RequestContext, begin

_SERVER_ERROR = 500
_LONGEST = 200
"""Characters of a path that are told; clients may send any."""
_STOP_TIMEOUT = 2.0
_AGENT = "Claude Code"
_PROPAGATOR = TraceContextTextMapPropagator()

Attributes = dict[str, AttributeValue]


def provider() -> TracerProvider:
    """Return what sends spans by OTLP, as ``OTEL_`` variables say."""
    sending = TracerProvider(resource=resource(), shutdown_on_exit=False)
    sending.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return sending


def resource() -> Resource:
    """Return what is told of the relay; what ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES`` say comes first."""
    own = Resource({"service.name": "claude-relay", "service.version": __version__})
    return Resource.create().merge(own).merge(OTELResourceDetector().detect())


class OpenTelemetry:
    """Traces requests for the families of endpoints that ask the engine, and what else is asked below their paths.

    Args:
        provider: Takes the spans.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("claude_relay", __version__)

    def install(self, app: Litestar, paths: Mapping[str, str]) -> Litestar:
        """Trace the requests of an application.

        Args:
            app: The application.
            paths: The paths below which something is served, and the family of each.
        """
        inside = app.asgi_handler

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP or (route := _route(scope["path"], paths)) is None:
                await inside(scope, receive, send)
                return
            request = _TracedRequest(self._tracer, scope, route)
            try:
                await inside(scope, receive, send)
            finally:
                request.end()

        app.asgi_handler = traced
        return app

    async def stop(self) -> None:
        """Send what has not been sent, if that can be done in a moment, and trace no more."""
        # with a receiver that does not answer it takes ten seconds, whatever time it is given
        shutdown = threading.Thread(target=self._provider.shutdown, daemon=True)
        shutdown.start()
        await asyncio.to_thread(shutdown.join, _STOP_TIMEOUT)


class _TracedRequest:
    """One request and its spans.

    Args:
        tracer: Makes spans.
        scope: The request.
        route: The path below which it is served.
    """

    def __init__(self, tracer: Any, scope: HTTPScope, route: str) -> None:
        self._tracer = tracer
        self._context: RequestContext = begin(scope)
        self._began_ns = time.time_ns() - int(1e9 * (time.perf_counter() - self._context.began))
        method = scope["method"]
        self._span: Span = tracer.start_span(
            f"{method} {route}",
            _sent_context(scope),
            SpanKind.SERVER,
            {
                "http.request.method": method,
                "http.route": route,
                "url.path": scope["path"][:_LONGEST],
                "url.scheme": scope["scheme"],
                "claude_relay.request_id": self._context.id,
            },
            start_time=self._began_ns,
        )
        self._run: RunRequest | None = None
        self._answers: Span | None = None
        self._context.traced = self._begin_run

    def _begin_run(self, run: RunRequest) -> RunRequest:
        """Begin the span of the request's answers, and return the run as part of it."""
        self._run = run
        attributes = _request_attributes(run)
        name = f"invoke_agent {_AGENT}" if run.personality == "agent" else f"chat {run.model}"
        below = set_span_in_context(self._span)
        self._answers = self._tracer.start_span(name, below, SpanKind.CLIENT, attributes)
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, set_span_in_context(self._answers))
        return replace(run, traceparent=carrier["traceparent"])

    def end(self) -> None:
        """End all spans of the request, with what became of it."""
        fields = self._context.fields
        error, status = fields.get("error"), fields.get("status")
        if self._answers is not None and self._context.asked is not None:
            self._end_answers(self._answers, self._context.asked, error)
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)
        if error:
            self._span.set_attribute("error.type", error)
        # a client's mistake is no failure of the server
        if error and (status is None or status >= _SERVER_ERROR or self._answers is not None):
            self._span.set_status(StatusCode.ERROR)
        self._span.end()

    def _end_answers(self, span: Span, asked: Asked, error: str | None) -> None:
        if span.is_recording():
            span.set_attributes(_answer_attributes(asked, self._context))
            for name, start, end, attributes in self._parts(asked):
                below = set_span_in_context(span)
                part = self._tracer.start_span(name, below, attributes=attributes, start_time=self._at(start))
                part.end(self._at(end))
        if error:
            span.set_attribute("error.type", error)
            span.set_status(StatusCode.ERROR)
        span.end()

    def _parts(self, asked: Asked) -> Iterator[tuple[str, float, float, Attributes]]:
        """Yield what an answer waited for, one thing after the other: name, start, end, attributes."""
        for one in asked.begun:
            dequeued = asked.at + one.waited
            yield "queue", asked.at, dequeued, {}
            yield "get process", dequeued, dequeued + one.prepared, {"claude_relay.origin": one.origin}
        if asked.begun and asked.seconds_to_first_event is not None:
            ready = asked.at + min(one.waited + one.prepared for one in asked.begun)
            first = self._context.began + asked.seconds_to_first_event
            yield "first token", min(ready, first), first, {}

    def _at(self, moment: float) -> int:
        """Return the time of day, in nanoseconds, of a moment by ``time.perf_counter``."""
        return self._began_ns + int(1e9 * (moment - self._context.began))


def _route(path: str, paths: Mapping[str, str]) -> str | None:
    """Return the path below which a request is served; None for what is not worth a trace."""
    below = f"{path}/"
    route = next((known for known in paths if below.startswith(f"{known}/")), None)
    return None if route is None or paths[route] in {"health", "metrics", "console"} else route


def _sent_context(scope: HTTPScope) -> Context:
    """Return the trace that a client says its request is part of."""
    carrier = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in scope["headers"]
        if name in {b"traceparent", b"tracestate"}
    }
    return _PROPAGATOR.extract(carrier, Context())


def _request_attributes(run: RunRequest) -> Attributes:
    sampling = run.sampling
    agent: Attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": _AGENT}
    found: Mapping[str, AttributeValue | None] = {
        **(agent if run.personality == "agent" else {"gen_ai.operation.name": "chat"}),
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": run.model,
        "gen_ai.request.max_tokens": sampling.max_tokens,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p,
        "gen_ai.request.top_k": sampling.top_k,
        "gen_ai.request.reasoning.level": run.effort,
        "gen_ai.output.type": None if run.output is None else "json",
    }
    return {name: value for name, value in found.items() if value is not None}


def _answer_attributes(asked: Asked, context: RequestContext) -> Attributes:
    """Return what is told of the answers at their end."""
    streams = bool(context.fields.get("stream"))
    found: Attributes = {"gen_ai.request.stream": streams}
    if asked.answers != 1:
        found["gen_ai.request.choice.count"] = asked.answers
    if streams and asked.seconds_to_first_event is not None:
        found["gen_ai.response.time_to_first_chunk"] = asked.seconds_to_first_event - (asked.at - context.began)
    if asked.ends:
        usage = sum((end.usage for end in asked.ends), Usage())
        found |= {
            "gen_ai.response.finish_reasons": [end.stop for end in asked.ends],
            "gen_ai.usage.input_tokens": usage.prompt_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
            "gen_ai.usage.cache_write.input_tokens": usage.cache_creation_tokens,
            "gen_ai.usage.reasoning.output_tokens": sum(end.thinking_tokens or 0 for end in asked.ends),
            "claude_relay.cost_usd": sum(end.cost or 0 for end in asked.ends),
            "claude_relay.upstream_requests": sum(end.upstream_requests or 0 for end in asked.ends),
        }
    return found
