"""A conversation becomes lines, in batches that are answered one by one."""

from typing import Any

import msgspec
import pytest

from claude_relay.engine.claude import outgoing
from claude_relay.engine.claude.history import Block, Strategy, blocks, ended_by_user, native, verbatim
from claude_relay.engine.vocabulary import (
    AgentToolUse,
    Base64,
    Document,
    Image,
    JsonOutput,
    Link,
    Piece,
    RedactedThinking,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from tests.unit.factories import RunRequestFactory, conversation

PICTURE = Image(Base64("image/png", "aGk="))
Told = tuple[str, str, bool]


def _told(line: outgoing.Line) -> Told:
    """Return who says what, and whether it asks."""
    match line:
        case outgoing.UserLine(outgoing.Say([{"text": text}])):
            return "user", text, line.shouldQuery
        case outgoing.AssistantLine(outgoing.PastAnswer(content=[{"text": text}])):
            return "assistant", text, False
    raise AssertionError(line)


def planned(*texts: str, composed: bool = True) -> tuple[list[list[Told]], list[Told]]:
    """Return the batches of the past, and the question."""
    plan = native(RunRequestFactory.build(turns=conversation(*texts)), client_composed=composed)
    return [list(map(_told, batch)) for batch in plan.past], list(map(_told, plan.question))


def asked(*content: Piece, composed: bool) -> list[Block]:
    """Return the blocks of a lone question."""
    request = RunRequestFactory.build(turns=(Turn("user", content),))
    (line,) = native(request, client_composed=composed).question
    assert isinstance(line, outgoing.UserLine)
    return line.message.content


def turn(*content: Piece, role: Role = "user") -> Turn:
    return Turn(role, content)


# --- real turns ------------------------------------------------------------------------------------------------------


def test_a_lone_question_has_no_past() -> None:
    assert planned("Hi") == ([], [("user", "Hi", True)])


def test_each_turn_of_the_assistant_begins_a_batch_and_only_the_last_line_asks() -> None:
    assert planned("1", "2", "3", "4", "5") == (
        [[("user", "1", False)], [("assistant", "2", False), ("user", "3", False)]],
        [("assistant", "4", False), ("user", "5", True)],
    )


def test_no_batch_is_empty_even_if_the_assistant_begins_for_nothing_would_answer_it() -> None:
    request = RunRequestFactory.build(turns=conversation("", "Welcome!", "Hi")[1:])

    plan = native(request, client_composed=True)

    assert plan.past == ()
    assert list(map(_told, plan.question)) == [("assistant", "Welcome!", False), ("user", "Hi", True)]


def test_past_answers_are_of_the_model_that_is_asked_so_that_the_cli_keeps_them_whole() -> None:
    request = RunRequestFactory.build(model="opus", turns=conversation("1", "2", "3"))
    question = native(request, client_composed=True).question

    assert [line.message.model for line in question if isinstance(line, outgoing.AssistantLine)] == ["opus"]


@pytest.mark.parametrize("composed", [True, False])
def test_user_lines_are_marked_as_plain_text_for_a_cli_that_knows_the_mark(composed: bool) -> None:
    plan = native(RunRequestFactory.build(turns=conversation("1", "2", "3")), client_composed=composed)
    lines = [line for batch in (*plan.past, plan.question) for line in batch]

    assert {line.client_composed for line in lines if isinstance(line, outgoing.UserLine)} == {composed}


@pytest.mark.parametrize(
    ("texts", "composed", "expected"),
    [
        (("/clear",), False, [" /clear"]),
        (("/clear",), True, ["/clear"]),
        (("a/b",), False, ["a/b"]),
        (("/first", "last"), False, ["/first", "last"]),
        (("first", "/last"), False, ["first", " /last"]),
    ],
)
def test_an_older_cli_is_kept_from_running_the_last_text_as_a_command(
    texts: tuple[str, ...], composed: bool, expected: list[str]
) -> None:
    assert [block["text"] for block in asked(*map(Text, texts), composed=composed)] == expected


def test_the_guard_holds_for_turns_of_the_past_and_never_changes_what_the_assistant_said() -> None:
    assert planned("/clear", "/done", "/exit", composed=False) == (
        [[("user", " /clear", False)]],
        [("assistant", "/done", False), ("user", " /exit", True)],
    )


def test_the_guard_lets_a_turn_be_that_does_not_end_with_a_text() -> None:
    assert asked(Text("/clear"), PICTURE, composed=False)[0] == {"type": "text", "text": "/clear"}


GO_ON = "Continue exactly where your last message ended; do not repeat any of it."


def test_an_answer_is_continued_by_a_turn_of_the_users() -> None:
    begun = conversation("Hi", "Hel")

    assert ended_by_user(begun) == (*begun, Turn("user", (Text(GO_ON),)))
    assert ended_by_user(begun[:1]) == begun[:1]
    assert planned("Hi", "Hel", "Hi")[1][-1] == ("user", "Hi", True)


def test_real_turns_add_nothing_to_the_body_of_the_request() -> None:
    assert native(RunRequestFactory.build(), client_composed=True).body == {}


# --- verbatim --------------------------------------------------------------------------------------------------------


def test_verbatim_hands_the_whole_conversation_over_and_asks_with_a_mere_trigger() -> None:
    plan = verbatim(RunRequestFactory.build(turns=conversation("/1", "2", "@3")), client_composed=True)
    boundary, trigger = plan.question

    assert plan.past == ()
    assert isinstance(boundary, outgoing.BoundaryLine)
    assert _told(trigger) == ("user", ".", True)
    assert [(message["role"], message["content"][0]["text"]) for message in plan.body["messages"]] == [
        ("user", "/1"),
        ("assistant", "2"),
        ("user", "@3"),
    ]


def test_verbatim_marks_the_end_of_the_conversation_and_nothing_else_for_the_cache() -> None:
    plan = verbatim(RunRequestFactory.build(turns=conversation("1", "2", "3")), client_composed=True)

    assert msgspec.json.encode(plan.body).count(b"cache_control") == 1
    assert plan.body["messages"][-1]["content"][-1]["cache_control"] == {"type": "ephemeral"}


def ends(**fields: Any) -> list[tuple[str, str]]:
    """Return role and text of what follows the question, of an answer that was begun."""
    request = RunRequestFactory.build(
        **{"turns": conversation("Hi", "Hel \n"), "effort": "none", "model": "claude-haiku-4-5", **fields}
    )
    plan = verbatim(request, client_composed=True)
    return [(message["role"], message["content"][0]["text"]) for message in plan.body["messages"][1:]]


@pytest.mark.parametrize(
    "model",
    [
        "claude-haiku-4-5",
        "claude-haiku-4-5-20251001",
        "claude-sonnet-4-5[1m]",
        "claude-sonnet-4-5@20250929",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "claude-opus-4-20250514",
        "claude-opus-4-1",
        "claude-sonnet-4",
        "claude-3-5-sonnet-latest",
    ],
)
def test_verbatim_ends_with_the_beginning_of_an_answer_where_the_model_takes_it(model: str) -> None:
    assert ends(model=model) == [("assistant", "Hel")]


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus-4-6",
        "claude-opus-4-10",
        "claude-sonnet-4-6-20260101",
        "claude-haiku-5",
        "claude-opus-5-5",
        "claude-sonnet-45",
        "haiku",
        "sonnet",
        "other",
    ],
)
def test_verbatim_asks_to_go_on_where_a_model_is_not_known_to_take_the_beginning_of_an_answer(model: str) -> None:
    assert ends(model=model) == [("assistant", "Hel \n"), ("user", GO_ON)]


