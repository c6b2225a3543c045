"""Items become turns, in the order in which the upstream takes them."""

from typing import Any

import pytest

from claude_relay.engine.turns import SILENCE
from claude_relay.engine.vocabulary import (
    AgentToolUse,
    Decision,
    Document,
    RedactedThinking,
    Text,
    Thinking,
    ThinkingBlock,
    ToolCall,
    ToolResult,
    Turn,
)
from claude_relay.errors import RelayError
from claude_relay.responses.conversation import (
    Conversation,
    conversation,
    decisions,
    has_calls,
    has_unheard_decisions,
)
from claude_relay.responses.signed_thinking import packed

USER = {"role": "user", "content": "Hi"}
CALL = {"type": "function_call", "call_id": "a", "name": "go", "arguments": '{"n": 1}'}
OTHER = {**CALL, "call_id": "b"}
OUTPUT = {"type": "function_call_output", "call_id": "a", "output": "gone"}
OTHER_OUTPUT = {**OUTPUT, "call_id": "b"}
HI = Text("Hi")
CALLED = ToolCall("a", "go", {"n": 1})
RETURNED = ToolResult("a", (Text("gone"),))
PDF = "data:application/pdf;base64,JVBERi0xLjQ="


def read(*given: Any) -> Conversation:
    return conversation(list(given))


def turns(*given: Any) -> list[tuple[str, tuple[Any, ...]]]:
    return [(turn.role, turn.content) for turn in read(*given).turns]


def refused(*given: Any) -> RelayError:
    with pytest.raises(RelayError) as raised:
        read(*given)
    return raised.value


def test_a_text_is_a_question_of_the_user() -> None:
    assert conversation("Hi").turns == (Turn("user", (HI,)),)
    assert conversation(" ").turns == conversation(None).turns == ()


def test_messages_have_texts_or_parts_with_or_without_a_type() -> None:
    assert turns(
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}], "id": "x", "status": "y"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "b", "annotations": []}], "phase": "z"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "c"}]},
        {"role": "user", "content": "d"},
    ) == [("user", (Text("a"),)), ("assistant", (Text("b"), Text("c"))), ("user", (Text("d"),))]


def test_instructions_stand_before_everything_else_or_where_they_are() -> None:
    found = read(
        {"role": "system", "content": "a"},
        {"type": "configuration_update", "reasoning": {"effort": "high"}},
        {"role": "developer", "content": [{"type": "input_text", "text": "b"}]},
        USER,
        {"role": "developer", "content": "c"},
    )

    assert found.system == ("a", "b")
    assert found.turns == (Turn("user", (HI, Text("<system>\nc\n</system>"))),)
    assert found.effort == "high"


def test_calls_and_their_outputs_are_turns_of_both_sides() -> None:
    assert turns(USER, CALL, OTHER, OTHER_OUTPUT, OUTPUT) == [
        ("user", (HI,)),
        ("assistant", (CALLED, ToolCall("b", "go", {"n": 1}))),
        ("user", (ToolResult("b", (Text("gone"),)), RETURNED)),
    ]


def test_calls_one_after_the_other_stay_apart() -> None:
    assert [role for role, _ in turns(USER, CALL, OUTPUT, OTHER, OTHER_OUTPUT)] == ["user", "assistant"] * 2 + ["user"]


@pytest.mark.parametrize("between", [USER, {"role": "developer", "content": "x"}])
def test_what_stands_between_a_call_and_its_output_comes_after_it(between: Any) -> None:
    *_, (role, content) = turns(USER, CALL, between, OUTPUT)

    assert role == "user"
    assert content[0] == RETURNED
    assert len(content) == 2


def test_text_of_the_assistant_between_them_belongs_to_the_call() -> None:
    said = {"role": "assistant", "content": "Wait."}

    assert turns(USER, CALL, said, OUTPUT)[1] == ("assistant", (CALLED, Text("Wait.")))


@pytest.mark.parametrize(
    ("item", "arguments"),
    [
        ({"arguments": '{"n": 1}'}, {"n": 1}),
        ({"arguments": {"n": 1}}, {"n": 1}),
        ({"arguments": ""}, {}),
        ({"arguments": "cut {"}, "cut {"),
        ({"type": "custom_tool_call", "input": "text"}, "text"),
        ({"type": "tool_search_call", "arguments": {"query": "x"}}, {"query": "x"}),
    ],
)
def test_the_arguments_of_a_past_call_are_what_they_were(item: dict[str, Any], arguments: Any) -> None:
    output = {**OUTPUT, "type": "tool_search_output", "tools": []} if "query" in str(item) else OUTPUT
    (call,) = read(USER, {**CALL, **item}, output).turns[1].content

    assert isinstance(call, ToolCall)
    assert call.arguments == arguments


