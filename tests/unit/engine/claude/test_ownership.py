"""Whose turns a process takes."""

import pytest

from claude_relay.engine.claude import wire
from claude_relay.engine.claude.ownership import TurnOwnership


def begin(*line_ids: str) -> wire.Line:
    return wire.System("init", user_message_uuids=line_ids)


def ask(*line_ids: str) -> wire.Line:
    return wire.System("status", status="requesting", user_message_uuids=line_ids)


def end(*line_ids: str) -> wire.Line:
    return wire.Result("success", user_message_uuids=line_ids)


def told(*line_ids: str) -> TurnOwnership:
    ownership = TurnOwnership()
    ownership.expect(line_ids)
    return ownership


def test_a_turn_for_some_of_our_lines_is_ours_from_its_beginning_to_its_end() -> None:
    ownership = told("one", "two")

    assert all(ownership.is_ours(line) for line in (begin("two"), ask("two"), wire.Other("user", ""), end("two")))


@pytest.mark.parametrize("line_ids", [(), ("other",), ("one", "other")])
def test_a_turn_for_no_line_or_for_any_that_is_not_ours_is_not_ours(line_ids: tuple[str, ...]) -> None:
    assert not told("one").is_ours(begin(*line_ids))


def test_a_turn_that_others_join_in_its_middle_is_not_ours_from_there_on() -> None:
    ownership = told("one")

    assert [ownership.is_ours(line) for line in (begin("one"), ask("one"), ask("one", "other"))] == [True, True, False]


def test_an_end_without_a_beginning_is_not_ours() -> None:
    ownership = told("one")
    assert [ownership.is_ours(line) for line in (begin("one"), end("one"), end("one"))] == [True, True, False]


def test_what_we_said_before_is_ours_no_more_once_other_lines_are_expected() -> None:
    ownership = told("one")
    ownership.expect(())

    assert not ownership.is_ours(begin("one"))