@pytest.mark.parametrize(
    "fields",
    [
        {"effort": None},
        {"effort": "low"},
        {"output": JsonOutput({"type": "object"})},
        {"tool_choice": ToolChoice("required")},
    ],
)
def test_verbatim_asks_to_go_on_where_a_request_excludes_the_beginning_of_an_answer(fields: dict[str, Any]) -> None:
    assert ends(**fields) == [("assistant", "Hel \n"), ("user", GO_ON)]


def test_verbatim_leaves_the_users_last_words_as_they_are() -> None:
    assert ends(turns=conversation("Hi", "Hello", "a \n"))[-1] == ("user", "a \n")


def test_verbatim_keeps_calls_results_and_pictures_where_they_stand() -> None:
    turns = (
        turn(Text("Look"), PICTURE),
        turn(Text("Hm."), ToolCall("c1", "f", {"x": 1}), role="assistant"),
        turn(ToolResult("c1", (Text("ok"),)), Text("And now?")),
    )

    messages = verbatim(RunRequestFactory.build(turns=turns), client_composed=True).body["messages"]

    assert [[block["type"] for block in message["content"]] for message in messages] == [
        ["text", "image"],
        ["text", "tool_use"],
        ["tool_result", "text"],
    ]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]


@pytest.mark.parametrize("last", [Text("a"), PICTURE, ToolResult("c1", ()), Document(Text("words"))])
def test_verbatim_marks_whatever_stands_last(last: Piece) -> None:
    turns = (turn(Text("first")), turn(Text("b"), role="assistant"), turn(last))
    (*before, block) = [
        block
        for message in verbatim(RunRequestFactory.build(turns=turns), client_composed=True).body["messages"]
        for block in message["content"]
    ]

    assert block["cache_control"] == {"type": "ephemeral"}
    assert not any("cache_control" in other for other in before)


def test_verbatim_gives_a_longer_conversation_the_same_beginning_so_that_caches_hold() -> None:
    texts = [str(number) for number in range(1, 22)]

    def messages(count: int) -> list[Block]:
        request = RunRequestFactory.build(turns=conversation(*texts[:count]))
        found: list[Block] = verbatim(request, client_composed=True).body["messages"]
        del found[-1]["content"][-1]["cache_control"]
        return found

    assert messages(21)[:19] == messages(19)