def test_an_output_may_be_a_list_and_a_file_stands_after_it() -> None:
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_file", "file_data": PDF, "filename": "a.pdf"}]

    result, file = turns(USER, CALL, {**OUTPUT, "output": parts})[-1][1]

    assert result == ToolResult("a", (Text("a"),))
    assert isinstance(file, Document)
    assert file.name == "a.pdf"


def used(**fields: Any) -> dict[str, Any]:
    """Return an item of what an agent did."""
    return {"type": "mcp_call", "server_label": "claude_code", "id": "mcp_1", "name": "Bash", **fields}


def test_what_the_model_thought_and_what_has_no_outcome_is_not_told_again() -> None:
    items: list[Any] = [
        USER,
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "content": None},
        used(arguments="{}", output=None),
        used(arguments="no JSON", output="ok"),
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}},
        {"role": "assistant", "content": "Yes?"},
        USER,
    ]
    found = conversation(items, for_agent=True)

    assert [turn.role for turn in found.turns] == ["user", "assistant", "user"]
    assert found.turns[1].content == (Text("Yes?"),)
    assert found.ignored == ()


def test_an_agent_is_told_what_it_did() -> None:
    items: list[Any] = [
        USER,
        used(arguments='{"command": "ls"}', output="a.txt"),
        {"role": "assistant", "content": "One file."},
        used(arguments="{}", error="No such command.", id="mcp 2"),
        used(error={"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "No."}]}, id="mcp_3"),
        used(error={"type": "http_error", "code": 500, "message": "Gone."}, id="mcp_4"),
        USER,
    ]

    _, told, _ = conversation(items, for_agent=True).turns

    assert told.content == (
        AgentToolUse("mcp_1", "Bash", {"command": "ls"}, "a.txt"),
        Text("One file."),
        AgentToolUse("call_1", "Bash", {}, "No such command.", is_error=True),
        AgentToolUse("mcp_3", "Bash", {}, "No.", is_error=True),
        AgentToolUse("mcp_4", "Bash", {}, "Gone.", is_error=True),
    )
    assert [turn.content for turn in conversation(items).turns if turn.role == "assistant"] == [(Text("One file."),)]


@pytest.mark.parametrize(
    "kind",
    [
        "compaction",
        "compaction_trigger",
        "local_shell_call",
        "local_shell_call_output",
        "shell_call",
        "apply_patch_call",
        "mcp_list_tools",
        "mcp_call",
        "image_generation_call",
        "code_interpreter_call",
        "program",
        "never_heard_of",
    ],
)
def test_an_item_of_another_kind_is_named_and_never_refused(kind: str) -> None:
    assert read(USER, {"type": kind, "id": "x", "output": [1], "tools": {"a": 1}, "content": 5}).ignored == (
        f"input.{kind}",
    )


def test_a_part_of_another_kind_is_named_and_never_refused() -> None:
    found = read({"role": "user", "content": [{"type": "never_heard_of"}, {"type": "input_text", "text": "Hi"}]})

    assert found.turns == (Turn("user", (HI,)),)
    assert found.ignored == ("input.content.never_heard_of",)


@pytest.mark.parametrize("reference", [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}])
def test_a_reference_to_an_item_is_not_found(reference: Any) -> None:
    error = refused(USER, reference)

    assert (error.status, error.param) == (404, "input[1].id")
    assert error.message.startswith("Item with id 'msg_1' not found. Items are not persisted when `store` is set to")


@pytest.mark.parametrize(
    ("given", "param", "words"),
    [
        ([USER, CALL], "input", "No tool output found for function call a."),
        ([USER, CALL, USER], "input", "No tool output found for function call a."),
        ([USER, OUTPUT], "input[1].call_id", "No tool call found for function call output with call_id 'a'"),
        ([CALL, OUTPUT, OUTPUT], "input[2].call_id", "or it has an output already"),
        ([{}], "input[0].type", "Missing"),
        ([{"role": "pirate"}], "input[0].role", "'pirate'"),
        ([{"role": "user", "content": 5}], "input[0].content", "Invalid type"),
        ([{"role": "user", "content": [{"text": "x"}]}], "input[0].content[0].type", "Missing"),
        ([{"role": "user", "content": [{"type": 5}]}], "input[0].content[0].type", "string"),
        ([{"role": "user", "content": [{"type": "input_text"}]}], "input[0].content[0].text", "Missing"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "input[0].content[0].type", "no audio"),
        ([{"role": "user", "content": [{"type": "input_image"}]}], "input[0].content[0].image_url", "Missing"),
        (
            [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}],
            "input[0].content[0].image_url",
            "data URL",
        ),
        (
            [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}],
            "input[0].content[0].file_id",
            "uploaded",
        ),
        (
            [{"role": "user", "content": [{"type": "input_file", "file_url": "x"}]}],
            "input[0].content[0].file_url",
            "data URL",
        ),
        ([{"type": "function_call", "call_id": "a"}], "input[0].name", "Missing"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_place(given: list[Any], param: str, words: str) -> None:
    error = refused(*given)

    assert (error.status, error.param) == (400, param)
    assert words in error.message


def test_a_user_who_says_nothing_has_a_turn_all_the_same() -> None:
    assert read({"role": "user", "content": ""}).turns == (SILENCE,)
    assert read(USER, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": ""}).turns[-1] == SILENCE


def decided(approval_id: str, **fields: Any) -> dict[str, Any]:
    return {"type": "mcp_approval_response", "approval_request_id": approval_id, "approve": True, **fields}


def test_what_a_request_decides_are_the_answers_at_its_end() -> None:
    asked = {"type": "mcp_approval_request", "id": "a", "name": "Bash", "arguments": "{}"}
    before = [USER, asked, decided("old"), {"role": "assistant", "content": "Yes?"}, asked, asked]

    assert decisions([*before, decided("a"), decided("b", approve=False, reason="No.")]) == (
        Decision("a", approve=True),
        Decision("b", approve=False, reason="No."),
    )
    assert decisions([*before, decided("a"), USER]) == ()
    assert decisions("Hi") == decisions(None) == ()
    assert read(*before, decided("a")).turns == read(USER, {"role": "assistant", "content": "Yes?"}).turns


def test_a_decision_with_more_of_the_users_behind_it_is_unheard() -> None:
    answered = {"role": "assistant", "content": "Yes?"}

    assert has_unheard_decisions([USER, decided("a"), USER])
    for heard in ([USER, decided("a")], [decided("a"), answered, USER], [USER], [], "Hi", None):
        assert not has_unheard_decisions(heard)


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "mcp_approval_response", "approve": True}, "input[1].approval_request_id"),
        (decided("a", approve="yes"), "input[1].approve"),
        (decided("a", reason=5), "input[1].reason"),
    ],
)
def test_an_answer_that_cannot_be_understood_is_refused_with_its_place(item: Any, param: str) -> None:
    with pytest.raises(RelayError) as raised:
        decisions([USER, item])

    assert raised.value.param == param


