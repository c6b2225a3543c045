"""Runs an example as a user does."""

import os
import subprocess
import sys
from pathlib import Path

from tests.upstream import Message, Text, ToolUse, text

EXAMPLES = Path(__file__).parents[2] / "examples"

TWO_CALLS = Message(
    blocks=(
        Text("Let me look."),
        ToolUse("toolu_1", "temperature", {"city": "Oslo"}),
        ToolUse("toolu_2", "temperature", {"city": "Rome"}),
    )
)
ANSWER = text("In Rome.")


def output_of(name: str, base_url: str, home: Path) -> str:
    """Return what an example prints when it asks a relay, in an environment of its own."""
    path = EXAMPLES / name
    command = [sys.executable, str(path)] if path.suffix == ".py" else [str(path)]
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "OPENAI_BASE_URL": base_url}
    ran = subprocess.run(command, env=environ, cwd=home, check=False, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
