"""Words that were replaced by the field's own do not come back."""

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT

SOURCES = tuple(sorted((ROOT / "app").rglob("*.py")))
EXAMPLES = tuple(sorted((ROOT / "examples").rglob("*.py")))

# as names in code they are gone; in prose most of them are plain English
_LISTED = """
    door knock Knock knock_of judge admitted caller_of journal note facts understand understood
    fence around is_due breached spared living _emptied _unborn _lacking give_back _makes_room _end_the_idle How
    under_way spoken asking cut_short _WOKEN Mark end_remains _GLANCE patience Texts folded Presentation thought
    offered forced forbidden passed_over Fate inert honoured _wording said Allowances governed watched
    finishing unfit stopping Begun Dropped wish _HALF examine _holds _Bench Findings while_connected attentive
    _nowhere _LAST_WORDS _enough tell ANSWERS ForeignPageError UnknownCallerError
"""
NAMES = frozenset(_LISTED.split())

# nowhere, since nobody writes them by chance: not in comments, texts of errors and the log, and pages either
NOWHERE = re.compile(
    r"""
    \b(?:Knock|knock_of|caller_of|journal(?:s|ed)?|fence[sd]?|spared|is_due|_unborn|give_back|end_remains|Allowances
    |Fate|inert|honoured|_HALF|_Bench|while_connected|attentive|_LAST_WORDS|patience
    |half\ a\ character|halves\ of\ (?:a\ )?characters?|would\ bend|ForeignPageError|UnknownCallerError)\b
    """,
    re.VERBOSE,
)


def names(path: Path) -> Iterator[str]:
    """Yield each name in code."""
    with path.open("rb") as source:
        yield from (token.string for token in tokenize.tokenize(source.readline) if token.type == tokenize.NAME)


def spans(text: str) -> Iterator[str]:
    """Yield each name in what a page shows as code: spans, not examples of commands."""
    for span in re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
        yield from re.findall(r"\w+", span)


@pytest.mark.parametrize("path", [*SOURCES, *EXAMPLES], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_name_in_code_is_a_replaced_one(path: Path) -> None:
    assert NAMES.intersection(names(path)) == frozenset()
    assert NOWHERE.findall(path.read_text()) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_uses_a_replaced_word(path: Path) -> None:
    text = path.read_text()

    assert NAMES.intersection(spans(text)) == frozenset()
    assert NOWHERE.findall(text) == []


def test_replaced_words_are_found(tmp_path: Path) -> None:
    source = tmp_path / "source.py"
    source.write_text('def understand(body):  # judge\n    """Keep half a character."""\n')

    assert NAMES.intersection(names(source)) == {"understand"}
    assert NAMES.intersection(spans("What is `app.judge`?\n\n```sh\nnote it\n```\n")) == {"judge"}
    assert NOWHERE.findall(source.read_text()) == ["half a character"]
