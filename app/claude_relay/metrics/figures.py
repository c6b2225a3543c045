"""Runner's and event loop's health -> figures for Prometheus. Pure."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from claude_relay import __version__
from claude_relay.engine.runner import RunnerHealth
from claude_relay.web.watchdog import LoopHealth

_STATES = ("starting", "spare", "idle", "busy", "ending")
_FAULTS = ("unresponsive", "unsolicited")


def figures(
    runner: str, health: RunnerHealth, loop: LoopHealth, log_lines_lost: int, approvals: Collection[float]
) -> Iterator[Metric]:
    """Yield what is true of a server now.

    Args:
        runner: The name of its engine.
        health: How that is.
        loop: How late its event loop was.
        log_lines_lost: Log lines that nobody read.
        approvals: For how many seconds each tool that waits for permission has waited.
    """
    detail = health.detail
    yield GaugeMetricFamily("claude_relay_ok", "1, or 0 where the engine is degraded.", float(health.status == "ok"))
    versions = GaugeMetricFamily(
        "claude_relay_info", "1, with versions.", labels=["version", "runner", "claude_version"]
    )
    versions.add_metric([__version__, runner, detail.get("claude_version", "")], 1)
    yield versions
    if "waiting" in detail:
        yield GaugeMetricFamily("claude_relay_running", "Answers that go on.", detail["running"])
        yield GaugeMetricFamily("claude_relay_waiting", "Requests that wait for their turn.", detail["waiting"])
    yield GaugeMetricFamily(
        "claude_relay_approvals_waiting", "Tools that wait for somebody's permission.", len(approvals)
    )
    yield GaugeMetricFamily(
        "claude_relay_approvals_longest_wait_seconds",
        "How long the one that waits longest has waited; 0 if none does.",
        max(approvals, default=0.0),
    )
    if (limits := detail.get("limits")) is not None:
        yield GaugeMetricFamily("claude_relay_answers_limit", "Answers that may go on at once.", limits["answers"])
        yield GaugeMetricFamily("claude_relay_processes_limit", "Processes that there may be.", limits["processes"])
    if (processes := detail.get("processes")) is not None:
        states = GaugeMetricFamily("claude_relay_processes", "Processes, by state.", labels=["state"])
        yield _filled(states, _STATES, processes)
        ended = CounterMetricFamily("claude_relay_processes_ended", "Idle ones that were ended.", labels=["fault"])
        yield _filled(ended, _FAULTS, processes)
    yield CounterMetricFamily("claude_relay_event_loop_stalls", "How often the loop was blocked.", loop.stalls)
    yield CounterMetricFamily(
        "claude_relay_event_loop_stalled_seconds", "How long the loop was blocked in all.", loop.stalled_ms / 1000
    )
    yield GaugeMetricFamily(
        "claude_relay_event_loop_longest_stall_seconds", "The longest of these times.", loop.longest_ms / 1000
    )
    yield CounterMetricFamily("claude_relay_log_lines_lost", "Log lines that could not be written.", log_lines_lost)


def _filled(
    family: GaugeMetricFamily | CounterMetricFamily, values: tuple[str, ...], found: Mapping[str, Any]
) -> Metric:
    for value in values:
        family.add_metric([value], found[value])
    return family
