"""Turns of the processes that share a run of the tests: side by side, or alone for what measures time."""

import fcntl
from pathlib import Path


class Turns:
    """What each process of the run asks before a test, and tells after it.

    Who waits for a turn alone keeps the door, so that nobody else begins meanwhile.

    Args:
        door: A file that is there, the same for all; locked by who waits to enter.
        room: Another one; locked as long as a turn takes.
    """

    def __init__(self, door: Path, room: Path) -> None:
        self._door = door.open("rb")
        self._room = room.open("rb")
        self._is_kept = False

    def begin(self, *, alone: bool) -> None:
        """Wait until nobody else has a turn alone or, for one alone, any turn; one that was kept goes on."""
        if self._is_kept:
            return
        fcntl.flock(self._door, fcntl.LOCK_EX)
        fcntl.flock(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(self._door, fcntl.LOCK_UN)

    def end(self, *, keep: bool) -> None:
        """Let others begin, or keep the turn for the next test."""
        self._is_kept = keep
        if not keep:
            fcntl.flock(self._room, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give up a turn that was kept."""
        self._door.close()
        self._room.close()
