"""What clients offer for tools.

Each asks two questions in one conversation, and runs the tool ``square`` until the model has its answers.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlparse

import agents as openai_agents  # type: ignore[import-not-found, unused-ignore]
import litellm  # type: ignore[import-not-found, unused-ignore]
from langchain.agents import create_agent  # type: ignore[import-not-found, unused-ignore]
from langchain_core.messages import AIMessageChunk  # type: ignore[import-not-found, unused-ignore]
from langchain_core.tools import StructuredTool, ToolException  # type: ignore[import-not-found, unused-ignore]
from langchain_openai import ChatOpenAI  # type: ignore[import-not-found, unused-ignore]
from langgraph.checkpoint.memory import InMemorySaver  # type: ignore[import-not-found, unused-ignore]
from openai import AsyncOpenAI, OpenAI
from pydantic import SecretStr
from pydantic_ai import Agent as PydanticAgent  # type: ignore[import-not-found, unused-ignore]
from pydantic_ai import AgentRunResultEvent, ModelRetry
from pydantic_ai import Tool as PydanticTool
from pydantic_ai.models.openai import OpenAIChatModel  # type: ignore[import-not-found, unused-ignore]
from pydantic_ai.providers.openai import OpenAIProvider  # type: ignore[import-not-found, unused-ignore]

QUESTIONS = ("Which squares are there?", "And which is the largest?")

Square = Callable[[int], str]
"""What the tool does; it raises ValueError where there is no square."""
Agent = Callable[[str, Square], str]
"""Takes a base URL and what the tool does, and returns the model's last answer."""

SQUARE: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "square",
        "description": "Square a number.",
        "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    },
}


def _by_hand(create: Callable[[list[Any]], Any], square: Square) -> str:
    """Do what the openai package's documentation shows."""
    messages: list[Any] = []
    for question in QUESTIONS:
        messages.append({"role": "user", "content": question})
        while calls := _added(messages, create(messages)).tool_calls:
            for call in calls:
                try:
                    said = square(json.loads(call.function.arguments)["n"])
                except ValueError as error:
                    said = f"Error: {error}"
                messages.append({"role": "tool", "tool_call_id": call.id, "content": said})
    return str(messages[-1].content)


def _added(messages: list[Any], message: Any) -> Any:
    messages.append(message)
    return message


def openai_create(base_url: str, square: Square) -> str:
    with OpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:

        def create(messages: list[Any]) -> Any:
            answer = client.chat.completions.create(model="sonnet", messages=messages, tools=[SQUARE])  # type: ignore[list-item] # plain dicts do
            return answer.choices[0].message

        return _by_hand(create, square)


def openai_stream(base_url: str, square: Square) -> str:
    with OpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:

        def create(messages: list[Any]) -> Any:
            with client.chat.completions.stream(model="sonnet", messages=messages, tools=[SQUARE]) as stream:  # type: ignore[list-item] # plain dicts do
                return stream.get_final_completion().choices[0].message

        return _by_hand(create, square)


def litellm_completion(base_url: str, square: Square) -> str:
    def create(messages: list[Any]) -> Any:
        answer = litellm.completion(
            model="openai/sonnet", base_url=base_url, api_key="unused", messages=messages, tools=[SQUARE]
        )
        return answer.choices[0].message

    return _by_hand(create, square)


def _langchain(base_url: str, square: Square) -> Any:
    def squared(n: int) -> str:
        try:
            return square(n)
        except ValueError as error:
            raise ToolException(str(error)) from error

    tool = StructuredTool.from_function(squared, name="square", description="Square a number.", handle_tool_error=True)
    model = ChatOpenAI(model="sonnet", base_url=base_url, api_key=SecretStr("unused"), max_retries=0)
    return create_agent(model, [tool], checkpointer=InMemorySaver())


