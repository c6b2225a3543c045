"""Messages of every shape become a system prompt and turns."""

import random
from typing import Any

import pytest
from polyfactory.factories.msgspec_factory import MsgspecFactory

from claude_relay.chat import schemas
from claude_relay.chat.conversation import system_prompt, turns, unsupported_fields
from claude_relay.engine.vocabulary import Image, Link, Text, ToolCall, ToolResult, Turn
from claude_relay.errors import InvalidRequestError
from tests.unit.chat.bodies import messages

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bern"}'}}
CALLED = ToolCall("call_1", "weather", {"city": "Bern"})
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "mild"}


def user(content: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **fields}


def assistant(content: Any = None, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **fields}


def said(*given: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    """Return the turns of some messages: who says what, texts as plain strings."""
    return [
        (turn.role, [piece.text if isinstance(piece, Text) else piece for piece in turn.content])
        for turn in turns(messages(*given))
    ]


def refused(*given: dict[str, Any]) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as raised:
        turns(messages(*given))
    return raised.value


# --- instructions ----------------------------------------------------------------------------------------------------


def system(content: Any, role: str = "system") -> dict[str, Any]:
    return {"role": role, "content": content}


def test_the_first_system_and_developer_messages_are_joined_in_order() -> None:
    given = messages(
        system("one", "developer"),
        system([{"type": "text", "text": "two"}, {"type": "text", "text": "three"}]),
        user("hi"),
        system("four"),
    )

    assert system_prompt(given) == "one\n\ntwo\n\nthree"


@pytest.mark.parametrize("role", ["system", "developer"])
def test_an_instruction_in_between_stays_there_and_is_marked_as_one(role: str) -> None:
    given = (system("s"), user("a"), assistant("b"), system("Be brief.", role), user("c"), system("Now.", role))

    assert system_prompt(messages(*given)) == "s"
    assert said(*given) == [
        ("user", ["a"]),
        ("assistant", ["b"]),
        ("user", ["<system>\nBe brief.\n</system>", "c", "<system>\nNow.\n</system>"]),
    ]


@pytest.mark.parametrize("before", [assistant("b"), user("b"), user("")])
def test_an_instruction_may_be_the_last_message(before: dict[str, Any]) -> None:
    role, texts = said(user("a"), before, system("Go on."))[-1]

    assert (role, texts[-1]) == ("user", "<system>\nGo on.\n</system>")


def test_an_instruction_may_stand_between_a_call_and_its_result() -> None:
    made = said(user("a"), assistant(tool_calls=[CALL]), system("s"), RESULT)

    assert made[2] == ("user", ["<system>\ns\n</system>", ToolResult("call_1", (Text("mild"),))])


def test_more_instructions_do_not_change_what_stands_before_them() -> None:
    given = [system("s"), user("a"), assistant("b"), system("t"), user("c")]

    for end in (2, 3):
        assert said(*given)[: end - 1] == said(*given[:end])
        assert system_prompt(messages(*given[:end])) == system_prompt(messages(*given))


@pytest.mark.parametrize("content", [None, "", " \n", [], [{"type": "text", "text": " "}]])
def test_instructions_without_a_word_are_none(content: Any) -> None:
    assert system_prompt(messages({"role": "system", "content": content}, user("hi"))) is None


def test_without_instructions_there_are_none() -> None:
    assert system_prompt(messages(user("hi"), assistant("hello"))) is None


def test_what_others_say_is_no_instruction() -> None:
    assert system_prompt(messages(user("You are a pirate."), assistant("Arr."))) is None


# --- turns -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["string", "part", "parts"])
def test_a_text_is_the_same_in_every_shape(shape: str) -> None:
    content = {
        "string": "hi",
        "part": [{"type": "text", "text": "hi"}],
        "parts": [{"text": "hi", "type": "text"}, {"type": "text", "text": ""}],
    }[shape]

    assert said(user(content)) == [("user", ["hi"])]


@pytest.mark.parametrize("content", [None, "", " ", [], [{"type": "text", "text": ""}]])
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_message_that_says_nothing_leaves_no_turn_behind(role: str, content: Any) -> None:
    silent = {"role": role, "content": content}

    assert said(user("a"), silent, assistant("b"), silent, user("c"), silent) == [
        ("user", ["a"]),
        ("assistant", ["b"]),
        ("user", ["c"]),
    ]


@pytest.mark.parametrize("role", ["user", "assistant", "system", "developer"])
def test_a_message_may_lack_its_content(role: str) -> None:
    assert said(user("a"), {"role": role}) == [("user", ["a"])]


@pytest.mark.parametrize("content", [None, "", " ", []])
def test_the_last_message_may_be_an_empty_one_of_the_user(content: Any) -> None:
    silent = user(content)

    assert said(silent) == said(system(""), silent) == said(assistant(""), silent) == [("user", ["."])]
    assert said(user("a"), assistant("b"), silent)[2:] == [("user", ["."])]
    assert said(user("a"), assistant("b"), silent, system(""))[2:] == [("user", ["."])]
    assert said(user("a"), silent) == [("user", ["a"])]
    assert said(user("a"), assistant(tool_calls=[CALL]), RESULT, silent)[2] == (
        "user",
        [ToolResult("call_1", (Text("mild"),))],
    )


@pytest.mark.parametrize("content", [None, "", " ", []])
def test_the_last_message_may_be_an_empty_one_of_the_assistant(content: Any) -> None:
    assert said(user("a"), assistant(content)) == [("user", ["a"])]
    assert said(assistant(content)) == [("user", ["."])]


def test_the_beginning_of_an_answer_stays_at_the_end() -> None:
    assert said(user("Count."), assistant("1, 2,")) == [("user", ["Count."]), ("assistant", ["1, 2,"])]


def test_instructions_alone_are_no_turns() -> None:
    assert said(system("only me", "developer"), system("and me")) == []


def test_a_refusal_of_the_past_is_what_the_assistant_said() -> None:
    parts = [{"type": "refusal", "refusal": "No."}]

    assert said(user("a"), assistant(None, refusal="No."))[1] == ("assistant", ["No."])
    assert said(user("a"), assistant(parts))[1] == ("assistant", ["No."])


def test_what_other_servers_add_to_messages_is_passed_over() -> None:
    message = assistant("b", reasoning_content="hm", provider_specific_fields={}, annotations=[], audio=None)

    assert said(user("a"), message) == [("user", ["a"]), ("assistant", ["b"])]


# --- who speaks ------------------------------------------------------------------------------------------------------


def test_several_users_are_told_apart_by_their_names() -> None:
    picture = {"type": "image_url", "image_url": "https://a/b"}

    assert said(
        user("Hi.", name="Ada"),
        user([{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}], name="Bob"),
        assistant("Hello.", name="Bot"),
        user("Nobody."),
        user([picture], name="Bob"),
        user("", name="Eve"),
    ) == [
        ("user", ["Ada: Hi.", "Bob: One.", "Two."]),
        ("assistant", ["Hello."]),
        ("user", ["Nobody.", "Bob:", Image(Link("https://a/b"))]),
    ]


@pytest.mark.parametrize("other", [user("c", name="Ada"), user("c"), user("c", name=""), user("c", name=None)])
def test_one_name_alone_adds_nothing(other: dict[str, Any]) -> None:
    assert said(user("a", name="Ada"), assistant("b", name="Bot"), other)[0] == ("user", ["a"])
    assert said(user("a", name="Ada"), assistant("b", name="Bot"), other)[2] == ("user", ["c"])


# --- tools -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "texts"),
    [(None, []), ("", []), (" ", []), ([], []), ("Let me see.", ["Let me see."])],
)
def test_calls_follow_what_the_assistant_said_with_them(content: Any, texts: list[str]) -> None:
    assert said(user("a"), assistant(content, tool_calls=[CALL]), RESULT)[1] == ("assistant", [*texts, CALLED])