@pytest.mark.parametrize("composed", [True, False])
def test_verbatim_needs_no_guard_for_the_cli_reads_only_the_trigger(composed: bool) -> None:
    plan = verbatim(RunRequestFactory.build(turns=conversation("/clear")), client_composed=composed)
    trigger = plan.question[-1]

    assert plan.body["messages"][0]["content"][0]["text"] == "/clear"
    assert isinstance(trigger, outgoing.UserLine)
    assert trigger.client_composed is composed


@pytest.mark.parametrize("strategy", [native, verbatim])
def test_a_plan_can_be_made_again_from_the_same_turns(strategy: Strategy) -> None:
    request = RunRequestFactory.build(turns=conversation("1", "2", "3"))

    before = [blocks(turn) for turn in request.turns]
    first, second = (strategy(request, client_composed=True) for _ in range(2))

    assert first.body == second.body
    assert [blocks(turn) for turn in request.turns] == before


# --- pieces ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("piece", "block"),
    [
        (Text("a"), {"type": "text", "text": "a"}),
        (PICTURE, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}),
        (Image(Link("https://a/b")), {"type": "image", "source": {"type": "url", "url": "https://a/b"}}),
        (
            Document(Base64("application/pdf", "aGk="), "a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
                "title": "a.pdf",
            },
        ),
        (
            Document(Text("words")),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        ),
        (ToolCall("c1", "f", {"x": 1}), {"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}}),
        (
            ToolResult("c1", (Text("ok"), PICTURE)),
            {
                "type": "tool_result",
                "tool_use_id": "c1",
                "content": [
                    {"type": "text", "text": "ok"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                ],
            },
        ),
        (ToolResult("c1", ()), {"type": "tool_result", "tool_use_id": "c1", "content": []}),
    ],
)
def test_a_piece_is_a_block_as_the_upstream_has_it(piece: Piece, block: Block) -> None:
    assert blocks(turn(piece)) == [block]


def test_pieces_of_a_turn_stay_in_order() -> None:
    assert [block.get("text") for block in blocks(turn(Text("a"), PICTURE, Text("b")))] == ["a", None, "b"]


def test_results_of_tools_stand_before_everything_else_for_the_upstream_wants_them_there() -> None:
    mixed = turn(Text("a"), ToolResult("c1", ()), Text("b"), ToolResult("c2", ()))

    assert [block.get("text") or block["tool_use_id"] for block in blocks(mixed)] == ["c1", "c2", "a", "b"]


def test_a_tool_that_failed_is_told_as_such() -> None:
    results = (ToolResult("toolu_1", (Text("no"),), is_error=True), ToolResult("toolu_2", (Text("yes"),)))

    failed, worked = blocks(Turn("user", results))

    assert (failed["is_error"], worked.get("is_error")) == (True, None)


@pytest.mark.parametrize("strategy", [native, verbatim])
def test_past_reasoning_goes_back_byte_for_byte_where_it_stood(strategy: Strategy) -> None:
    said = (Thinking("hm\u2028", "U1+/="), Text("a"), RedactedThinking("eA=="), ToolCall("c1", "f", {}))
    turns = (turn(Text("?")), turn(*said, role="assistant"), turn(ToolResult("c1", ())))

    written = outgoing.encode(
        [
            line
            for plan in [strategy(RunRequestFactory.build(turns=turns), client_composed=True)]
            for batch in (*plan.past, plan.question)
            for line in batch
        ]
    ) + msgspec.json.encode(strategy(RunRequestFactory.build(turns=turns), client_composed=True).body)

    assert (
        msgspec.json.encode(
            [
                {"type": "thinking", "thinking": "hm\u2028", "signature": "U1+/="},
                {"type": "text", "text": "a"},
                {"type": "redacted_thinking", "data": "eA=="},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
            ]
        )
        in written
    )


# --- what an agent did -----------------------------------------------------------------------------------------------


def shown(line: outgoing.Line) -> tuple[str, list[Any]]:
    """Return who says what, in short."""
    assert isinstance(line, outgoing.UserLine | outgoing.AssistantLine)
    content = line.message.content
    return line.message.role, [block.get("text") or block.get("id") or block.get("tool_use_id") for block in content]


def test_what_an_agent_did_is_a_call_and_its_result_in_messages_of_their_own() -> None:
    first, second = AgentToolUse("1", "Bash", {"a": 1}, "ok"), AgentToolUse("2", "Read", {}, "", is_error=True)
    turns = (
        turn(Text("Hi")),
        turn(Text("I look."), first, second, Text("Done."), first, role="assistant"),
        turn(Text("Thanks")),
    )

    plan = native(RunRequestFactory.build(turns=turns), client_composed=True)

    assert [list(map(shown, batch)) for batch in (*plan.past, plan.question)] == [
        [("user", ["Hi"])],
        [("assistant", ["I look.", "1", "2"]), ("user", ["1", "2"])],
        [("assistant", ["Done.", "1"]), ("user", ["1", "Thanks"])],
    ]
    _, told = plan.past[1]
    assert isinstance(told, outgoing.UserLine)
    assert told.message.content == [
        {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "ok"}]},
        {"type": "tool_result", "tool_use_id": "2", "content": [], "is_error": True},
    ]
    assert not told.shouldQuery
