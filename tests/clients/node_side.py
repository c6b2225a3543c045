"""The scripts for Node: each tells what the user of a client gets."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.clients.upstream_side import PNG_URL
from tests.live.relay import clean_environment

SCRIPTS = Path(__file__).parent / "node"


def installed(place: Path) -> Path:
    """Copy the scripts beside the packages that they need; what an earlier run has installed is used again."""
    shutil.copytree(SCRIPTS, place, ignore=shutil.ignore_patterns("node_modules"), dirs_exist_ok=True)
    command = [_command("npm"), "install", "--prefer-offline", "--loglevel=error"]
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
