"""The contracts of import-linter leave no module out."""

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT

APP = ROOT / "app"
FAMILIES = {
    f"claude_relay.{name}"
    for name in ("chat", "responses", "messages", "completions", "approvals", "models", "health", "metrics", "console")
}
# they import nothing that does I/O, and do it all the same: they await what does, or call a library that does
EDGES = {
    "claude_relay.commands.live_checks",
    "claude_relay.commands.checklist",
    "claude_relay.commands.display",
    "claude_relay.commands.relays",
    "claude_relay.engine.output_checks",
    "claude_relay.responses.telling",
}


def module(path: Path) -> str:
    return ".".join(path.relative_to(APP).with_suffix("").parts)


MODULES = {module(path): path for path in APP.rglob("*.py") if path.stem not in {"__init__", "__main__"}}


@pytest.fixture(scope="module")
def contracts() -> dict[str, dict[str, Any]]:
    read = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {contract["name"]: contract for contract in read["tool"]["importlinter"]["contracts"]}


def imported(path: Path) -> set[str]:
    """Return what a module imports, with the packages that hold it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "imports are absolute"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found | {name.partition(".")[0] for name in found}


def test_every_module_is_pure_or_imports_what_pure_ones_may_not(contracts: dict[str, dict[str, Any]]) -> None:
    contract = contracts["Pure rooms do no I/O and read no clock"]
    pure, forbidden = set(contract["source_modules"]), set(contract["forbidden_modules"])

    others = {name for name, path in MODULES.items() if imported(path).isdisjoint(forbidden)} - pure

    assert others == EDGES


def test_every_package_with_a_controller_is_in_the_contracts_of_families(contracts: dict[str, dict[str, Any]]) -> None:
    # a family may have further controllers in packages of its own
    controllers = [name.split(".") for name in MODULES if name.endswith(".controller")]
    found = {".".join(parts[:2]) for parts in controllers} - {"claude_relay.web"}

    assert found == FAMILIES
    assert set(contracts["Families are independent of each other"]["modules"]) == found
    assert set(contracts["Families know no concrete runner"]["source_modules"]) == found
    assert found <= set(contracts["What families share knows no family"]["forbidden_modules"])


def test_every_module_of_the_engine_but_the_runners_knows_none(contracts: dict[str, dict[str, Any]]) -> None:
    runners = tuple(contracts["Runners are independent of each other"]["modules"])
    shared = {name for name in MODULES if name.startswith("claude_relay.engine.") and not name.startswith(runners)}

    assert (
        set(contracts["What runners share knows no concrete runner"]["source_modules"]) - {"claude_relay.web"} == shared
    )
