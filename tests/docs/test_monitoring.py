"""The dashboard and the alerts ask for figures and labels that there are, and Compose takes the files."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from claude_relay.engine.runner import RunnerHealth
from claude_relay.engine.vocabulary import RunEnd, RunStarted, Usage
from claude_relay.metrics.figures import figures
from claude_relay.web.context import Asked, RequestContext
from claude_relay.web.request_metrics import RequestMetrics
from claude_relay.web.watchdog import LoopHealth
from tests.docs.pages import ROOT, rows, section
from tests.unit.metrics.test_figures import PROCESSES

FOLDER = ROOT / "docker/monitoring"
DASHBOARD = json.loads((FOLDER / "grafana/dashboards/claude-relay.json").read_text())
ALERTS = yaml.safe_load((FOLDER / "alerts.yml").read_text())
OF_PROMETHEUS = {"up"}
EVERYWHERE = {"instance", "job"}
_HEALTH = RunnerHealth(
    "ok", {"processes": PROCESSES, "limits": {"answers": 8, "processes": 23}, "running": 1, "waiting": 0}
)


def exposed() -> dict[str, set[str]]:
    """Return the labels of each figure, by its name."""
    requests = RequestMetrics({"/v1/chat/completions": "chat/completions"}, lambda: ("sonnet",))
    asked = Asked("sonnet", 1, 0.0, [RunStarted("reused")], [RunEnd("end", Usage())], 0.1)
    line = {"path": "/v1/chat/completions", "status": 200, "personality": "chat", "total_ms": 1}
    requests.observe(RequestContext("req", 0.0, asked=asked), line)
    found: dict[str, set[str]] = {}
    for metric in (*requests.registry.collect(), *figures("claude", _HEALTH, LoopHealth(), 0, ())):
        for sample in metric.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return {name: labels for name, labels in found.items() if not name.endswith("_created")}


FIGURES = exposed()


def expressions() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
    for rule in (rule for group in ALERTS["groups"] for rule in group["rules"]):
        yield rule["alert"], rule["expr"]


def selected(expression: Any) -> Iterator[tuple[str, set[str]]]:
    """Yield the figures that an expression is about, each with the labels that are matched."""
    match expression:
        case promql_parser.VectorSelector():
            assert expression.name
            yield expression.name, {matcher.name for matcher in expression.matchers.matchers}
        case promql_parser.MatrixSelector():
            yield from selected(expression.vector_selector)
        case promql_parser.Call():
            for argument in expression.args:
                yield from selected(argument)
        case promql_parser.BinaryExpr():
            yield from selected(expression.lhs)
            yield from selected(expression.rhs)
        case promql_parser.AggregateExpr() | promql_parser.ParenExpr():
            yield from selected(expression.expr)
        case promql_parser.NumberLiteral():
            return
        case _:
            raise AssertionError(type(expression))


def grouped(expression: str) -> set[str]:
    return {label.strip() for labels in re.findall(r"\bby \(([^)]*)\)", expression) for label in labels.split(",")}


@pytest.mark.parametrize(("title", "text"), list(expressions()))
def test_each_expression_is_about_figures_and_labels_that_there_are(title: str, text: str) -> None:
    found = list(selected(promql_parser.parse(text)))

    assert found, title
    for name, labels in found:
        assert name in FIGURES.keys() | OF_PROMETHEUS
        assert labels - EVERYWHERE <= FIGURES.get(name, set())
    known = {label for name, _ in found for label in FIGURES.get(name, set())}
    assert grouped(text) - EVERYWHERE <= known


def test_a_figure_that_there_is_not_is_found() -> None:
    (found,) = selected(promql_parser.parse('sum by (le) (rate(claude_relay_nothing{a="b"}[5m]))'))

    assert found == ("claude_relay_nothing", {"a"})
    assert found[0] not in FIGURES


def test_each_panel_has_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert taken.isdisjoint(cells), panel["title"]
        taken |= cells
    identifiers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(identifiers) == len(set(identifiers))


def test_each_figure_is_documented_with_its_labels() -> None:
    documented: dict[str, set[str]] = {}
    for names, labelled, *_ in rows(section("docs/api.md", "## `GET /metrics`")):
        for name in re.findall(r"`(\w+)`", names):
            documented[name] = set(re.findall(r"`(\w+)`", labelled))
    bare = {re.sub(r"_(bucket|count|sum)$", "", name): labels - {"le"} for name, labels in FIGURES.items()}

    assert documented.keys() == bare.keys()
    for name, labels in bare.items():
        assert labels <= documented[name], name


def test_each_alert_is_documented() -> None:
    documented = [row[0].strip("`") for row in rows(section("docs/monitoring.md", "## Alerts"))]

    assert documented == [rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]]


def test_each_alert_has_series_that_promtool_fires_it_with() -> None:
    first, _ = yaml.safe_load((FOLDER / "alerts.test.yml").read_text())["tests"]
    fired = [sample["labels"] for sample in first["promql_expr_test"][0]["exp_samples"]]

    assert fired == [f'{{alertname="{rule["alert"]}"}}' for group in ALERTS["groups"] for rule in group["rules"]]


# --- Compose ---------------------------------------------------------------------------------------------------------


def composed(tmp_path: Path, *flags: str, **variables: str) -> Mapping[str, Any]:
    """Return what compose.yaml means, as podman-compose reads it; it asks Podman for its version alone."""
    podman = tmp_path / "podman"
    podman.write_text("#!/bin/sh\necho podman version 5.4.0\n")
    podman.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.defpath}", "HOME": str(tmp_path), "CLAUDE_RELAY_API_KEYS": "me=12345678"}
    command = [sys.executable, "-m", "podman_compose", "-f", str(ROOT / "docker/compose.yaml"), *flags, "config"]
    ran = subprocess.run(
        command, env=environ | variables, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    found: Mapping[str, Any] = yaml.safe_load(ran.stdout)
    return found


def test_compose_starts_the_relay_alone_without_the_profile(tmp_path: Path) -> None:
    found = composed(tmp_path)

    assert set(found["services"]) == {"relay"}
    assert found["services"]["relay"]["environment"]["CLAUDE_RELAY_API_KEYS"] == "me=12345678"


def test_with_the_profile_prometheus_has_a_key_and_all_files_are_there(tmp_path: Path) -> None:
    found = composed(tmp_path, "--profile", "monitoring", RELAY_DOCKER_METRICS_KEY="abcdefgh")

    assert set(found["services"]) == {"relay", "prometheus", "grafana"}
    environment = found["services"]["relay"]["environment"]
    assert environment["CLAUDE_RELAY_API_KEYS"] == "me=12345678"
    assert environment["CLAUDE_RELAY_METRICS_KEY"] == "abcdefgh"
    for name in ("prometheus", "grafana"):
        service = found["services"][name]
        assert service["read_only"]
        assert all(str(port).startswith("127.0.0.1:") for port in service["ports"])
        files = [str(mount).partition(":")[0] for mount in service["volumes"]]
        assert all((ROOT / "docker" / file).exists() for file in files if file.startswith("."))


def test_prometheus_asks_the_relay_with_the_key_in_the_file_that_its_container_makes(tmp_path: Path) -> None:
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    service = composed(tmp_path, "--profile", "monitoring", RELAY_DOCKER_METRICS_KEY="a b$c")["services"]["prometheus"]

    assert job["static_configs"] == [{"targets": ["relay:8082"]}]
    assert job["authorization"] == {"credentials_file": "/tmp/metrics_key"}
    assert service["tmpfs"] == ["/tmp"]
    stand_in = tmp_path / "prometheus"
    stand_in.write_text('#!/bin/sh\ncat metrics_key; echo; echo "$@"\n')
    stand_in.chmod(0o755)
    command = [part.replace("$$", "$").replace("/tmp/", "") for part in service["entrypoint"]]
    environ = {"PATH": f"{tmp_path}:{os.defpath}"}
    started = [*command, *service["command"]]
    ran = subprocess.run(
        started, env=environ | service["environment"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == ["a b$c", " ".join(service["command"])]
    without = subprocess.run(started, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert without.returncode
    assert "RELAY_DOCKER_METRICS_KEY" in without.stderr
