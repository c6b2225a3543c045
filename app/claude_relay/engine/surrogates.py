"""Lone surrogates: JSON can escape them, and no text of Unicode can hold them. Pure.

Models write them, programs cut texts between them, and the decoder refuses a whole line or body for one.
"""

import itertools
import re
from collections.abc import Callable, Iterator

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_FIRST, _SECOND = rb"[89abAB][0-9a-fA-F]{2}", rb"[c-fC-F][0-9a-fA-F]{2}"
_LONE = re.compile(rb"u(?<=\\u)[dD](?:%b(?!\\u[dD]%b)|(?<!\\u[dD]%b\\u[dD])%b)" % (_FIRST, _SECOND, _FIRST, _SECOND))
"""The escape of a lone surrogate, less its backslash: one that has not the other of its pair beside it."""
_MOST_REPLACED = 1000
_STEP = 1024 * 1024
"""Bytes that are searched without a break."""
_PAIR = len(rb"\ud83d\ude00")
_SURROGATE = re.compile("[\ud800-\udfff]")
_HIGH = re.compile("[\ud800-\udbff]")


def without_lone(document: bytes) -> bytes:
    """Return JSON with the sign for what is unknown for its first lone surrogates; many more are no accident."""
    pieces, done = [], 0
    for start, end in itertools.islice(_lone(document), _MOST_REPLACED):
        before = document[done:start]
        # a backslash that is escaped itself begins no escape
        is_escape = (len(before) - len(before.rstrip(b"\\"))) % 2 == 1
        pieces += [before, b"ufffd" if is_escape else document[start:end]]
        done = end
    return b"".join((*pieces, document[done:]))


def _lone(document: bytes) -> Iterator[tuple[int, int]]:
    for start in range(0, len(document), _STEP):
        end = start + _STEP
        yield from (found.span() for found in _LONE.finditer(document, start, end + _PAIR) if found.start() < end)


def as_replacement(_: re.Match[str]) -> str:
    """Return what stands for a lone surrogate in text."""
    return REPLACEMENT


def as_escape(lone: re.Match[str]) -> str:
    """Return what stands for a lone surrogate in JSON."""
    return f"\\u{ord(lone[0]):04x}"


class Pairs:
    """Joins pairs of surrogates in a text that comes in pieces, whose borders may be within one.

    Args:
        alone: Returns what stands for one that stays alone.
    """

    def __init__(self, alone: Callable[[re.Match[str]], str]) -> None:
        self._alone = alone
        self._held = ""

    def feed(self, text: str) -> str:
        """Return what is whole; the first half of a pair at the end waits for the other."""
        if text.isascii() and not self._held:
            return text
        text, self._held = self._held + text, ""
        if not _SURROGATE.search(text):
            return text
        if _HIGH.match(text[-1]):
            text, self._held = text[:-1], text[-1]
        return self._joined(text)

    def flush(self) -> str:
        """Return what waited, now that the text is over."""
        held, self._held = self._held, ""
        return self._joined(held)

    def _joined(self, text: str) -> str:
        pairs = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return _SURROGATE.sub(self._alone, pairs)
