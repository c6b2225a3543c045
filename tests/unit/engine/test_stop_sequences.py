"""A stop sequence is found wherever the borders between deltas are."""

import random
import time
from collections.abc import Iterator

import pytest

from claude_relay.engine.stop_sequences import StopSequences


def shown(pieces: list[str], *stops: str) -> tuple[str, bool]:
    """Return what is shown of a text in pieces, and whether it was stopped."""
    sequences = StopSequences(stops)
    text = ""
    for piece in pieces:
        text += sequences.feed(piece)
        if sequences.found:
            return text, True
    return text + sequences.flush(), False


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
    assert sequences.flush() == "E"
    assert sequences.flush() == ""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_stop_sequences_are_found_wherever_a_plain_search_finds_them(seed: int) -> None:
    choices = random.Random(seed)
    for _ in range(200):
        stops = tuple("".join(choices.choices("ab", k=choices.randint(1, 5))) for _ in range(3))
        pieces = ["".join(choices.choices("abc", k=choices.randint(0, 7))) for _ in range(8)]
        text, looking, shown = "".join(pieces), StopSequences(stops), ""
        for piece in pieces:
            shown += looking.feed(piece)
            if looking.found:
                break
        shown += looking.flush()

        ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
        assert shown == (text[: min(ends)[1]] if ends else text)


@pytest.mark.slow
def test_beginnings_of_stop_sequences_are_not_looked_at_again_and_again() -> None:
    stops = ("a" * 999 + "b", *("a" * 500 + "c" * 498 + f"{number:02}" for number in range(63)))
    looking = StopSequences(stops)
    began = time.process_time()
    for _ in range(1_500):
        looking.feed("aaaa")

    assert time.process_time() - began < 2
