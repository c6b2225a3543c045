"""What docs/security.md says of attacks is shown by the tests it names."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_, _, TABLE = (ROOT / "docs/security.md").read_text().partition("## Attacks, and the tests that show what happens")


def test_every_attack_names_tests_that_exist() -> None:
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"^(?:async )?def (test_\w+)", written, re.MULTILINE))
    rows = [line.strip("|").split("|") for line in TABLE.splitlines() if line.startswith("| ")][1:]

    assert len(rows) > 10
    for row in rows:
        named = set(re.findall(r"`(test_\w+)`", row[-1]))
        assert named, row
        assert named <= there, named - there