def test_calls_of_tools_are_noticed() -> None:
    assert has_calls([USER, CALL, OUTPUT])
    assert has_calls([OUTPUT])
    assert not has_calls([USER])
    assert not has_calls("function_call")


THOUGHT, HIDDEN = Thinking("hm", "U1"), RedactedThinking("eA==")
WORK = {"type": "mcp_call", "server_label": "claude_code", "name": "Bash", "arguments": "{}"}


def reasoning(thought: ThinkingBlock) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [], "encrypted_content": packed(thought)}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def test_signed_reasoning_comes_before_what_it_led_to() -> None:
    found = read(USER, reasoning(THOUGHT), said("a"), reasoning(HIDDEN), CALL, OTHER, OUTPUT, OTHER_OUTPUT)

    assert found.turns[1].content == (THOUGHT, Text("a"), HIDDEN, CALLED, ToolCall("b", "go", {"n": 1}))
    assert found.ignored == ()


def test_reasoning_that_led_to_nothing_is_nothing() -> None:
    assert turns(USER, reasoning(THOUGHT), USER) == [("user", (HI, HI))]
    assert turns(USER, CALL, reasoning(THOUGHT), OUTPUT) == turns(USER, CALL, OUTPUT)


@pytest.mark.parametrize("content", ["gAAAAABo", "claude-relay-1:", 5, {}])
def test_reasoning_of_others_is_ignored_by_name(content: Any) -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": content}

    found = read(USER, item, said("a"), USER)

    assert [turn.content for turn in found.turns] == [(HI,), (Text("a"),), (HI,)]
    assert found.ignored == ("input.reasoning.encrypted_content",)


def test_what_an_agent_thought_between_uses_of_its_tools_is_not_told_again() -> None:
    worked = (reasoning(THOUGHT), said("a"), WORK, reasoning(HIDDEN), said("b"))

    found = read(USER, *worked, USER, reasoning(THOUGHT), said("c"))

    assert [turn.content for turn in found.turns[1::2]] == [(Text("a"), Text("b")), (THOUGHT, Text("c"))]
    assert found.ignored == ()
    assert turns(USER, WORK, reasoning(THOUGHT), CALL, OUTPUT, reasoning(HIDDEN), said("c"))[1::2] == [
        ("assistant", (CALLED,)),
        ("assistant", (HIDDEN, Text("c"))),
    ]