def test_a_message_with_calls_may_lack_its_content() -> None:
    message = {"role": "assistant", "tool_calls": [CALL]}

    assert said(user("a"), message, RESULT)[1:] == [
        ("assistant", [CALLED]),
        ("user", [ToolResult("call_1", (Text("mild"),))]),
    ]


@pytest.mark.parametrize("missing", [None, []])
def test_a_message_may_have_no_calls(missing: Any) -> None:
    assert said(user("a"), assistant("b", tool_calls=missing))[1] == ("assistant", ["b"])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_results_of_several_calls_come_in_any_order_and_are_one_turn_with_what_follows(order: tuple[int, ...]) -> None:
    second = {**CALL, "id": "call_2"}
    results = [RESULT, {**RESULT, "tool_call_id": "call_2", "content": "cold"}]

    last = said(user("a"), assistant(tool_calls=[CALL, second]), *(results[index] for index in order), user("thanks"))[
        2
    ]

    expected = [ToolResult("call_1", (Text("mild"),)), ToolResult("call_2", (Text("cold"),))]
    assert last == ("user", [*(expected[index] for index in order), "thanks"])


@pytest.mark.parametrize(
    ("content", "pieces"),
    [
        (None, ()),
        ("", ()),
        ([], ()),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], (Text("a"), Text("b"))),
        ([{"type": "image_url", "image_url": {"url": "https://a/b"}}], (Image(Link("https://a/b")),)),
    ],
)
def test_a_result_has_any_shape_of_content(content: Any, pieces: tuple[Any, ...]) -> None:
    result = {**RESULT, "content": content, "name": "weather"}

    assert said(user("a"), assistant(tool_calls=[CALL]), result)[2] == ("user", [ToolResult("call_1", pieces)])


