"""crewai: agents whose model is an ``LLM`` with the relay as its base URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from crewai import LLM, Agent, Crew, Task  # type: ignore[import-not-found, unused-ignore]
from crewai.tools import tool  # type: ignore[import-not-found, unused-ignore]

from tests.clients.frameworks.framework import CUT, INSTRUCTIONS, MAX_TOKENS, MODEL, Ask, Framework, Pet, Square


def _agent(base_url: str, model: dict[str, Any], **more: Any) -> Any:
    llm = LLM(model=f"openai/{MODEL}", base_url=base_url, api_key="unused", max_retries=0, **model)
    return Agent(role="Mathematician", goal="Know all squares", backstory=INSTRUCTIONS, llm=llm, **more)


def _crew(agent: Any, question: str, **more: Any) -> Any:
    task = Task(description=question, expected_output="A name", agent=agent)
    return Crew(agents=[agent], tasks=[task], **more)


def answer(base_url: str, question: str) -> str:
    return str(_crew(_agent(base_url, {}), question).kickoff().raw)


def stream(base_url: str, question: str) -> list[str]:
    output = _crew(_agent(base_url, {"stream": True}), question, stream=True).kickoff()
    return [chunk.content for chunk in output]


@contextmanager
def _talk(base_url: str, square: Square, **more: Any) -> Iterator[Ask]:
    """Who asks keeps what was said."""

    @tool("square")  # type: ignore[untyped-decorator, unused-ignore]
    def squared(n: int) -> str:
        """Square a number."""
        return square(n)

    agent = _agent(base_url, {"max_tokens": MAX_TOKENS, **more}, tools=[squared])
    said: list[Any] = []

    def ask(question: str) -> str:
        said.append({"role": "user", "content": question})
        output = agent.kickoff(said)
        said.append({"role": "assistant", "content": output.raw})
        return str(output.raw)

    yield ask


def pet(base_url: str, question: str) -> Pet:
    found = _agent(base_url, {}).kickoff(question, response_format=Pet).pydantic
    assert isinstance(found, Pet)
    return found


CREWAI = Framework(
    answer=answer,
    stream=stream,
    agents={"run": _talk, "stream": partial(_talk, stream=True)},
    pet=pet,
    cut={"input": CUT},
)
