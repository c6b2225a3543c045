"""What docs/reliability.md promises is shown by the tests it names."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reliability.md").read_text()


def _rows() -> list[list[str]]:
    lines = [line for line in PAGE.splitlines() if line.startswith("| ") and "shown by" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_row_names_tests_that_exist() -> None:
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"^def (test_\w+)", written, re.MULTILINE))
    rows = _rows()

    assert len(rows) > 15
    for row in rows:
        named = set(re.findall(r"`(test_\w+)`", row[-1]))
        assert named, row
        assert named <= there, named - there


def test_every_error_code_of_the_table_is_one_of_the_api() -> None:
    api = (ROOT / "docs/api.md").read_text()
    errors = set(re.findall(r"`([a-z_]+)`", "".join(line for line in api.splitlines() if re.match(r"\| \d{3} ", line))))

    for row in _rows():
        assert set(re.findall(r"(?:50\d|,|:) `([a-z_]+)`", row[1])) <= errors, row
