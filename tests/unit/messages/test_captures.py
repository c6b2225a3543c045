"""What real clients have sent comes to a question, whatever is in it."""

import json
from pathlib import Path

import pytest

from claude_relay.engine.vocabulary import Document, Image, Text, Thinking, ToolCall, ToolResult
from tests.unit.messages.bodies import all_recorded, asked, recorded, refusal

CONTINUED = "anthropic-python-2.14-tool_runner-thread-continue"
CREATED = "anthropic-python-2.14-tool_runner-thread-create"
STATELESS = [path for path in all_recorded() if path.stem not in {CONTINUED, CREATED}]


@pytest.mark.parametrize("path", STATELESS, ids=lambda path: path.stem)
def test_each_recorded_request_is_a_question(path: Path) -> None:
    question = asked(**json.loads(path.read_text()))

    assert question.run.turns[-1].role == "user"
    assert question.run.personality == "chat"


@pytest.mark.parametrize("name", [CONTINUED, CREATED])
def test_a_thread_where_nothing_is_kept_is_refused_so_that_sdks_go_on_without(name: str) -> None:
    error = refusal(**recorded(name))

    assert (error.status, error.code) == (400, "thread_unsupported_request")


def test_claude_code_has_its_own_prompt_tools_and_thoughts() -> None:
    question = asked(**recorded("claude-code-2.1.332-turn2-tool_result"))

    run = question.run
    assert run.system == "<identity line>\n\n<6758 characters>"
    assert len(run.tools) == 12
    assert run.effort == "medium"
    user, assistant, result = run.turns
    assert user.content == (
        Text("<582 characters>"),
        Text("Say hello"),
        Text("<system>\n<9198 characters>\n</system>"),
    )
    thinking, call = assistant.content
    assert thinking == Thinking("Let me think.", "SIG==")
    assert isinstance(call, ToolCall)
    assert result.content == (ToolResult(call.id, (Text("hi"),)),)
    assert set(question.ignored) == {"context_management", "metadata"}


def test_pictures_files_and_tools_of_anthropics_own() -> None:
    question = asked(**recorded("anthropic-python-2.14-many-params"))

    assert [type(piece) for piece in question.run.turns[0].content] == [Text, Image, Document]
    assert [tool.name for tool in question.run.tools] == ["get_weather"]
    assert not question.run.tool_choice.parallel
    assert question.run.effort == "low"
    assert question.run.sampling.stop == ("END",)
    assert {"tools.web_search_20250305", "messages.content.citations", "metadata"} <= set(question.ignored)


def test_thinking_goes_back_byte_for_byte() -> None:
    assistant = asked(**recorded("langchain-anthropic-1.7-turn2")).run.turns[1]

    assert assistant.content[0] == Thinking("Let me think.", "SIG==")


def test_a_form_is_asked_for() -> None:
    assert asked(**recorded("anthropic-python-2.14-parse")).run.output is not None
    assert asked(**recorded("ai-sdk-anthropic-4-object")).run.output is not None


def test_a_forced_call() -> None:
    choice = asked(**recorded("instructor-anthropic")).run.tool_choice

    assert (choice.mode, choice.name, choice.parallel) == ("required", "W", False)
