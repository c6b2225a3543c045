"""Halves of characters: joined where both come, and otherwise neither lost nor the end of everything."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_relay.engine.surrogates import Pairs, as_escape, as_replacement, without_lone

SMILE = "\N{GRINNING FACE}"
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
ANY = st.text(st.characters(codec=None, categories=["L", "Cs", "So", "Po"]))


def pieces(pairs: Pairs, *texts: str) -> str:
    return "".join(map(pairs.feed, texts)) + pairs.flush()


@pytest.mark.parametrize(
    ("texts", "text", "arguments"),
    [
        (("\ud83d", "\ude00"), SMILE, SMILE),
        (("a\ud83d", "", "\ude00b"), f"a{SMILE}b", f"a{SMILE}b"),
        (("\ud83d",), UNKNOWN, "\\ud83d"),
        (("\ude00", "a"), f"{UNKNOWN}a", "\\ude00a"),
        (
            ("\ud83d", "a\ud83d", "\ud83d\ude00"),
            f"{UNKNOWN}a{UNKNOWN}\N{GRINNING FACE}",
            "\\ud83da\\ud83d\N{GRINNING FACE}",
        ),
    ],
)
def test_pairs_are_joined_over_pieces_and_what_stays_alone_is_told(
    texts: tuple[str, ...], text: str, arguments: str
) -> None:
    assert pieces(Pairs(as_replacement), *texts) == text
    assert pieces(Pairs(as_escape), *texts) == arguments


@pytest.mark.slow
@given(ANY, st.integers(0, 20))
def test_a_text_is_the_same_wherever_it_is_cut(text: str, cut: int) -> None:
    told = pieces(Pairs(as_replacement), text[:cut], text[cut:])

    assert told == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@pytest.mark.slow
@given(ANY)
def test_json_without_lone_surrogates_is_as_it_was_but_for_them(text: str) -> None:
    document = json.dumps({text: [text, "\\ud83d"]}).encode()
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    assert json.loads(without_lone(document)) == {whole: [whole, "\\ud83d"]}
