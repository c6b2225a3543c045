"""Ends a text at a stop sequence, wherever the borders between its deltas are."""


class StopSequences:
    """Looks for stop sequences in a text that comes in pieces.

    Args:
        stops: The sequences; none of them is empty.

    Attributes:
        found: The one that ended the text, once it has come.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._beginnings = [_Beginning(stop) for stop in stops]
        self._held = ""
        self.found: str | None = None

    def feed(self, text: str) -> str:
        """Return what may be shown so far: nothing of a stop sequence, nor of what may become one."""
        if not self._stops:
            return text
        self._held += text
        found = [(at + len(stop), at, stop) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            # the one that is complete first, wherever the borders are
            _, at, self.found = min(found)
            shown, self._held = self._held[:at], ""
            return shown
        cut = len(self._held) - max(beginning.feed(text) for beginning in self._beginnings)
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown

    def flush(self) -> str:
        """Return what was held back, now that the text is over."""
        held, self._held = self._held, ""
        return held


class _Beginning:
    """Knows how many of a text's last characters are the beginning of a stop sequence that is not in the text.

    No character is looked at twice (Knuth, Morris and Pratt).
    """

    def __init__(self, stop: str) -> None:
        self._stop = stop
        self._size = 0
        # for each beginning: how long its longest end is that is a beginning too
        self._shorter = [0]
        size = 0
        for character in stop[1:]:
            size = self._longer(size, character)
            self._shorter.append(size)

    def feed(self, text: str) -> int:
        """Take more of the text, and return the number."""
        if len(text) >= len(self._stop):
            # nothing before can matter
            text, self._size = text[1 - len(self._stop) :] if len(self._stop) > 1 else "", 0
        for character in text:
            self._size = self._longer(self._size, character)
        return self._size

    def _longer(self, size: int, character: str) -> int:
        while size and self._stop[size] != character:
            size = self._shorter[size - 1]
        return size + 1 if self._stop[size] == character else 0
