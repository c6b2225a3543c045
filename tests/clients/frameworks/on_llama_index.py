"""llama-index: ``OpenAILike``, and agents whose model it is."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent  # type: ignore[import-not-found, unused-ignore]
from llama_index.core.llms import ChatMessage  # type: ignore[import-not-found, unused-ignore]
from llama_index.core.tools import FunctionTool  # type: ignore[import-not-found, unused-ignore]
from llama_index.core.workflow import Context  # type: ignore[import-not-found, unused-ignore]
from llama_index.llms.openai_like import OpenAILike  # type: ignore[import-not-found, unused-ignore]

from tests.clients.frameworks.framework import CUT, INSTRUCTIONS, MAX_TOKENS, MODEL, Ask, Framework, Pet, Square


def _model(base_url: str, **more: Any) -> Any:
    return OpenAILike(
        model=MODEL,
        api_base=base_url,
        api_key="unused",
        is_chat_model=True,
        is_function_calling_model=True,
        context_window=200_000,
        max_retries=0,
        **more,
    )


def _messages(question: str) -> list[Any]:
    return [ChatMessage(role="system", content=INSTRUCTIONS), ChatMessage(role="user", content=question)]


def defaults(base_url: str) -> Any:
    """Return the model as who names only a server and a model gets it: it completes texts."""
    return OpenAILike(model=MODEL, api_base=base_url, api_key="unused")


def answer(base_url: str, question: str) -> str:
    return str(_model(base_url).chat(_messages(question)).message.content)


def stream(base_url: str, question: str) -> list[str]:
    return [piece.delta for piece in _model(base_url).stream_chat(_messages(question))]


@contextmanager
def _talk(base_url: str, square: Square, **more: Any) -> Iterator[Ask]:
    """A context remembers."""

    async def squared(n: int) -> str:
        return await asyncio.to_thread(square, n)

    tool = FunctionTool.from_defaults(async_fn=squared, name="square", description="Square a number.")
    model = _model(base_url, max_tokens=MAX_TOKENS)
    agent = FunctionAgent(tools=[tool], llm=model, system_prompt=INSTRUCTIONS, **more)
    context = Context(agent)

    async def run(question: str) -> str:
        return str(await agent.run(question, ctx=context))

    with asyncio.Runner() as runner:
        yield lambda question: runner.run(run(question))


def pet(base_url: str, question: str) -> Pet:
    found = _model(base_url, should_use_structured_outputs=True).as_structured_llm(Pet).complete(question).raw
    assert isinstance(found, Pet)
    return found


def called_pet(base_url: str, question: str) -> Pet:
    """Do what a model without structured output is asked: to call a tool."""
    found = _model(base_url).as_structured_llm(Pet).complete(question).raw
    assert isinstance(found, Pet)
    return found


LLAMA_INDEX = Framework(
    answer=answer,
    stream=stream,
    # by itself an agent streams
    agents={"run": partial(_talk, streaming=False), "stream": _talk},
    pet=pet,
    ignored=frozenset({"temperature"}),
    cut={"input": CUT},
)
