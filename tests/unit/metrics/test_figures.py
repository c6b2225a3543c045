"""Health as figures for Prometheus."""

from prometheus_client.metrics_core import Metric

from claude_relay import __version__
from claude_relay.engine.runner import RunnerHealth
from claude_relay.metrics.figures import figures
from claude_relay.web.watchdog import LoopHealth

PROCESSES = {
    "starting": 0,
    "spare": 1,
    "idle": 2,
    "busy": 3,
    "ending": 0,
    "unresponsive": 4,
    "unsolicited": 5,
    "reused": 9,
}


def values(metrics: list[Metric]) -> dict[str, float]:
    return {
        ".".join((sample.name.removeprefix("claude_relay_"), *sample.labels.values())): sample.value
        for metric in metrics
        for sample in metric.samples
    }


def test_what_is_known_of_a_server_is_told() -> None:
    detail = {
        "claude_version": "2.1.332",
        "limits": {"answers": 8, "processes": 23, "reason": "2 cores"},
        "processes": PROCESSES,
        "running": 3,
        "waiting": 7,
    }

    assert values(list(figures("claude", RunnerHealth("ok", detail), LoopHealth(2, 1500, 1750), 6, (3.5, 61.0)))) == {
        "ok": 1,
        f"info.{__version__}.claude.2.1.332": 1,
        "running": 3,
        "waiting": 7,
        "answers_limit": 8,
        "processes_limit": 23,
        "processes.starting": 0,
        "processes.spare": 1,
        "processes.idle": 2,
        "processes.busy": 3,
        "processes.ending": 0,
        "processes_ended_total.unresponsive": 4,
        "processes_ended_total.unsolicited": 5,
        "event_loop_stalls_total": 2,
        "event_loop_stalled_seconds_total": 1.75,
        "event_loop_longest_stall_seconds": 1.5,
        "log_lines_lost_total": 6,
        "approvals_waiting": 2,
        "approvals_longest_wait_seconds": 61,
    }


def test_an_engine_without_processes_has_fewer_figures() -> None:
    found = values(list(figures("echo", RunnerHealth("degraded"), LoopHealth(), 0, ())))

    assert found["ok"] == 0
    assert (found["approvals_waiting"], found["approvals_longest_wait_seconds"]) == (0, 0)
    assert not [name for name in found if name.startswith(("processes", "answers"))]
