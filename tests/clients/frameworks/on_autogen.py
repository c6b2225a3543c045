"""AutoGen: an ``AssistantAgent`` whose model client has the relay as its base URL."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from autogen_agentchat.agents import AssistantAgent  # type: ignore[import-not-found, unused-ignore]
from autogen_agentchat.messages import ModelClientStreamingChunkEvent  # type: ignore[import-not-found, unused-ignore]
from autogen_core.tools import FunctionTool  # type: ignore[import-not-found, unused-ignore]
from autogen_ext.models.openai import OpenAIChatCompletionClient  # type: ignore[import-not-found, unused-ignore]

from tests.clients.frameworks.framework import CUT, INSTRUCTIONS, MAX_TOKENS, MODEL, Ask, Framework, Pet, Square

KNOWN_OF_THE_MODEL = {
    "vision": True,
    "function_calling": True,
    "json_output": True,
    "structured_output": True,
    "family": "unknown",
}


def _agent(base_url: str, model: dict[str, Any], **more: Any) -> Any:
    client = OpenAIChatCompletionClient(
        model=MODEL, base_url=base_url, api_key="unused", model_info=KNOWN_OF_THE_MODEL, max_retries=0, **model
    )
    return AssistantAgent("assistant", model_client=client, system_message=INSTRUCTIONS, **more)


def answer(base_url: str, question: str) -> str:
    return str(asyncio.run(_agent(base_url, {}).run(task=question)).messages[-1].content)


def stream(base_url: str, question: str) -> list[str]:
    async def use() -> list[str]:
        agent = _agent(base_url, {}, model_client_stream=True)
        events = [event async for event in agent.run_stream(task=question)]
        return [event.content for event in events if isinstance(event, ModelClientStreamingChunkEvent)]

    return asyncio.run(use())


@contextmanager
def _talk(base_url: str, square: Square, **more: Any) -> Iterator[Ask]:
    """The agent remembers by itself."""

    async def squared(n: int) -> str:
        return await asyncio.to_thread(square, n)

    tool = FunctionTool(squared, name="square", description="Square a number.")
    agent = _agent(base_url, {"max_tokens": MAX_TOKENS}, tools=[tool], max_tool_iterations=10, **more)

    async def run(question: str) -> str:
        return str((await agent.run(task=question)).messages[-1].content)

    with asyncio.Runner() as runner:
        yield lambda question: runner.run(run(question))


def pet(base_url: str, question: str) -> Pet:
    result = asyncio.run(_agent(base_url, {}, output_content_type=Pet).run(task=question))
    found = result.messages[-1].content
    assert isinstance(found, Pet)
    return found


AUTOGEN = Framework(
    answer=answer,
    stream=stream,
    agents={"run": _talk, "stream": partial(_talk, model_client_stream=True)},
    pet=pet,
    cut={"input": CUT},
)
