"""What a process is bound to, and when two conversations are one."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from claude_relay.engine.claude.matching import Binding, Conversation, answered
from claude_relay.engine.vocabulary import (
    AgentToolUse,
    Base64,
    Document,
    Event,
    Image,
    JsonOutput,
    Link,
    ParameterDropped,
    Piece,
    RedactedThinking,
    RunEnd,
    Sampling,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingEnd,
    Tool,
    ToolActivity,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    ToolChoice,
    ToolResult,
    Turn,
    Usage,
)
from tests.unit.factories import RunRequestFactory, conversation

WEATHER = Tool("weather", "Tells the weather.", {"type": "object"})
TIME = Tool("time", "Tells the time.", {"type": "object"})
SCHEMA = {"type": "object", "properties": {"a": {}}}
PICTURE = Image(Base64("image/png", "aGk="))
END = RunEnd("tool_calls", Usage())


# --- bindings --------------------------------------------------------------------------------------------------------

BASE = RunRequestFactory.build(caller="ann", system="Be brief.", tools=(WEATHER,))


@pytest.mark.parametrize(
    "other",
    [
        {"caller": "bob"},
        {"caller": ""},
        {"personality": "agent"},
        {"system": "Be kind."},
        {"system": None},
        {"tools": ()},
        {"tools": (WEATHER, TIME)},
        {"tools": (TIME,)},
        {"tools": (replace(WEATHER, description="Tells it."),)},
        {"tools": (replace(WEATHER, schema=SCHEMA),)},
        {"tools": (replace(WEATHER, strict=True),)},
        {"output": JsonOutput(SCHEMA)},
    ],
    ids=str,
)
def test_each_part_of_a_binding_sets_processes_apart(other: dict[str, Any]) -> None:
    assert Binding.of(replace(BASE, **other)) != Binding.of(BASE)


def test_schemas_of_the_tool_for_answers_set_processes_apart() -> None:
    one, other = (Binding.of(replace(BASE, output=JsonOutput(schema))) for schema in (SCHEMA, {"type": "object"}))

    assert one != other


@pytest.mark.parametrize(
    "other",
    [
        {"model": "opus"},
        {"turns": conversation("a", "b", "c")},
        {"sampling": Sampling(temperature=1.0)},
        {"effort": "max"},
        {"output": JsonOutput(SCHEMA, SCHEMA)},
        {"tool_choice": ToolChoice("required", "weather", parallel=False)},
        {"tools": (Tool("weather", "Tells the weather.", {"type": "object"}),)},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_can_be_set_anew_for_each_request_binds_nothing(other: dict[str, Any]) -> None:
    assert Binding.of(replace(BASE, **other)) == Binding.of(BASE)


# --- conversations ---------------------------------------------------------------------------------------------------


def same(one: tuple[Turn, ...], other: tuple[Turn, ...]) -> bool:
    return Conversation.of(one) == Conversation.of(other)


def user(*content: Piece) -> tuple[Turn, ...]:
    return (Turn("user", content),)


def assistant(*content: Piece) -> tuple[Turn, ...]:
    return (*user(Text("Hi")), Turn("assistant", content))


def call(name: str = "weather", call_id: str = "toolu_1", **arguments: object) -> ToolCall:
    return ToolCall(call_id, name, arguments)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(user(Text("Hi")), user(Text(" Hi\n")), id="trimmed question"),
        pytest.param(assistant(Text("Hello")), assistant(Text("\nHello \n")), id="trimmed answer"),
        pytest.param(assistant(Text("Hello you")), assistant(Text("Hello"), Text(" you")), id="answer in pieces"),
        pytest.param(
            assistant(Text("So "), Text("be it"), call()), assistant(Text("So be it"), call()), id="text before a call"
        ),
        pytest.param(assistant(Text("So"), call()), assistant(call(), Text("So")), id="text after a call"),
        pytest.param(assistant(call(a=1, b=[2])), assistant(call(b=[2], a=1)), id="order of arguments"),
        pytest.param(assistant(call(a=1)), assistant(call(a=1.0)), id="a whole number with a point"),
        pytest.param(user(PICTURE, Text("?")), user(Image(Base64("image/png", "aGk=")), Text("?")), id="image"),
    ],
)
def test_what_clients_change_without_meaning_it_does_not_count(one: tuple[Turn, ...], other: tuple[Turn, ...]) -> None:
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(user(Text("Hi")), user(Text("hi")), id="letter case"),
        pytest.param(user(Text("a b")), user(Text("a  b")), id="white space inside"),
        pytest.param(user(Text("ab")), user(Text("a"), Text("b")), id="question in pieces"),
        pytest.param(assistant(Text("Hello")), assistant(Text("Hello!")), id="another answer"),
        pytest.param(assistant(Text("Hello")), assistant(Text("Hello"), call()), id="one more call"),
        pytest.param(assistant(call()), assistant(call("time")), id="another tool"),
        pytest.param(assistant(call()), assistant(call(call_id="toolu_2")), id="another call"),
        pytest.param(assistant(call(a=1)), assistant(call(a="1")), id="a number as text"),
        pytest.param(assistant(call(a=None)), assistant(call()), id="null is not nothing"),
        pytest.param(assistant(call(a=[1, 2])), assistant(call(a=[2, 1])), id="order of a list"),
        pytest.param(
            assistant(call(call_id="1"), call(call_id="2")),
            assistant(call(call_id="2"), call(call_id="1")),
            id="order of calls",
        ),
        pytest.param(user(PICTURE), user(Image(Base64("image/png", "aGo="))), id="other picture"),
        pytest.param(user(PICTURE), user(Image(Base64("image/gif", "aGk="))), id="other type of picture"),
        pytest.param(user(Image(Link("http://a"))), user(Image(Link("http://b"))), id="other link"),
        pytest.param(user(PICTURE, Text("?")), user(Text("?"), PICTURE), id="picture before the text"),
        pytest.param(user(Document(Text("a"), "x")), user(Document(Text("a"), "y")), id="other name of a file"),
        pytest.param(user(Text("a")), user(Document(Text("a"))), id="file with the words of the text"),
        pytest.param(
            user(ToolResult("1", (Text("a"),))), user(ToolResult("1", (Text("b"),))), id="other result of a tool"
        ),
        pytest.param(user(ToolResult("1", ())), user(ToolResult("2", ())), id="result of another call"),
        pytest.param(user(Text("Hi")), assistant(Text("Hello")), id="only the beginning"),
        pytest.param((), user(Text("Hi")), id="nothing"),
        pytest.param(
            assistant(call(a=1)),
            assistant(call(a=True)),
            id="true is not one",
        ),
    ],
)
def test_everything_else_makes_it_another_conversation(one: tuple[Turn, ...], other: tuple[Turn, ...]) -> None:
    assert not same(one, other)


def test_arguments_of_any_depth_that_can_be_read_can_be_compared() -> None:
    deep = msgspec.json.decode(b'{"a":' * 900 + b"1" + b"}" * 900)

    assert same(assistant(call(deep=deep)), assistant(call(deep=deep)))


def test_one_more_turn_is_the_same_however_it_comes() -> None:
    turns = (*assistant(Text(" So "), call(a=1)), Turn("user", (ToolResult("toolu_1", (Text("x"),)), Text(" y "))))

    grown = Conversation(())
    for turn in turns:
        grown = grown.followed_by(turn)

    assert grown == Conversation.of(turns)


def test_what_an_agent_did_does_not_count() -> None:
    used = AgentToolUse("1", "Bash", {"command": "ls"}, "a.txt")
    told = Turn("assistant", (Text("I look.\n\n"), used, Text("One file.")))

    assert Conversation.of((told,)) == Conversation.of((Turn("assistant", (Text("I look.\n\nOne file."),)),))


# --- answers ---------------------------------------------------------------------------------------------------------


def called(call_id: str, name: str, *pieces: str) -> list[Event]:
    return [ToolCallStart(call_id, name), *map(ToolCallDelta, pieces)]


def test_reasoning_changes_nothing_whoever_sends_it_back() -> None:
    said = Text("Let me see."), ToolCall("1", "weather", {})

    assert same(assistant(Thinking("hm", "U1"), said[0], RedactedThinking("eA=="), said[1]), assistant(*said))
    assert answered([ThinkingDelta("hm"), ThinkingEnd("U1"), RedactedThinking("eA=="), TextDelta("a"), END]) == Turn(
        "assistant", (Text("a"),)
    )


def test_an_answer_is_its_text_and_then_its_calls() -> None:
    events = [
        ParameterDropped("top_k"),
        ThinkingDelta("hm"),
        TextDelta("Let "),
        ToolActivity("Bash", "ls"),
        TextDelta("me see."),
        *called("1", "weather", '{"ci', 'ty":"Oslo"}'),
        *called("2", "time"),
        END,
    ]

    assert answered(events) == Turn(
        "assistant", (Text("Let me see."), ToolCall("1", "weather", {"city": "Oslo"}), ToolCall("2", "time", {}))
    )


def test_calls_alone_are_an_answer() -> None:
    assert answered([*called("1", "time", "{}"), END]) == Turn("assistant", (ToolCall("1", "time", {}),))


@pytest.mark.parametrize(
    "events", [[], [END], [TextDelta(" \n"), END], [ThinkingDelta("hm"), END], [ToolActivity("Bash"), END]]
)
def test_an_answer_that_says_nothing_cannot_be_compared(events: list[Event]) -> None:
    assert answered(events) is None


@pytest.mark.parametrize("arguments", ['{"a', "[1]", '"a"', "5", "null", "{} {}", '{"a": NaN}'])
@pytest.mark.parametrize("before", [[], [TextDelta("Text")], called("0", "time", "{}")], ids=["alone", "text", "call"])
def test_an_answer_with_arguments_that_are_no_object_cannot_be_compared(before: list[Event], arguments: str) -> None:
    assert answered([*before, *called("1", "weather", arguments), END]) is None


def test_an_answer_with_arguments_too_deep_to_be_read_cannot_be_compared() -> None:
    assert answered([*called("1", "weather", '{"a":' + "[" * 100_000), END]) is None


def test_what_a_client_repeats_of_an_answer_is_the_answer() -> None:
    answer = answered([TextDelta(" Sure. "), *called("1", "weather", '{"a": 1, "b": [ ]}'), END])
    repeated = Turn("assistant", (Text("Sure."), ToolCall("1", "weather", {"b": [], "a": 1})))
    asked = user(Text("Hi"))

    assert answer is not None
    assert Conversation.of(asked).followed_by(answer) == Conversation.of((*asked, repeated))
