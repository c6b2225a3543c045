"""Clients of the responses API, as their own helpers use it: what they make of the relay's answers."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import agents as openai_agents  # type: ignore[import-not-found, unused-ignore]
import instructor  # type: ignore[import-not-found, unused-ignore]
import pytest
from langchain_core.messages import AIMessageChunk  # type: ignore[import-not-found, unused-ignore]
from langchain_core.tools import StructuredTool  # type: ignore[import-not-found, unused-ignore]
from langchain_openai import ChatOpenAI  # type: ignore[import-not-found, unused-ignore]
from openai import APIError, AsyncOpenAI, BadRequestError, NotFoundError, OpenAI, pydantic_function_tool
from pydantic import BaseModel, SecretStr
from pydantic_ai import Agent as PydanticAgent  # type: ignore[import-not-found, unused-ignore]
from pydantic_ai.models.openai import OpenAIResponsesModel  # type: ignore[import-not-found, unused-ignore]
from pydantic_ai.providers.openai import OpenAIProvider  # type: ignore[import-not-found, unused-ignore]

from tests.clients.overhear import Overhearing
from tests.clients.upstream_side import (
    CACHED_TOKENS,
    COMPLETION_TOKENS,
    PNG_URL,
    PROMPT_TOKENS,
    THE_PICTURE,
    TOTAL_TOKENS,
    in_the_asked_form,
    instructions,
    pictures,
    spoken,
    turns,
)
from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import FakeUpstream, Message, Text, Thinking, ToolUse, error_after, stall_after, text


class Weather(BaseModel):
    city: str
    degrees: int


ANSWER = {"city": "Oslo", "degrees": -5}
EXPECTED = Weather(city="Oslo", degrees=-5)
TOOL: Any = {
    "type": "function",
    "name": "get_degrees",
    "description": "Degrees of a city.",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALLED = Message(
    blocks=(
        Thinking("A tool knows."),
        Text("Let me see."),
        ToolUse("toolu_1", "get_degrees", {"city": "Oslo"}),
        ToolUse("toolu_2", "get_degrees", {"city": "Rome"}),
    )
)
WORDS = tuple(f"word{number} " for number in range(20))
SLOW = text(chunks=WORDS, interval=0.1)
DEGREES = {"Oslo": "-5", "Rome": "30"}


@pytest.fixture
def client(base_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=base_url, api_key="unused", max_retries=0) as made:
        yield made


def results(upstream: FakeUpstream) -> dict[str, str]:
    """Return what the tools said to the model, by the ids of their calls."""
    body = upstream.messages_requests[-1].body
    assert body is not None
    blocks = [block for turn in body["messages"] if turn["role"] == "user" for block in turn["content"]]
    found = [block for block in blocks if isinstance(block, dict) and block["type"] == "tool_result"]
    return {block["tool_use_id"]: str(block["content"]) for block in found}


def last_conversation(upstream: FakeUpstream) -> str:
    """Return what the last request said, as JSON."""
    body = upstream.messages_requests[-1].body
    assert body is not None
    return json.dumps(body["messages"])


# --- openai ----------------------------------------------------------------------------------------------------------


def test_create_gives_text_and_all_counts(client: OpenAI, upstream: FakeUpstream, heard: Overhearing) -> None:
    upstream.replies(spoken("It is ", "Tom."))

    answer = client.responses.create(
        model="sonnet",
        instructions="Be brief.",
        input=[
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Yes?"},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Who is it?"},
                    {"type": "input_image", "image_url": PNG_URL, "detail": "auto"},
                ],
            },
        ],
    )

    assert answer.output_text == "It is Tom."
    assert answer.usage is not None
    counted = answer.usage
    assert (counted.input_tokens, counted.output_tokens, counted.total_tokens) == (
        PROMPT_TOKENS,
        COMPLETION_TOKENS,
        TOTAL_TOKENS,
    )
    assert counted.input_tokens_details.cached_tokens == CACHED_TOKENS
    assert instructions(upstream) == "Be brief."
    assert [role for role, _ in turns(upstream)] == ["user", "assistant", "user"]
    assert pictures(upstream) == [THE_PICTURE]
    assert heard.only().ignored == set()


def test_the_streaming_helper_puts_the_answer_together(client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(CALLED)

    with client.responses.stream(model="sonnet", input="Where is it cold?", tools=[TOOL]) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        whole = stream.get_final_response()

    assert "".join(deltas) == whole.output_text == "Let me see."
    assert [item.type for item in whole.output] == ["reasoning", "message", "function_call", "function_call"]


def test_a_round_of_tools_goes_on_with_all_items(client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(CALLED, text("Oslo."))
    said: list[Any] = [{"role": "user", "content": "Where is it cold?"}]

    first = client.responses.create(model="sonnet", input=said, tools=[TOOL])
    said += first.output
    for item in first.output:
        if item.type == "function_call":
            output = DEGREES[json.loads(item.arguments)["city"]]
            said.append({"type": "function_call_output", "call_id": item.call_id, "output": output})
    second = client.responses.create(model="sonnet", input=said, tools=[TOOL])

    assert second.output_text == "Oslo."
    assert {known: degrees for known, degrees in results(upstream).items() if "-5" in degrees}.keys() == {"toolu_1"}


def test_parse_gives_an_object(client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(in_the_asked_form(ANSWER))

    assert client.responses.parse(model="sonnet", input="?", text_format=Weather).output_parsed == EXPECTED


def test_parse_reads_the_arguments_of_a_call(client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "Weather", ANSWER),)))
    tool: Any = {"type": "function", **pydantic_function_tool(Weather)["function"]}

    answer = client.responses.parse(model="sonnet", input="?", tools=[tool])

    (call,) = (item for item in answer.output if item.type == "function_call")
    assert call.parsed_arguments == ANSWER


def test_an_id_that_is_not_found_is_an_error_with_its_code(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.responses.create(model="sonnet", input="?", previous_response_id="resp_1")

    assert (raised.value.code, raised.value.param) == ("previous_response_not_found", "previous_response_id")


def test_a_conversation_is_gone_on_with_and_read(client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(text("Hello Ada."), text("Ada."))
    conversation = client.conversations.create(
        metadata={"topic": "names"}, items=[{"role": "user", "content": "My name is Ada."}]
    )

    client.responses.create(model="sonnet", input="Greet me.", conversation=conversation.id)
    answer = client.responses.create(
        model="sonnet", input=[{"role": "user", "content": "Who am I?"}], conversation={"id": conversation.id}
    )

    assert answer.output_text == "Ada."
    assert answer.conversation is not None
    assert answer.conversation.id == conversation.id
    told = last_conversation(upstream)
    assert told.index("My name is Ada.") < told.index("Hello Ada.") < told.index("Who am I?")
    items: list[Any] = list(client.conversations.items.list(conversation.id, order="asc", limit=2))
    assert [item.content[0].text for item in items] == [
        "My name is Ada.",
        "Greet me.",
        "Hello Ada.",
        "Who am I?",
        "Ada.",
    ]
    assert client.conversations.items.retrieve(items[0].id, conversation_id=conversation.id).id == items[0].id
    client.conversations.items.delete(items[0].id, conversation_id=conversation.id)
    assert client.conversations.update(conversation.id, metadata={}).metadata == {}
    assert client.conversations.delete(conversation.id).deleted
    with pytest.raises(NotFoundError):
        client.conversations.retrieve(conversation.id)


def test_a_conversation_with_calls_is_made_shorter_and_goes_on(client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(text("Oslo has -5 degrees."), text("Oslo."))
    call = {"type": "function_call", "call_id": "c", "name": "get_degrees", "arguments": '{"city": "Oslo"}'}
    output = {"type": "function_call_output", "call_id": "c", "output": "-5"}
    said: list[Any] = [{"role": "user", "content": "Is it cold?"}, call, output]

    counted = client.responses.input_tokens.count(model="sonnet", input=said, tools=[TOOL])
    shorter = client.responses.compact(model="sonnet", input=said)
    items: list[Any] = shorter.model_dump(exclude_none=True, warnings=False)["output"]
    answer = client.responses.create(model="sonnet", input=[*items, {"role": "user", "content": "Where?"}])

    assert counted.input_tokens > 350
    assert [item["type"] for item in items] == ["message", "compaction"]
    assert shorter.usage.output_tokens > 0
    assert answer.output_text == "Oslo."
    told = last_conversation(upstream)
    assert told.index("Is it cold?") < told.index("Oslo has -5 degrees.") < told.index("Where?")
    assert len(upstream.messages_requests) == 2


def test_a_stream_that_breaks_raises_with_its_message(client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(error_after(2))

    with pytest.raises(APIError) as raised, client.responses.stream(model="sonnet", input="?") as stream:
        stream.until_done()

    assert "upstream" in raised.value.message


def test_a_response_in_the_background_is_polled(client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(SLOW)

    begun = answer = client.responses.create(model="sonnet", input="?", background=True)
    while answer.status in {"queued", "in_progress"}:
        time.sleep(0.1)
        answer = client.responses.retrieve(begun.id)

    assert (begun.status, begun.background) == ("queued", True)
    assert (answer.status, answer.output_text) == ("completed", "".join(WORDS))


def test_a_stream_in_the_background_is_left_and_resumed(client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(SLOW)
    told: list[Any] = []

    with client.responses.create(model="sonnet", input="?", background=True, stream=True) as stream:
        for event in stream:
            told.append(event)
            if event.type == "response.output_text.delta":
                break
    response_id, last = told[0].response.id, told[-1].sequence_number
    told += client.responses.retrieve(response_id, stream=True, starting_after=last)
    with client.responses.stream(response_id=response_id) as again:
        whole = again.get_final_response()

    assert "".join(event.delta for event in told if event.type == "response.output_text.delta") == "".join(WORDS)
    assert [event.sequence_number for event in told] == list(range(len(told)))
    assert (told[-1].type, whole.output_text) == ("response.completed", "".join(WORDS))
    assert len(upstream.messages_requests) == 1


def test_a_response_in_the_background_is_cancelled(client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(stall_after(2))
    begun = client.responses.create(model="sonnet", input="?", background=True)
    record = upstream.wait_for(1)[0]

    cancelled = client.responses.cancel(begun.id)

    assert cancelled.status == client.responses.cancel(begun.id).status == "cancelled"
    assert record.disconnected.wait(1)


def test_a_request_that_the_sdk_sends_again_with_its_key_is_asked_once(base_url: str, upstream: FakeUpstream) -> None:
    upstream.replies(SLOW)
    with OpenAI(base_url=base_url, api_key="unused", max_retries=3, timeout=1) as client:
        answer = client.responses.create(model="sonnet", input="?", extra_headers={"Idempotency-Key": "once"})

    assert answer.output_text == "".join(WORDS)
    assert len(upstream.messages_requests) == 1


# --- openai-agents ---------------------------------------------------------------------------------------------------


async def _agent_answers(base_url: str, *, streamed: bool) -> tuple[Any, Any]:
    """Ask two questions with what the package takes when nothing is chosen."""

    @openai_agents.function_tool  # type: ignore[untyped-decorator, unused-ignore]
    def get_degrees(city: str) -> str:
        """Degrees of a city."""
        return DEGREES[city]

    openai_agents.set_tracing_disabled(disabled=True)
    async with AsyncOpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:
        openai_agents.set_default_openai_client(client, use_for_tracing=False)
        agent = openai_agents.Agent(
            name="Weather", instructions="Be brief.", model="sonnet", tools=[get_degrees], output_type=Weather
        )
        said: Any = "Where is it cold?"
        found: list[Any] = []
        for _ in range(2):
            if streamed:
                result: Any = openai_agents.Runner.run_streamed(agent, said)
                async for _ in result.stream_events():
                    pass
            else:
                result = await openai_agents.Runner.run(agent, said)
            found.append(result.final_output)
            said = [*result.to_input_list(), {"role": "user", "content": "And now?"}]
    return found[0], found[1]


def test_openai_agents_keep_a_conversation(base_url: str, upstream: FakeUpstream) -> None:
    upstream.replies(text("Hello Ada."), text("Ada."))

    async def talk() -> str:
        async with AsyncOpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:
            openai_agents.set_default_openai_client(client, use_for_tracing=False)
            agent = openai_agents.Agent(name="Friend", model="sonnet")
            session = openai_agents.OpenAIConversationsSession(openai_client=client)
            await openai_agents.Runner.run(agent, "I am Ada.", session=session)
            return str((await openai_agents.Runner.run(agent, "Who am I?", session=session)).final_output)

    assert asyncio.run(talk()) == "Ada."

    told = last_conversation(upstream)
    assert told.index("I am Ada.") < told.index("Hello Ada.") < told.index("Who am I?")


@pytest.mark.parametrize("streamed", [False, True])
def test_an_agent_of_openai_agents_answers_with_its_default_model(
    base_url: str, upstream: FakeUpstream, heard: Overhearing, streamed: bool
) -> None:
    upstream.replies(CALLED, in_the_asked_form(ANSWER), in_the_asked_form({**ANSWER, "degrees": -6}))

    first, second = asyncio.run(_agent_answers(base_url, streamed=streamed))

    assert (first, second) == (EXPECTED, Weather(city="Oslo", degrees=-6))
    assert {request.path for request in heard.heard} == {"/v1/responses"}
    assert len(upstream.messages_requests) == 3


def test_what_claude_code_does_itself_is_no_call_for_openai_agents(base_url: str, upstream: FakeUpstream) -> None:
    work = Message(blocks=(Text("I look."), ToolUse("toolu_1", "Bash", {"command": "echo hi"})))
    upstream.replies(work, text("It says hi."))

    async def run() -> Any:
        openai_agents.set_tracing_disabled(disabled=True)
        async with AsyncOpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:
            openai_agents.set_default_openai_client(client, use_for_tracing=False)
            return await openai_agents.Runner.run(openai_agents.Agent(name="A", model="sonnet:agent"), "Run it.")

    result = asyncio.run(run())

    assert result.final_output == "It says hi."
    assert len(upstream.messages_requests) == 2


# --- permissions -----------------------------------------------------------------------------------------------------

TOUCH = Message(blocks=(Text("I make it."), ToolUse("toolu_1", "Bash", {"command": "touch made; echo yes"})))


@pytest.fixture
def asking(home: Path, upstream: FakeUpstream, claude_path: str) -> Iterator[Relay]:
    """A relay whose agents ask for permission."""
    environ = clean_environment(home, upstream)
    with relay(home, environ, personality="agent", permission_mode="ask", claude_path=claude_path) as running:
        yield running


def test_the_sdk_shows_what_an_agent_did_and_permits_more(asking: Relay, home: Path, upstream: FakeUpstream) -> None:
    work = Message(blocks=(Text("I look."), ToolUse("toolu_0", "Bash", {"command": "echo hi"})))
    upstream.replies(work, TOUCH, text("It is made."), text("You are welcome."))
    client: Any = asking.openai.responses

    with client.stream(model="sonnet", input="Make it.") as stream:
        first = stream.until_done().get_final_response()
    (asked,) = [item for item in first.output if item.type == "mcp_approval_request"]
    assert not (home / "made").exists()
    second = client.create(
        model="sonnet",
        previous_response_id=first.id,
        input=[{"type": "mcp_approval_response", "approval_request_id": asked.id, "approve": True}],
    )
    third = client.create(model="sonnet", previous_response_id=second.id, input="Thanks.")

    assert [(item.output, item.status) for item in first.output if item.type == "mcp_call"] == [("hi", "completed")]
    (call,) = [item for item in second.output if item.type == "mcp_call"]
    assert (call.output, call.approval_request_id) == ("yes", asked.id)
    assert (home / "made").exists()
    assert (second.output_text, third.output_text) == ("It is made.", "You are welcome.")


def test_openai_agents_permits_and_goes_on(asking: Relay, home: Path, upstream: FakeUpstream) -> None:
    upstream.replies(TOUCH, text("It is made."))
    # only a hosted server of that name has calls that openai-agents asks about
    server = {
        "type": "mcp",
        "server_label": "claude_code",
        "server_url": "https://localhost/",
        "require_approval": "always",
    }

    async def run() -> Any:
        openai_agents.set_tracing_disabled(disabled=True)
        async with AsyncOpenAI(base_url=f"{asking.url}/v1", api_key="unused", max_retries=0) as client:
            openai_agents.set_default_openai_client(client, use_for_tracing=False)
            tools = [openai_agents.HostedMCPTool(tool_config=server)]
            agent = openai_agents.Agent(name="A", model="sonnet:agent", tools=tools)
            result = await openai_agents.Runner.run(agent, "Make it.")
            state = result.to_state()
            for asked in result.interruptions:
                state.approve(asked)
            return await openai_agents.Runner.run(agent, state)

    result = asyncio.run(run())

    assert result.final_output == "It is made."
    assert (home / "made").exists()


# --- others ----------------------------------------------------------------------------------------------------------


def _langchain(base_url: str, **choices: Any) -> Any:
    return ChatOpenAI(
        model="sonnet",
        base_url=base_url,
        api_key=SecretStr("unused"),
        max_retries=0,
        use_responses_api=True,
        **choices,
    )


def test_langchain_runs_a_round_of_tools(base_url: str, upstream: FakeUpstream) -> None:
    upstream.replies(CALLED, text("Oslo."))
    tool = StructuredTool.from_function(
        DEGREES.__getitem__, name="get_degrees", description="?", args_schema=TOOL["parameters"]
    )
    model = _langchain(base_url).bind_tools([tool])
    said: list[Any] = [("user", "Where is it cold?")]

    first = model.invoke(said)
    outputs = [{"role": "tool", "tool_call_id": call["id"], "content": "x"} for call in first.tool_calls]
    second = model.invoke([*said, first, *outputs])

    assert [call["args"] for call in first.tool_calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert second.text == "Oslo."


def test_langchain_streams(base_url: str, upstream: FakeUpstream) -> None:
    upstream.replies(CALLED)

    whole: Any = None
    for chunk in _langchain(base_url).bind_tools([TOOL]).stream("Where is it cold?"):
        assert isinstance(chunk, AIMessageChunk)
        whole = chunk if whole is None else whole + chunk

    assert whole.text == "Let me see."
    assert [call["args"] for call in whole.tool_calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert whole.usage_metadata["input_tokens"] == 420


def test_langchain_gives_an_object(base_url: str, upstream: FakeUpstream) -> None:
    upstream.replies(in_the_asked_form(ANSWER))

    assert _langchain(base_url).with_structured_output(Weather).invoke("?") == EXPECTED


@pytest.mark.parametrize("streamed", [False, True])
def test_pydantic_ai_runs_a_round_of_tools(base_url: str, upstream: FakeUpstream, streamed: bool) -> None:
    # streamed, it takes the first text for the answer
    upstream.replies(Message(blocks=CALLED.blocks[2:]), text("Oslo."))
    model = OpenAIResponsesModel("sonnet", provider=OpenAIProvider(base_url=base_url, api_key="unused"))
    agent = PydanticAgent(model, instructions="Be brief.")

    @agent.tool_plain  # type: ignore[untyped-decorator, unused-ignore]
    def get_degrees(city: str) -> str:
        return DEGREES[city]

    async def run() -> str:
        if not streamed:
            return str((await agent.run("Where is it cold?")).output)
        async with agent.run_stream("Where is it cold?") as result:
            return str(await result.get_output())

    assert asyncio.run(run()) == "Oslo."
    assert sorted(results(upstream)) == ["toolu_1", "toolu_2"]


def test_instructor_gives_an_object(client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "Weather", ANSWER),)))
    asking = instructor.from_openai(client, mode=instructor.Mode.RESPONSES_TOOLS)

    made = asking.create(model="sonnet", messages=[{"role": "user", "content": "?"}], response_model=Weather)

    assert made.model_dump() == ANSWER
