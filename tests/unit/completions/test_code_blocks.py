"""A code block around a text is left out, wherever the borders of its pieces are."""

import itertools

import pytest

from claude_relay.completions.code_blocks import Unwrapped

TEXTS = {
    "x = 1": "x = 1",
    "\n    return x\n": "\n    return x\n",
    "  ": "  ",
    "``x``": "``x``",
    "`": "`",
    "```": "",
    "```python": "",
    "```python\n    return x\n```": "    return x",
    "\n```py\n\nreturn x\n": "\nreturn x\n",
    "```\n```": "",
    "```\na\n``b``\n```\nThis returns a.": "a\n``b``",
    "```\na\n``": "a\n``",
    "```x``` is code": "```x``` is code",
    "a\n```\nb\n```": "a\n```\nb\n```",
}


@pytest.mark.parametrize(("text", "left"), TEXTS.items())
def test_a_text_is_the_same_in_however_many_pieces(text: str, left: str) -> None:
    for first, second in itertools.combinations_with_replacement(range(len(text) + 1), 2):
        unwrapped = Unwrapped()
        pieces = [unwrapped.feed(piece) for piece in (text[:first], text[first:second], text[second:])]
        assert "".join(pieces) + unwrapped.flush() == left


def test_a_text_that_begins_without_a_block_is_not_held_back() -> None:
    unwrapped = Unwrapped()

    assert [unwrapped.feed(piece) for piece in ("\n ", "x", "```\n")] == ["", "\n x", "```\n"]