def _langchain_run(question: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what starts a run, and its settings: the one thread that the agent remembers."""
    messages = {"messages": [{"role": "user", "content": question}]}
    return messages, {"recursion_limit": 100, "configurable": {"thread_id": "1"}}


def langchain_invoke(base_url: str, square: Square) -> str:
    agent = _langchain(base_url, square)
    *_, state = [agent.invoke(*_langchain_run(question)) for question in QUESTIONS]
    return str(state["messages"][-1].text)


def langchain_stream(base_url: str, square: Square) -> str:
    """Streamed messages make the model stream, too."""
    agent = _langchain(base_url, square)
    for question in QUESTIONS:
        parts = list(agent.stream(*_langchain_run(question), stream_mode=["messages", "values"]))
        assert any(kind == "messages" and isinstance(part[0], AIMessageChunk) for kind, part in parts)
    return str(parts[-1][1]["messages"][-1].text)


def _pydantic_ai(base_url: str, square: Square) -> Any:
    def squared(n: int) -> str:
        try:
            return square(n)
        except ValueError as error:
            raise ModelRetry(str(error)) from error

    model = OpenAIChatModel("sonnet", provider=OpenAIProvider(base_url=base_url, api_key="unused"))
    return PydanticAgent(model, tools=[PydanticTool(squared, name="square", description="Square a number.")])


def pydantic_ai_run(base_url: str, square: Square) -> str:
    async def use() -> str:
        agent, history = _pydantic_ai(base_url, square), None
        for question in QUESTIONS:
            result = await agent.run(question, message_history=history)
            history = result.all_messages()
        return str(result.output)

    return asyncio.run(use())


def pydantic_ai_stream(base_url: str, square: Square) -> str:
    async def use() -> str:
        agent, history = _pydantic_ai(base_url, square), None
        for question in QUESTIONS:
            async with agent.run_stream_events(question, message_history=history) as stream:
                *_, last = [event async for event in stream]
            assert isinstance(last, AgentRunResultEvent)
            history = last.result.all_messages()
        return str(last.result.output)

    return asyncio.run(use())


@asynccontextmanager
async def _openai_agents(base_url: str, square: Square) -> AsyncIterator[Any]:
    async def squared(n: int) -> str:
        return await asyncio.to_thread(square, n)

    tool = openai_agents.function_tool(
        squared,
        name_override="square",
        description_override="Square a number.",
        # by default it does not say what happened
        failure_error_function=lambda _, error: str(error),
    )
    openai_agents.set_tracing_disabled(disabled=True)
    async with AsyncOpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:
        model = openai_agents.OpenAIChatCompletionsModel(model="sonnet", openai_client=client)
        yield openai_agents.Agent(name="Squares", model=model, tools=[tool])


def openai_agents_run(base_url: str, square: Square) -> str:
    async def use() -> str:
        said: list[Any] = []
        async with _openai_agents(base_url, square) as agent:
            for question in QUESTIONS:
                said.append({"role": "user", "content": question})
                result = await openai_agents.Runner.run(agent, said, max_turns=30)
                said = result.to_input_list()
        return str(result.final_output)

    return asyncio.run(use())


def openai_agents_stream(base_url: str, square: Square) -> str:
    """A session remembers what was said."""

    async def use() -> str:
        session = openai_agents.SQLiteSession("1")
        async with _openai_agents(base_url, square) as agent:
            for question in QUESTIONS:
                result = openai_agents.Runner.run_streamed(agent, question, max_turns=30, session=session)
                assert [event async for event in result.stream_events()]
        session.close()
        return str(result.final_output)

    return asyncio.run(use())


IN_PYTHON: dict[str, Agent] = {
    agent.__name__: agent
    for agent in (
        openai_create,
        openai_stream,
        litellm_completion,
        langchain_invoke,
        langchain_stream,
        pydantic_ai_run,
        pydantic_ai_stream,
        openai_agents_run,
        openai_agents_stream,
    )
}
IN_NODE: dict[str, tuple[str, str]] = {
    "ai_sdk_generate_text": ("ai-sdk-tools.mjs", "generateText"),
    "ai_sdk_stream_text": ("ai-sdk-tools.mjs", "streamText"),
    "langchain_js_stream": ("langchain-tools.mjs", "stream"),
    "openai_node_run_tools": ("openai-tools.mjs", "runTools"),
    "openai_node_streamed_run_tools": ("openai-tools.mjs", "streamedRunTools"),
}
"""Scripts and their scenarios."""


@contextmanager
def over_http(square: Square) -> Iterator[str]:
    """Lend the tool to another process: its URL takes ``?n=``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the base class's naming
            (n,) = parse_qs(urlparse(self.path).query)["n"]
            try:
                status, said = 200, square(int(n))
            except ValueError as error:
                status, said = 500, str(error)
            self.send_response(status)
            self.send_header("content-length", str(len(said.encode())))
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
