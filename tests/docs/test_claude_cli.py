"""What docs/claude-cli.md says the relay rests on is held by the tests it names, with the versions it names."""

import re

import pytest

from claude_relay.engine.claude.discovery import bundled, read_version
from tests.docs.pages import assert_each_names_tests, known_tests, page, rows

PAGE = "docs/claude-cli.md"
TRIED = re.compile(r"\b2\.1\.\d+\b")


@pytest.fixture(scope="module")
def installed() -> str:
    path = bundled()
    assert path is not None
    return ".".join(map(str, read_version(path)))


def test_every_behaviour_names_tests_that_exist() -> None:
    behaviours = rows(page(PAGE))
    assert len(behaviours) > 25
    assert_each_names_tests(behaviours)
    assert set(re.findall(r"`(test_\w+)`", page(PAGE))) <= known_tests()


def test_every_behaviour_was_seen_in_a_version_that_the_tests_ran_with(installed: str) -> None:
    older = TRIED.findall(page(".ci/run"))
    assert len(older) == 1
    for _, seen, _ in rows(page(PAGE)):
        assert seen.startswith("both") or TRIED.findall(seen), seen
        assert set(TRIED.findall(seen)) <= {installed, *older}, seen


@pytest.mark.parametrize("name", ["README.md", PAGE])
def test_the_page_says_which_versions_the_tests_ran_with(name: str, installed: str) -> None:
    (said,) = (part for part in re.split(r"\.\s", page(name)) if "tests ran with" in part)
    assert TRIED.findall(said) == [installed, *TRIED.findall(page(".ci/run"))]


def test_measurements_aside_no_page_of_today_names_another_version(installed: str) -> None:
    quick = page("README.md") + page("docs/quickstart.md") + page("CONTRIBUTING.md")
    assert set(TRIED.findall(quick)) <= {installed, *TRIED.findall(page(".ci/run"))}
