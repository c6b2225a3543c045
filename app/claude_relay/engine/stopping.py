"""Ends a text at a stop sequence, wherever the borders between its deltas are."""


class StopSequences:
    """Looks for stop sequences in a text that comes in pieces.

    Args:
        stops: The sequences; none of them is empty.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._held = ""
        self.found = False

    def feed(self, text: str) -> str:
        """Return what may be shown so far: nothing of a stop sequence, nor of what may become one."""
        if not self._stops:
            return text
        self._held += text
        found = [(at + len(stop), at) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            # the one that is complete first, wherever the borders are
            self.found = True
            shown, self._held = self._held[: min(found)[1]], ""
            return shown
        keep = max((self._overlap(stop) for stop in self._stops), default=0)
        cut = len(self._held) - keep
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown

    def rest(self) -> str:
        """Return what was held back, now that the text is over."""
        held, self._held = self._held, ""
        return held

    def _overlap(self, stop: str) -> int:
        """Return how many of the last characters are the beginning of a stop sequence."""
        longest = min(len(stop) - 1, len(self._held))
        return next((size for size in range(longest, 0, -1) if stop.startswith(self._held[-size:])), 0)
