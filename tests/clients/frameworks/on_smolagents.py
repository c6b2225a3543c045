"""smolagents: agents whose model is an ``OpenAIModel`` with the relay as its base URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

from smolagents import OpenAIModel, Tool, ToolCallingAgent  # type: ignore[import-not-found, unused-ignore]

from tests.clients.frameworks.framework import INSTRUCTIONS, MAX_TOKENS, MODEL, Ask, Framework, Pet, Square


def _model(base_url: str, **more: Any) -> Any:
    return OpenAIModel(MODEL, api_base=base_url, api_key="unused", client_kwargs={"max_retries": 0}, **more)


def _messages(question: str) -> list[Any]:
    said = {"system": INSTRUCTIONS, "user": question}
    return [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in said.items()]


def answer(base_url: str, question: str) -> str:
    return str(_model(base_url).generate(_messages(question)).content)


def stream(base_url: str, question: str) -> list[str]:
    return [delta.content or "" for delta in _model(base_url).generate_stream(_messages(question))]


@contextmanager
def _talk(base_url: str, square: Square, **more: Any) -> Iterator[Ask]:
    """The agent remembers while it is not reset."""

    class Squares(Tool):  # type: ignore[misc, unused-ignore]
        name = "square"
        description = "Square a number."
        inputs: ClassVar = {"n": {"type": "integer", "description": "The number."}}
        output_type = "string"

        def forward(self, n: int) -> str:
            return square(n)

    model = _model(base_url, max_tokens=MAX_TOKENS)
    agent = ToolCallingAgent([Squares()], model, instructions=INSTRUCTIONS, verbosity_level=0, **more)
    yield lambda question: str(agent.run(question, reset=False))


def pet(base_url: str, question: str) -> Pet:
    schema = {"name": "Pet", "schema": Pet.model_json_schema()}
    response_format = {"type": "json_schema", "json_schema": schema}
    answer = _model(base_url).generate(_messages(question), response_format=response_format)
    return Pet.model_validate_json(answer.content)


SMOLAGENTS = Framework(
    answer=answer,
    stream=stream,
    agents={"run": _talk, "stream": partial(_talk, stream_outputs=True)},
    pet=pet,
    ignored_with_tools=frozenset({"tool_choice"}),
    last_word="final_answer",
)
