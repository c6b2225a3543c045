"""Clients of the legacy completions API: what they make of the relay's answers."""

from collections.abc import Iterator

import pytest
from langchain_openai import OpenAI as LangChain  # type: ignore[import-not-found, unused-ignore]
from openai import BadRequestError, OpenAI
from pydantic import SecretStr

from tests.clients.overhear import Overhearing
from tests.clients.upstream_side import COMPLETION_TOKENS, PROMPT_TOKENS, TOTAL_TOKENS, spoken
from tests.live.bodies import conversation
from tests.upstream import FakeUpstream


@pytest.fixture
def client(base_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=base_url, api_key="unused", max_retries=0) as made:
        yield made


def test_create_gives_texts_and_usage(client: OpenAI, upstream: FakeUpstream, heard: Overhearing) -> None:
    upstream.replies(spoken("\n    return", " x"))

    answer = client.completions.create(model="sonnet", prompt="def f(x):", echo=True, seed=1)

    (choice,) = answer.choices
    assert (choice.text, choice.finish_reason) == ("def f(x):\n    return x", "stop")
    assert answer.usage is not None
    used = answer.usage
    assert (used.prompt_tokens, used.completion_tokens, used.total_tokens) == (
        PROMPT_TOKENS,
        COMPLETION_TOKENS,
        TOTAL_TOKENS,
    )
    assert heard.only().ignored == {"seed"}


def test_a_stream_gives_pieces_and_the_usage(client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("It is ", "Tom."))

    chunks = list(
        client.completions.create(model="sonnet", prompt="?", stream=True, stream_options={"include_usage": True})
    )

    assert [chunk.choices[0].text for chunk in chunks if chunk.choices] == ["It is ", "Tom.", ""]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == TOTAL_TOKENS


def test_tokens_are_refused(client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="tokens are not supported"):
        client.completions.create(model="sonnet", prompt=[1, 2, 3])


def test_langchains_plain_model_works_with_its_defaults(
    base_url: str, upstream: FakeUpstream, heard: Overhearing
) -> None:
    model = LangChain(model="sonnet", base_url=base_url, api_key=SecretStr("unused"), max_retries=0)
    upstream.replies(spoken("It is ", "Tom."), spoken("It is ", "Tom."))

    whole = model.invoke("Who is it?")
    pieces = list(model.stream("Who is it?"))

    assert whole == "It is Tom."
    assert [piece for piece in pieces if piece] == ["It is ", "Tom."]
    bodies = [request.body or {} for request in upstream.messages_requests]
    assert [(conversation(body), body["max_tokens"]) for body in bodies] == [([("user", ["Who is it?"])], 256)] * 2
    assert [(exchange.path, exchange.ignored) for exchange in heard.heard] == [("/v1/completions", set())] * 2
