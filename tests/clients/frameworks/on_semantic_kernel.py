"""semantic-kernel: a ``ChatCompletionAgent`` whose service is a client with the relay as its base URL."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any

from openai import AsyncOpenAI
from semantic_kernel.agents import (  # type: ignore[import-not-found, unused-ignore]
    ChatCompletionAgent,
    ChatHistoryAgentThread,
)
from semantic_kernel.connectors.ai.open_ai import (  # type: ignore[import-not-found, unused-ignore]
    OpenAIChatCompletion,
    OpenAIChatPromptExecutionSettings,
)
from semantic_kernel.functions import KernelArguments, kernel_function  # type: ignore[import-not-found, unused-ignore]

from tests.clients.frameworks.framework import CUT, INSTRUCTIONS, MAX_TOKENS, MODEL, Ask, Framework, Pet, Square


def _agent(base_url: str, settings: dict[str, Any], **more: Any) -> Any:
    client = AsyncOpenAI(base_url=base_url, api_key="unused", max_retries=0)
    return ChatCompletionAgent(
        service=OpenAIChatCompletion(ai_model_id=MODEL, async_client=client),
        instructions=INSTRUCTIONS,
        arguments=KernelArguments(settings=OpenAIChatPromptExecutionSettings(**settings)),
        **more,
    )


def answer(base_url: str, question: str) -> str:
    return str(asyncio.run(_agent(base_url, {}).get_response(question)))


def stream(base_url: str, question: str) -> list[str]:
    async def use() -> list[str]:
        return [str(piece.message) async for piece in _agent(base_url, {}).invoke_stream(question)]

    return asyncio.run(use())


async def _whole(agent: Any, question: str, thread: Any) -> str:
    return str(await agent.get_response(question, thread=thread))


async def _streamed(agent: Any, question: str, thread: Any) -> str:
    return "".join([str(piece.message) async for piece in agent.invoke_stream(question, thread=thread)])


@contextmanager
def _talk(ask: Callable[[Any, str, Any], Coroutine[Any, Any, str]], base_url: str, square: Square) -> Iterator[Ask]:
    """A thread remembers."""

    class Squares:
        @kernel_function(name="square", description="Square a number.")  # type: ignore[untyped-decorator, unused-ignore]
        async def squared(self, n: Annotated[int, "The number."]) -> str:
            return await asyncio.to_thread(square, n)

    agent = _agent(base_url, {"max_tokens": MAX_TOKENS}, plugins=[Squares()])
    thread = ChatHistoryAgentThread()
    with asyncio.Runner() as runner:
        yield lambda question: runner.run(ask(agent, question, thread))


def pet(base_url: str, question: str) -> Pet:
    return Pet.model_validate_json(str(asyncio.run(_agent(base_url, {"response_format": Pet}).get_response(question))))


SEMANTIC_KERNEL = Framework(
    answer=answer,
    stream=stream,
    agents={"run": partial(_talk, _whole), "stream": partial(_talk, _streamed)},
    pet=pet,
    # what it calls the agent, who is the only one to speak
    square="Squares-square",
    cut={"input": CUT},
)
