"""A stop sequence is found wherever the borders between deltas are."""

from collections.abc import Iterator

import pytest

from claude_relay.engine.stopping import StopSequences


def shown(pieces: list[str], *stops: str) -> tuple[str, bool]:
    """Return what is shown of a text in pieces, and whether it was stopped."""
    sequences = StopSequences(stops)
    text = ""
    for piece in pieces:
        text += sequences.feed(piece)
        if sequences.found:
            return text, True
    return text + sequences.rest(), False


def cuts(text: str) -> Iterator[list[str]]:
    """Yield all ways to cut a text into pieces."""
    for mask in range(1 << (len(text) - 1)):
        pieces = [text[0]]
        for index, character in enumerate(text[1:]):
            if mask >> index & 1:
                pieces.append(character)
            else:
                pieces[-1] += character
        yield pieces


@pytest.mark.parametrize(
    ("text", "stops", "expected"),
    [
        ("one END two", ("END",), ("one ", True)),
        ("aab", ("ab",), ("a", True)),
        ("ababac!", ("abac",), ("ab", True)),
        ("no stop E", ("END",), ("no stop E", False)),
        ("x EN END", ("END", "x E"), ("", True)),
        ("abc", ("c", "bc"), ("a", True)),
        ("END", ("END",), ("", True)),
        ("as it is", (), ("as it is", False)),
    ],
)
def test_however_a_text_is_cut_it_is_shown_up_to_the_first_stop(
    text: str, stops: tuple[str, ...], expected: tuple[str, bool]
) -> None:
    assert {shown(pieces, *stops) for pieces in cuts(text)} == {expected}


def test_nothing_is_held_back_that_cannot_become_a_stop() -> None:
    sequences = StopSequences(("END",))

    assert [sequences.feed(piece) for piece in ("one ", "E", "N", "x", "E")] == ["one ", "", "", "ENx", ""]
    assert sequences.rest() == "E"
    assert sequences.rest() == ""