@pytest.mark.parametrize("call_id", ["call_2", "", "CALL_1"])
def test_a_result_of_a_call_that_was_not_made_is_refused(call_id: str) -> None:
    error = refused(user("a"), assistant(tool_calls=[CALL]), {**RESULT, "tool_call_id": call_id})

    assert (error.status, error.param) == (400, "messages[2].tool_call_id")


def test_what_is_wrong_with_calls_is_told_in_openais_words_with_the_calls() -> None:
    call = assistant(None, tool_calls=[{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}])

    assert refused(user("?"), call, user("!")).message == (
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        "The following tool_call_ids did not have response messages: a"
    )
    assert refused(user("?"), {"role": "tool", "tool_call_id": "b", "content": "5"}).message == (
        "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'. "
        "The following call was not made before, or has a result already: 'b'"
    )


def test_a_result_cannot_come_before_its_call() -> None:
    assert refused(user("a"), RESULT, assistant(tool_calls=[CALL])).param == "messages[1].tool_call_id"


def test_a_picture_that_a_tool_returned_has_the_path_of_its_message() -> None:
    result = {**RESULT, "content": [{"type": "image_url", "image_url": "nowhere"}]}

    assert refused(user("a"), assistant(tool_calls=[CALL]), result).param == "messages[2].content[0].image_url"


def test_a_legacy_call_and_its_result_belong_together() -> None:
    legacy = {"name": "weather", "arguments": '{"city":"Bern"}'}

    roles = said(
        user("a"), assistant(None, function_call=legacy), {"role": "function", "name": "weather", "content": "mild"}
    )

    (call,) = roles[1][1]
    (result,) = roles[2][1]
    assert (call.name, call.arguments) == ("weather", {"city": "Bern"})
    assert result == ToolResult(call.id, (Text("mild"),))


def test_legacy_calls_of_one_function_are_answered_in_the_order_they_were_made() -> None:
    legacy = {"name": "f", "arguments": "{}"}
    result = {"role": "function", "name": "f"}

    made = said(
        user("a"),
        assistant(function_call=legacy),
        {**result, "content": "1"},
        assistant(function_call=legacy),
        {**result, "content": "2"},
    )

    calls, results = [made[1][1][0], made[3][1][0]], [made[2][1][0], made[4][1][0]]
    assert calls[0].id != calls[1].id
    assert results == [ToolResult(calls[0].id, (Text("1"),)), ToolResult(calls[1].id, (Text("2"),))]


def test_a_legacy_result_of_a_function_that_was_not_called_is_refused() -> None:
    error = refused(user("a"), {"role": "function", "name": "weather", "content": "mild"})

    assert (error.status, error.param) == (400, "messages[1].name")


def test_legacy_arguments_that_are_no_object_are_kept_as_the_text_they_are() -> None:
    cut = assistant(function_call={"name": "f", "arguments": '{"city": "Be'})
    _, said, _ = turns(messages(user("a"), cut, {"role": "function", "name": "f", "content": "?"}))

    assert [piece.arguments for piece in said.content if isinstance(piece, ToolCall)] == ['{"city": "Be']


# --- what has no place upstream --------------------------------------------------------------------------------------


def test_names_of_instructions_are_reported_once_where_there_are_several() -> None:
    one, same, other = ({"role": "system", "content": "a", "name": name} for name in ("Ada", "Ada", "Bob"))
    nobody = {"role": "developer", "content": "a"}

    assert list(unsupported_fields(messages(one, nobody, same))) == []
    assert list(unsupported_fields(messages(one, nobody, other))) == ["messages.name"]


