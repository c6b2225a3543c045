"""The scripts for Node: each tells what the user of a client gets."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.upstream_side import PNG_URL, in_the_asked_form, refused_then_through_the_tool
from tests.live.relay import clean_environment

SCRIPTS = Path(__file__).parent / "node"

PET = {"name": "Tom", "kind": "cat", "age": 3}
"""What the scripts' schemas ask for."""

both_ways = pytest.mark.parametrize(
    "replies",
    [
        pytest.param(lambda: (in_the_asked_form(PET),), id="constrained"),
        pytest.param(lambda: refused_then_through_the_tool(PET), id="tool"),
    ],
)
"""The ways in which the upstream can be made to answer with it."""


def installed(place: Path, scripts: Path = SCRIPTS) -> Path:
    """Copy the scripts beside the packages that they need; what an earlier run has installed is used again."""
    shutil.copytree(scripts, place, ignore=shutil.ignore_patterns("node_modules"), dirs_exist_ok=True)
    command = [_command("npm"), "install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, check=False, cwd=place, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return place


def run(scripts: Path, script: str, scenario: str, base_url: str, home: Path, *more: str) -> Any:
    """Run a script's scenario, and return what it tells; ``more`` is the URL of its tool, and what it is to ask."""
    command = [_command("node"), script, scenario, base_url, PNG_URL, *more]
    environ = clean_environment(home)
    done = subprocess.run(command, check=False, cwd=scripts, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _command(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"{name} is needed for the tests of the clients for Node"
    return found
