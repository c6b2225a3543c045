"""Whose turns a process takes: those for lines of the relay, or others. Pure."""

from collections.abc import Iterable

from claude_relay.engine.claude import wire


class TurnOwnership:
    """Tells turns for lines of ours from those of others: others may speak to a process, and an agent's tasks wake it.

    Whose a turn is stands in the lines at its beginning and its end, and never in what is said.
    """

    def __init__(self) -> None:
        self._ours: frozenset[str] = frozenset()
        self._in_our_turn = False

    def expect(self, line_ids: Iterable[str]) -> None:
        """Take note of the lines that are ours from here on; those of before are no more."""
        self._ours = frozenset(line_ids)

    def is_ours(self, line: wire.Line) -> bool:
        """Whether a line, as far as it tells, is part of a turn for lines of ours."""
        match line:
            case wire.System("init", user_message_uuids=uuids):
                self._in_our_turn = bool(uuids) and self._ours.issuperset(uuids)
                return self._in_our_turn
            case wire.System("status", status="requesting", user_message_uuids=uuids):
                return self._in_our_turn and self._ours.issuperset(uuids)
            case wire.Result(user_message_uuids=uuids):
                ours, self._in_our_turn = self._in_our_turn and self._ours.issuperset(uuids), False
                return ours
        return True
