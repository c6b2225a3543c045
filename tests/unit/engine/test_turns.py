"""Messages are joined to turns, and calls have their results before a conversation goes on."""

import re

import pytest

from claude_relay.engine.turns import SILENCE, MissingResultError, Turns, UnknownCallError
from claude_relay.engine.vocabulary import Piece, RedactedThinking, Role, Text, Thinking, ToolCall, ToolResult, Turn

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
    assert said(("assistant", (Text("Welcome!"),))) == (SILENCE, Turn("assistant", (Text("Welcome!"),)))


@pytest.mark.parametrize("role", ["assistant", "user", None])
def test_a_user_who_says_nothing_has_a_turn_all_the_same(role: Role | None) -> None:
    turns = Turns()
    turns.add("user", (Text("?"),))
    if role:
        turns.add(role, (Text("a"),))

    turns.add_silence()

    assert (turns.joined()[-1] == SILENCE) == (role == "assistant")
    assert turns.joined()[-1].role == "user"


def test_a_user_who_says_nothing_at_all_has_a_turn() -> None:
    turns = Turns()

    turns.add_silence()

    assert turns.joined() == (SILENCE,)


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


def answered_twice(*ids: str) -> list[tuple[list[str], list[str]]]:
    """Return the ids upstream of the calls and of their results, of a conversation in which the same is done twice."""
    turns = Turns()
    for _ in range(2):
        turns.add("user", (Text("?"),))
        turns.add("assistant", [ToolCall(call_id, "f", {}) for call_id in ids])
        turns.add("user", [ToolResult(turns.take_call(call_id), ()) for call_id in ids])
        turns.add("assistant", (Text("so"),))
    calls = [[piece.id for piece in turn.content if isinstance(piece, ToolCall)] for turn in turns.joined()]
    results = [[piece.call_id for piece in turn.content if isinstance(piece, ToolResult)] for turn in turns.joined()]
    return list(zip(filter(None, calls), filter(None, results), strict=True))


@pytest.mark.parametrize(
    "ids",
    [
        ("call_0",),
        ("functions.get_weather:0", "functions.get_weather:1"),
        ("call_1|fc_2",),
        ("", ""),
        ("a", "a", "b"),
        ("\N{SNOWMAN}", "call_0", "call_1"),
        ("call_2", "call_3", "x y"),
        ("a" * 300,),
    ],
)
def test_ids_may_be_anything_and_repeat_and_upstream_each_is_legal_and_occurs_once(ids: tuple[str, ...]) -> None:
    made = answered_twice(*ids)

    calls = [call_id for called, _ in made for call_id in called]
    assert calls == [call_id for _, results in made for call_id in results]
    assert len(set(calls)) == len(calls) == 2 * len(ids)
    assert all(re.fullmatch("[a-zA-Z0-9_-]+", call_id) for call_id in calls)
    assert made == answered_twice(*ids)


def test_ids_that_the_upstream_takes_stay_as_they_are() -> None:
    ((first, _), _) = answered_twice("toolu_1", "call-2")

    assert first == ["toolu_1", "call-2"]


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


THOUGHT, HIDDEN = Thinking("hm", "U1"), RedactedThinking("ZGF0YQ==")


def test_reasoning_stands_where_it_stood_before_what_it_led_to() -> None:
    assert said(
        ("user", (Text("?"),)),
        ("assistant", (THOUGHT,)),
        ("assistant", ()),
        ("assistant", (HIDDEN, Text("a"))),
        ("assistant", (THOUGHT, Text("b"))),
    ) == (Turn("user", (Text("?"),)), Turn("assistant", (THOUGHT, HIDDEN, Text("a"), THOUGHT, Text("b"))))


@pytest.mark.parametrize("thoughts", [(THOUGHT,), (HIDDEN,), (THOUGHT, HIDDEN)])
def test_reasoning_that_led_to_nothing_is_left_out(thoughts: tuple[Piece, ...]) -> None:
    question: tuple[Role, tuple[Piece, ...]] = ("user", (Text("?"),))
    again: tuple[Role, tuple[Piece, ...]] = ("user", (Text("!"),))

    assert said(question, ("assistant", thoughts), again) == (Turn("user", (Text("?"), Text("!"))),)
    assert said(question, ("assistant", thoughts)) == (Turn("user", (Text("?"),)),)
    assert said(question, ("assistant", (Text("a"), *thoughts)), again, ("assistant", (Text("b"),))) == (
        Turn("user", (Text("?"),)),
        Turn("assistant", (Text("a"),)),
        Turn("user", (Text("!"),)),
        Turn("assistant", (Text("b"),)),
    )


def test_reasoning_of_the_present_turn_can_be_forgotten() -> None:
    turns = Turns()
    turns.add("user", (Text("?"),))
    turns.add("assistant", (THOUGHT, Text("a")))
    turns.add("user", (Text("?"),))
    turns.add("assistant", (THOUGHT, Text("b"), HIDDEN))

    turns.drop_thinking()
    turns.add("assistant", (Text("c"),))

    assert [turn.content for turn in turns.joined()[1::2]] == [(THOUGHT, Text("a")), (Text("b"), Text("c"))]
