"""Messages are joined to turns, and calls have their results before a conversation goes on."""

import pytest

from claude_relay.engine.turns import MissingResultError, Turns, UnknownCallError
from claude_relay.engine.vocabulary import Piece, Role, Text, ToolCall, ToolResult, Turn

OPENING = Turn("user", (Text("."),))
CALLS = (ToolCall("a", "weather", {}), ToolCall("b", "weather", {}))


def said(*messages: tuple[Role, tuple[Piece, ...]]) -> tuple[Turn, ...]:
    """Return the turns of messages without results."""
    turns = Turns()
    for role, content in messages:
        turns.go_on()
        turns.add(role, content)
    return turns.joined()


def called(*calls: ToolCall) -> Turns:
    """Return a conversation in which the assistant made calls."""
    turns = Turns()
    turns.add("user", (Text("?"),))
    turns.add("assistant", calls)
    return turns


def test_messages_of_one_role_in_a_row_are_one_turn() -> None:
    one, two, three = Text("1"), Text("2"), Text("3")

    assert said(("user", (one,)), ("user", (two, three)), ("assistant", (one,)), ("assistant", (two,))) == (
        Turn("user", (one, two, three)),
        Turn("assistant", (one, two)),
    )


def test_a_message_that_says_nothing_leaves_no_turn_behind() -> None:
    assert said(("assistant", ()), ("user", (Text("a"),)), ("assistant", ()), ("user", (Text("b"),))) == (
        Turn("user", (Text("a"), Text("b"))),
    )
    assert said() == said(("user", ())) == ()


def test_a_conversation_that_the_assistant_began_gets_an_opening() -> None:
    assert said(("assistant", (Text("Welcome!"),))) == (OPENING, Turn("assistant", (Text("Welcome!"),)))


def test_results_come_in_any_order_and_are_one_turn_with_what_follows() -> None:
    turns = called(*CALLS)
    for call_id in ("b", "a"):
        turns.take_call(call_id)
        turns.add("user", (ToolResult(call_id, ()),))
    turns.go_on()
    turns.add("user", (Text("thanks"),))

    assert turns.joined()[2] == Turn("user", (ToolResult("b", ()), ToolResult("a", ()), Text("thanks")))


def test_a_result_without_an_id_is_that_of_the_first_call_of_its_tool() -> None:
    turns = called(ToolCall("c", "time", {}), *CALLS)

    assert [turns.take_call_of(tool) for tool in ("weather", "time", "weather")] == ["a", "c", "b"]
    with pytest.raises(UnknownCallError, match=r"^'weather'$"):
        turns.take_call_of("weather")


def test_a_result_of_a_call_that_was_not_made_is_refused() -> None:
    turns = called(*CALLS)
    turns.take_call("a")

    for unknown in ("a", "A", ""):
        with pytest.raises(UnknownCallError, match=f"^'{unknown}'$"):
            turns.take_call(unknown)


def test_a_conversation_does_not_go_on_before_every_call_has_its_result() -> None:
    turns = called(*CALLS)
    turns.take_call("a")

    for goes_on in (turns.go_on, turns.joined):
        with pytest.raises(MissingResultError, match=r"^b$"):
            goes_on()


def test_an_error_names_a_few_calls_of_many() -> None:
    turns = called(*(ToolCall(str(number), "f", {}) for number in range(1000)))

    with pytest.raises(MissingResultError, match=r"^0, 1, 2, 3, 4, and 995 more$"):
        turns.go_on()
