"""instructor in its mode that asks for a JSON schema, and in the one that forces a tool."""

from collections.abc import Iterator
from typing import Any

import instructor  # type: ignore[import-not-found, unused-ignore]
import pytest
from openai import OpenAI
from pydantic import BaseModel

from tests.clients.overhear import Overhearing
from tests.clients.upstream_side import (
    PNG_URL,
    THE_PICTURE,
    TOTAL_TOKENS,
    asked_schema,
    body,
    in_the_asked_form,
    instructions,
    pictures,
)
from tests.live.relay import Relay
from tests.upstream import FakeUpstream, Message, Script, ToolUse


class Pet(BaseModel):
    name: str
    age: int


TOM = {"name": "Tom", "age": 3}


@pytest.fixture
def client(base_url: str) -> Iterator[Any]:
    with OpenAI(base_url=base_url, api_key="unused", max_retries=0) as made:
        yield instructor.from_openai(made, mode=instructor.Mode.JSON_SCHEMA)


def _question(content: Any = "Who is it?") -> dict[str, Any]:
    return {"model": "sonnet", "max_retries": 0, "messages": [{"role": "user", "content": content}]}


def test_a_response_model_is_filled_and_the_usage_known(
    client: Any, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.replies(in_the_asked_form(TOM))
    pet, answer = client.create_with_completion(response_model=Pet, **_question())
    assert pet.model_dump() == TOM
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == TOTAL_TOKENS
    assert asked_schema(body(upstream)) is not None
    assert heard.only().ignored == set()


def test_the_users_system_message_stays(client: Any, upstream: FakeUpstream) -> None:
    upstream.replies(in_the_asked_form(TOM))
    question = _question()
    question["messages"].insert(0, {"role": "system", "content": "Be brief."})
    client.create(response_model=Pet, **question)
    assert instructions(upstream) == "Be brief."


def test_a_partial_model_grows_while_the_answer_is_written(client: Any, upstream: FakeUpstream) -> None:
    upstream.replies(in_the_asked_form(TOM))
    stages = list(client.create_partial(response_model=Pet, **_question()))
    assert stages[-1].model_dump() == TOM


def test_a_picture_reaches_the_upstream(client: Any, upstream: FakeUpstream) -> None:
    upstream.replies(in_the_asked_form(TOM))
    content = ["Who is this?", instructor.Image.from_base64(PNG_URL)]
    assert client.create(response_model=Pet, **_question(content)).model_dump() == TOM
    assert pictures(upstream) == [THE_PICTURE]


@pytest.fixture
def by_tool(base_url: str) -> Iterator[Any]:
    with OpenAI(base_url=base_url, api_key="unused", max_retries=0) as made:
        yield instructor.from_openai(made, mode=instructor.Mode.TOOLS)


def _called(call_id: str, **pet: Any) -> Script:
    """Call the one tool that is offered."""

    def reply(body: dict[str, Any]) -> Message:
        (tool,) = body["tools"]
        return Message(blocks=(ToolUse(call_id, tool["name"], pet),))

    return reply


def test_the_tool_of_a_response_model_is_forced(by_tool: Any, upstream: FakeUpstream, heard: Overhearing) -> None:
    upstream.replies(_called("toolu_1", **TOM))
    assert by_tool.create(response_model=Pet, **_question()).model_dump() == TOM
    assert body(upstream)["tool_choice"] == {"type": "tool", "name": "Pet"}
    assert [tool["name"] for tool in body(upstream)["tools"]] == ["Pet"]
    assert heard.only().ignored == set()


def test_a_call_grows_a_partial_model(by_tool: Any, upstream: FakeUpstream) -> None:
    upstream.replies(_called("toolu_1", **TOM))
    stages = list(by_tool.create_partial(response_model=Pet, **_question()))
    assert stages[0].name is None
    assert stages[-1].model_dump() == TOM
    assert body(upstream)["tool_choice"] == {"type": "tool", "name": "PartialPet"}


def test_a_call_that_does_not_validate_is_asked_for_again(by_tool: Any, upstream: FakeUpstream, chat: Relay) -> None:
    """The second request says what was wrong, in the conversation that the process holds."""
    upstream.replies(_called("toolu_1", name="Tom", age="three"), _called("toolu_2", **TOM))
    reused = chat.processes()["reused"]
    pet = by_tool.create(response_model=Pet, **{**_question(), "max_retries": 1})
    assert pet.model_dump() == TOM
    first, second = upstream.messages_requests
    assert first.body is not None
    assert second.body is not None
    (result,) = second.body["messages"][-1]["content"]
    assert (result["type"], result["tool_use_id"]) == ("tool_result", "toolu_1")
    assert "valid integer" in result["content"][0]["text"]
    assert chat.processes()["reused"] == reused + 1
