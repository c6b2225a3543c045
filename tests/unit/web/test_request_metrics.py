"""Requests are counted by what the access log tells of them, under few labels."""

from typing import Any

import pytest

from claude_relay.web.request_metrics import RequestMetrics

ANSWERED = {
    "method": "POST",
    "path": "/v1/chat/completions",
    "status": 200,
    "personality": "chat",
    "origin": "reused,started",
    "queue_ms": 20,
    "first_token_ms": 300,
    "total_ms": 2000,
    "prompt_tokens": 10,
    "cached_tokens": 4,
    "completion_tokens": 5,
    "cost_usd": 0.25,
}


def counted(*lines: dict[str, Any]) -> dict[str, float]:
    metrics = RequestMetrics(["/v1/chat/completions", "/chat/completions", "/v1/models"])
    for line in lines:
        metrics.observe(line)
    return {
        ".".join((sample.name.removeprefix("claude_relay_"), *sample.labels.values())): sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.value and not sample.name.endswith(("_created", "_bucket"))
    }


def test_an_answer_counts_with_all_that_is_known_of_it() -> None:
    assert counted(ANSWERED, ANSWERED) == {
        "requests_total./v1/chat/completions.200.chat.": 2,
        "runs_total.reused": 2,
        "runs_total.started": 2,
        "tokens_total.prompt": 20,
        "tokens_total.cached": 8,
        "tokens_total.completion": 10,
        "cost_usd_total": 0.5,
        "queue_seconds_count": 2,
        "queue_seconds_sum": pytest.approx(0.04),
        "first_token_seconds_count": 2,
        "first_token_seconds_sum": pytest.approx(0.6),
        "request_seconds_count": 2,
        "request_seconds_sum": 4,
    }


def test_a_request_that_was_refused_counts_by_its_error() -> None:
    refused = {"method": "GET", "path": "/v1/models", "status": 401, "error": "invalid_api_key", "total_ms": 1}

    assert counted(refused) == {"requests_total./v1/models.401..invalid_api_key": 1}


@pytest.mark.parametrize("path", ["/", "/v1/modelsx", "/v1/chat", "/" + "x" * 100])
def test_paths_that_are_not_served_are_one_label(path: str) -> None:
    assert counted({"method": "GET", "path": path, "status": 404, "total_ms": 1}) == {"requests_total.other.404..": 1}
