"""What tests of the documentation share: the pages, their tables, and the tests that there are."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    *(
        ROOT / name
        for name in (
            "README.md",
            "CHANGELOG.md",
            "CONTRIBUTING.md",
            "SECURITY.md",
            "docker/README.md",
            "examples/README.md",
        )
    ),
    *sorted((ROOT / "docs").rglob("*.md")),
)


def page(name: str) -> str:
    """Return the text of a page."""
    return (ROOT / name).read_text()


def section(name: str, heading: str) -> str:
    """Return the part of a page below a heading, up to the next one of its level."""
    level = heading.split(" ", maxsplit=1)[0]
    _, _, rest = page(name).partition(f"\n{heading}\n")
    assert rest, f"{name} has no {heading!r}"
    return rest.partition(f"\n{level} ")[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all tables in a text, without their heads."""
    lines = text.splitlines()
    heads = {number - 1 for number, line in enumerate(lines) if re.fullmatch(r"\|[-|: ]+\|", line)}
    body = [line for number, line in enumerate(lines) if line.startswith("| ") and number not in heads]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in body]


def error_codes() -> dict[str, set[str]]:
    """Return the codes of errors that clients get, by the module that names them."""
    written = re.compile(r'(?:code|default_code)(?:: [^=\n]+)? ?= ?"([a-z_]+)"')
    modules = {str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "app").rglob("*.py")}
    # nobody reads that one
    return {name: set(written.findall(text)) - {"client_disconnected"} for name, text in modules.items()}


@cache
def known_tests() -> frozenset[str]:
    """Return the names of all tests."""
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    return frozenset(re.findall(r"^(?:async )?def (test_\w+)", written, re.MULTILINE))


def assert_each_names_tests(table: list[list[str]]) -> None:
    """Each row's last cell names tests, and all of them exist."""
    for row in table:
        named = set(re.findall(r"`(test_\w+)`", row[-1]))
        assert named, row
        assert named <= known_tests(), named - known_tests()
