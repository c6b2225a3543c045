"""What real clients have sent comes to a question, whatever is in it."""

import json
from pathlib import Path

import pytest

from claude_relay.engine.vocabulary import Image, Text, ToolCall, ToolResult
from tests.unit.responses.bodies import all_recorded, asked, recorded, refusal

STORED = {
    "ai-sdk-openai-4-default-item_reference-turn2": (404, "input[2].id"),
    "ai-sdk-openai-4-default-item_reference-turn3": (404, "input[2].id"),
    "langchain-openai-1.7-use_previous_response_id": (400, "previous_response_id"),
    "openai-agents-py-previous_response_id-tool-output-only": (400, "previous_response_id"),
}
"""Requests that go on from what was stored, and what they are answered."""
STATELESS = [path for path in all_recorded() if path.stem not in STORED]


@pytest.mark.parametrize("path", STATELESS, ids=lambda path: path.stem)
def test_each_recorded_request_is_a_question(path: Path) -> None:
    question = asked(**json.loads(path.read_text()))

    assert question.run.turns[-1].role == "user"
    assert set(question.known.tools) >= {tool.name for tool in question.run.tools}


@pytest.mark.parametrize("name", STORED)
def test_a_request_that_goes_on_from_what_was_stored_is_told_so(name: str) -> None:
    error = refusal(**recorded(name))

    assert (error.status, error.param) == STORED[name]
    assert "not found" in error.message


def test_codex_gets_all_its_tools_offered_under_joined_names() -> None:
    question = asked(**recorded("codex-0.171-unknown-model-turn1"))

    names = [tool.name for tool in question.run.tools]
    assert names[:4] == ["exec_command", "write_stdin", "request_user_input", "view_image"]
    assert "multi_agent_v1__spawn_agent" in names
    assert question.run.personality == "chat"
    assert set(question.ignored) == {"tools.web_search", "client_metadata"}
    assert question.run.system is not None
    assert question.run.system.startswith("<16979 characters>\n\n<2120 characters>")
    assert [turn.role for turn in question.run.turns] == ["user"]


def test_the_tools_of_an_item_are_offered_and_called_by_their_plain_names() -> None:
    question = asked(**recorded("codex-0.171-gpt-6.2-custom-output-as-array"))

    names = [tool.name for tool in question.run.tools]
    assert names[:2] == ["exec", "wait"]
    assert {"clock__sleep", "collaboration__spawn_agent"} <= set(names)
    assert question.run.effort == "low"
    *_, calling, result = question.run.turns
    (call,) = calling.content
    assert isinstance(call, ToolCall)
    assert (call.name, str(call.arguments)[:15]) == ("exec", "*** Begin Patch")
    (output,) = result.content
    assert isinstance(output, ToolResult)
    assert [type(piece) for piece in output.content] == [Text, Text]


def test_a_call_of_a_namespace_has_the_name_that_the_tool_is_offered_under() -> None:
    question = asked(**recorded("codex-0.171-namespace-call-turn2"))

    (call,) = question.run.turns[-2].content
    assert isinstance(call, ToolCall)
    assert call.name == "multi_agent_v1__spawn_agent"
    assert call.name in {tool.name for tool in question.run.tools}


def test_what_a_search_has_found_is_offered_from_then_on() -> None:
    question = asked(**recorded("codex-0.171-tool_search-turn2"))

    names = {tool.name for tool in question.run.tools}
    assert {"tool_search", "apply_patch", "multi_agent_v1__spawn_agent"} <= names
    (output,) = question.run.turns[-1].content
    assert isinstance(output, ToolResult)
    (found,) = output.content
    assert isinstance(found, Text)
    assert "multi_agent_v1__spawn_agent" in found.text


def test_an_image_in_an_output_is_seen() -> None:
    question = asked(**recorded("codex-0.171-view_image-output-array"))

    (output,) = question.run.turns[-1].content
    assert isinstance(output, ToolResult)
    assert [type(piece) for piece in output.content] == [Image]
    assert "input.content.detail" in question.ignored


def test_a_forced_call_has_no_form_of_the_answer_beside_it() -> None:
    question = asked(**recorded("instructor-1.17-responses_tools"))

    assert (question.run.tool_choice.mode, question.run.tool_choice.name) == ("required", "W")
    assert question.run.output is None
