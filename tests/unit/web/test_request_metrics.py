"""Requests are counted by what became of them, under few labels."""

from typing import Any

import pytest
from msgspec.structs import replace

from claude_relay.engine.vocabulary import RunEnd, RunStarted, Usage
from claude_relay.web.context import Asked, RequestContext
from claude_relay.web.request_metrics import RequestMetrics

LINE = {
    "method": "POST",
    "path": "/v1/chat/completions",
    "status": 200,
    "personality": "chat",
    "total_ms": 2000,
}
ASKED = Asked(
    "sonnet",
    2,
    0.0,
    begun=(RunStarted("reused", 0.02, 0.01), RunStarted("started", 0.0, 0.5)),
    ends=(
        RunEnd("end", Usage(3, 4, 3, 5), 2, 0.25, 1),
        RunEnd("length", Usage(10, 0, 0, 1), cost=0.5, upstream_requests=3),
    ),
    seconds_to_first_event=0.3,
)
PATHS = {"/v1/chat/completions": "chat/completions", "/chat/completions": "chat/completions", "/v1/models": "models"}


def counted(
    *lines: dict[str, Any], asked: Asked | None = None, models: tuple[str, ...] = ("sonnet",)
) -> dict[str, float]:
    metrics = RequestMetrics(PATHS, lambda: models)
    for line in lines:
        metrics.observe(RequestContext("req", 0.0, asked=asked), line)
    return found(metrics)


def found(metrics: RequestMetrics) -> dict[str, float]:
    return {
        ".".join((sample.name.removeprefix("claude_relay_"), *sample.labels.values())): sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.value and not sample.name.endswith(("_created", "_bucket"))
    }


def test_an_answer_counts_with_all_that_is_known_of_it() -> None:
    assert counted(LINE, LINE, asked=ASKED) == {
        "requests_total./v1/chat/completions.200.chat.": 2,
        "runs_total.chat/completions.sonnet.chat.end": 2,
        "runs_total.chat/completions.sonnet.chat.length": 2,
        "checkouts_total.reused": 2,
        "checkouts_total.started": 2,
        "tokens_total.sonnet.prompt": 40,
        "tokens_total.sonnet.cached": 8,
        "tokens_total.sonnet.cache_written": 6,
        "tokens_total.sonnet.completion": 12,
        "tokens_total.sonnet.thinking": 4,
        "cost_usd_total.sonnet": 1.5,
        "upstream_requests_total.chat": 8,
        "queue_seconds_count.chat": 2,
        "queue_seconds_sum.chat": pytest.approx(0.04),
        "checkout_seconds_count.chat": 2,
        "checkout_seconds_sum.chat": 1,
        "first_token_seconds_count.chat": 2,
        "first_token_seconds_sum.chat": pytest.approx(0.6),
        "request_seconds_count.chat": 2,
        "request_seconds_sum.chat": 4,
    }


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ("overloaded", "error"),
        ("client_disconnected", "client_disconnected"),
        ("cancelled", "cancelled"),
        (None, "error"),
    ],
)
def test_answers_that_did_not_end_count_as_what_stopped_them(error: str | None, outcome: str) -> None:
    asked = replace(ASKED, answers=3, ends=ASKED.ends[:1])

    runs = {name: count for name, count in counted({**LINE, "error": error}, asked=asked).items() if "runs" in name}

    assert runs == {
        "runs_total.chat/completions.sonnet.chat.end": 1,
        f"runs_total.chat/completions.sonnet.chat.{outcome}": 2,
    }


def test_a_request_that_was_refused_counts_by_its_error() -> None:
    refused = {"method": "GET", "path": "/v1/models", "status": 401, "error": "invalid_api_key", "total_ms": 1}

    assert counted(refused) == {"requests_total./v1/models.401..invalid_api_key": 1}


@pytest.mark.parametrize("path", ["/", "/v1/modelsx", "/v1/chat", "/" + "x" * 100])
def test_paths_that_are_not_served_are_one_label(path: str) -> None:
    assert counted({"method": "GET", "path": path, "status": 404, "total_ms": 1}) == {"requests_total.other.404..": 1}


def test_models_that_nobody_knows_are_one_label() -> None:
    asked = replace(ASKED, model="whatever a client writes")

    assert counted(LINE, asked=asked)["tokens_total.other.prompt"] == 20


def test_however_many_models_are_known_few_are_labels() -> None:
    models = tuple(f"model-{number}" for number in range(100))
    metrics = RequestMetrics(PATHS, lambda: models)

    for model in (*models, *models):
        metrics.observe(RequestContext("req", 0.0, asked=replace(ASKED, model=model)), LINE)

    costs = {name: value for name, value in found(metrics).items() if name.startswith("cost_usd_total.")}
    assert len(costs) == 33
    assert costs["cost_usd_total.model-0"] == 1.5
    assert costs["cost_usd_total.other"] == 68 * 1.5
