"""Leaves out the code block that models put around code, also where they were asked not to. Pure."""

import re
from typing import Literal

from claude_relay.engine.stop_sequences import StopSequences

BACKTICKS = "```"
"""What a code block of Markdown begins and ends with."""
_OPENING = re.compile(rf"\s*{BACKTICKS}[^\n`]*(?=\n)")
_MAY_OPEN = re.compile(rf"\s*(?:`{{0,2}}|{BACKTICKS}[^\n`]*)")


class Unwrapped:
    """Takes a text that comes in pieces, and returns what is inside of the code block that it begins with, if it does.

    What follows the block is an explanation, and left out too.
    """

    def __init__(self) -> None:
        self._held = ""
        self._state: Literal["begins", "opened", "inside", "plain"] = "begins"
        self._closing = StopSequences((f"\n{BACKTICKS}",))

    def feed(self, text: str) -> str:
        """Return what may be shown so far: nothing of a block's first and last line, nor of what may become one."""
        if self._state == "plain":
            return text
        if self._state != "begins":
            return self._inside(text)
        self._held += text
        if opening := _OPENING.match(self._held):
            self._state = "opened"
            # the end of the opening line may be the beginning of the closing one
            return self._inside(self._held[opening.end() :])
        if _MAY_OPEN.fullmatch(self._held):
            return ""
        self._state = "plain"
        return self._held

    def flush(self) -> str:
        """Return what was held back, now that the text is over."""
        if self._state == "begins":
            return "" if BACKTICKS in self._held else self._held
        return self._without_opening(self._closing.flush())

    def _inside(self, text: str) -> str:
        return "" if self._closing.found else self._without_opening(self._closing.feed(text))

    def _without_opening(self, text: str) -> str:
        """Leave out the end of the opening line, which is the first that comes."""
        if not text or self._state != "opened":
            return text
        self._state = "inside"
        return text[1:]
