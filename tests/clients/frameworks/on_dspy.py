"""DSPy: programs whose language model is an ``LM`` with the relay as its base URL."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dspy  # type: ignore[import-not-found, unused-ignore]
from dspy.lm15 import (  # type: ignore[import-not-found, unused-ignore]
    AccessPolicy,
    ModelSupport,
    OpenAIChatCompat,
    ProviderDefinition,
    register_provider,
)

from tests.clients.frameworks.framework import CUT, INSTRUCTIONS, MAX_TOKENS, MODEL, Ask, Framework, Pet, Square

# what DSPy's catalogue does not know is offered no tools and formats, but asked for them in words
register_provider(
    ProviderDefinition.chat(
        AccessPolicy(provider="claude-relay", env_keys=(), base_url="http://127.0.0.1:8082/v1"),
        compat=OpenAIChatCompat(),
    ),
    supports=ModelSupport(function_calling=True, response_schema=True),
)


def _model(base_url: str, name: str = f"openai/{MODEL}", **more: Any) -> Any:
    return dspy.LM(name, api_base=base_url, api_key="unused", cache=False, num_retries=0, **more)


def _asked(output: type) -> Any:
    return dspy.Signature({"question": (str, dspy.InputField()), "answer": (output, dspy.OutputField())}, INSTRUCTIONS)


def answer(base_url: str, question: str) -> str:
    with dspy.context(lm=_model(base_url)):
        return str(dspy.Predict(_asked(str))(question=question).answer)


def stream(base_url: str, question: str) -> list[str]:
    async def use() -> list[str]:
        listener = dspy.streaming.StreamListener(signature_field_name="answer")
        program = dspy.streamify(dspy.Predict(_asked(str)), stream_listeners=[listener])
        pieces = [piece async for piece in program(question=question)]
        return [piece.chunk for piece in pieces if isinstance(piece, dspy.streaming.StreamResponse)]

    with dspy.context(lm=_model(base_url)):
        return asyncio.run(use())


@contextmanager
def _talk(base_url: str, square: Square) -> Iterator[Ask]:
    """A history remembers."""

    def squared(n: int) -> str:
        return square(n)

    tool = dspy.Tool(squared, name="square", desc="Square a number.")
    agent = dspy.ReActV2(_asked(str), [tool])
    history = dspy.History(messages=[])
    adapter = dspy.ChatAdapter(use_native_function_calling=True)

    def ask(question: str) -> str:
        with dspy.context(lm=_model(base_url, f"claude-relay/{MODEL}", max_tokens=MAX_TOKENS), adapter=adapter):
            return str(agent(question=question, history=history).answer)

    yield ask


def pet(base_url: str, question: str) -> Pet:
    with dspy.context(lm=_model(base_url, f"claude-relay/{MODEL}"), adapter=dspy.JSONAdapter()):
        found = dspy.Predict(_asked(Pet))(question=question).answer
    assert isinstance(found, Pet)
    return found


DSPY = Framework(
    answer=answer,
    stream=stream,
    agents={"run": _talk},
    pet=pet,
    frame=("[[ ## answer ## ]]\n", "\n\n[[ ## completed ## ]]"),
    field="answer",
    last_word="submit",
    cut={"partial_json": CUT},
)