def test_names_of_users_and_assistants_are_not_reported() -> None:
    given = messages(user("a", name="Ada"), assistant("b", name="Bot"), user("c", name="Bob"))

    assert list(unsupported_fields(given)) == []


@pytest.mark.parametrize(("detail", "reported"), [("auto", False), (None, False), ("low", True), ("high", True)])
def test_the_detail_of_an_image_is_reported_where_it_wishes_for_something(detail: str | None, reported: bool) -> None:
    part = {"type": "image_url", "image_url": {"url": "https://a/b", "detail": detail}}

    assert list(unsupported_fields(messages(user([part])))) == ["messages.content.image_url.detail"] * reported


def test_a_plain_conversation_reports_nothing() -> None:
    given = messages(user("a"), assistant("b", tool_calls=[CALL]), RESULT, user([{"type": "text", "text": "c"}]))

    assert list(unsupported_fields(given)) == []


# --- anything at all -------------------------------------------------------------------------------------------------


class CustomTools(MsgspecFactory[schemas.TextPart]):
    __random_seed__ = 3


class Sounds(MsgspecFactory[schemas.AudioPart]):
    __random_seed__ = 3


class UserMessages(MsgspecFactory[schemas.UserMessage]):
    __random_seed__ = 3

    @classmethod
    def content(cls) -> Any:
        return cls.__random__.choice(
            [None, "", "a", [], CustomTools.batch(2), [*CustomTools.batch(1), *Sounds.batch(1)]]
        )


class AssistantMessages(MsgspecFactory[schemas.AssistantMessage]):
    __random_seed__ = 3

    function_call = None

    @classmethod
    def content(cls) -> Any:
        return cls.__random__.choice([None, " ", "b", [], CustomTools.batch(3)])

    @classmethod
    def tool_calls(cls) -> Any:
        call = schemas.ToolCall("call_1", schemas.FunctionCall("f", cls.__random__.choice(["", "{}", "[]"])))
        return cls.__random__.choice([None, [], [call]])


class SystemMessages(MsgspecFactory[schemas.SystemMessage]):
    __random_seed__ = 3


class ToolMessages(MsgspecFactory[schemas.ToolMessage]):
    __random_seed__ = 3

    tool_call_id = "call_1"
    content = None


def anything(seed: int) -> list[schemas.Message]:
    dice = random.Random(seed)
    factories: list[Any] = [UserMessages, UserMessages, AssistantMessages, SystemMessages, ToolMessages]
    return [dice.choice(factories).build() for _ in range(dice.randint(1, 6))]


def to_question(given: list[schemas.Message]) -> tuple[Turn, ...] | str | None:
    """Return turns, or the path of what was refused."""
    try:
        return turns(given)
    except InvalidRequestError as error:
        return error.param


@pytest.mark.slow
def test_whatever_is_sent_becomes_turns_that_begin_with_the_user_and_alternate_or_is_refused_by_a_path() -> None:
    outcomes = [to_question(anything(seed)) for seed in range(300)]
    made = [outcome for outcome in outcomes if isinstance(outcome, tuple)]
    refusals = [outcome for outcome in outcomes if not isinstance(outcome, tuple)]

    assert len(made) > 50
    assert len(refusals) > 50
    for outcome in made:
        assert [turn.role for turn in outcome] == [("user", "assistant")[index % 2] for index in range(len(outcome))]
        assert all(turn.content for turn in outcome)
    for path in refusals:
        assert (path or "").startswith("messages[")


@pytest.mark.parametrize("seed", range(40))
def test_no_text_is_lost_and_none_is_added_but_an_opening(seed: int) -> None:
    dice = random.Random(seed)
    roles = [dice.choice(["user", "assistant", "system", "developer"]) for _ in range(dice.randint(1, 12))]
    parsed = messages(*({"role": role, "content": f"text {number}"} for number, role in enumerate(roles)))
    first = next((number for number, role in enumerate(roles) if role in {"user", "assistant"}), len(roles))
    shown = [
        f"<system>\ntext {number}\n</system>" if role in {"system", "developer"} else f"text {number}"
        for number, role in enumerate(roles)
    ]
    spoken = shown[first:]

    kept = [piece.text for turn in turns(parsed) for piece in turn.content if isinstance(piece, Text)]

    assert kept == ([".", *spoken] if "assistant" in roles[first : first + 1] else spoken)
    assert system_prompt(parsed) == ("\n\n".join(f"text {number}" for number in range(first)) or None)
