"""A client's trace goes on in the real CLI, also in a process that has served other traces before."""

from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider

from claude_relay.asgi import create_app
from claude_relay.engine.claude.runner import ClaudeCodeRunner
from claude_relay.engine.limits.limited import limited
from claude_relay.engine.limits.quotas import quotas
from claude_relay.settings import Personality, Settings
from claude_relay.store.counters import MemoryCounters
from claude_relay.web import otel
from tests.api.sockets import listening
from tests.live.relay import clean_environment
from tests.upstream import FakeUpstream, text

TRACES = ("1" * 32, "2" * 32, "3" * 32)
TRACED = {
    "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
    "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
    "CLAUDE_CODE_PROPAGATE_TRACEPARENT": "1",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    # nobody listens there: what the upstream is told is enough
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
}


@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_each_request_to_the_upstream_is_part_of_the_trace_of_its_client(
    personality: Personality, upstream: FakeUpstream, claude_path: str, tmp_path: Path
) -> None:
    settings = Settings(
        personality=personality, claude_path=claude_path, cwd=str(tmp_path), state_dir=str(tmp_path), self_test=False
    )
    environ = clean_environment(tmp_path, upstream) | TRACED | {"TRACEPARENT": f"00-{'f' * 32}-{'f' * 16}-01"}
    runner = limited(ClaudeCodeRunner(settings, environ), settings, quotas(settings, MemoryCounters()))
    upstream.replies(*(text("Yes.") for _ in TRACES))
    messages: list[dict[str, str]] = []

    with listening(create_app(settings, runner, traces=otel.OpenTelemetry(TracerProvider()))) as (host, port):
        for trace in TRACES:
            messages.append({"role": "user", "content": f"Question {trace}"})
            answer = httpx.post(
                f"http://{host}:{port}/v1/chat/completions",
                json={"model": "sonnet", "messages": messages},
                headers={"traceparent": f"00-{trace}-{'a' * 16}-01"},
                timeout=60,
            )
            assert answer.status_code == 200, answer.text
            messages.append({"role": "assistant", "content": "Yes."})

    sent = [request.headers["traceparent"].split("-")[1] for request in upstream.messages_requests]
    assert tuple(sent) == TRACES
