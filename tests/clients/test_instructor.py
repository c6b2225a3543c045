"""instructor in its mode that asks for a JSON schema."""

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
from tests.upstream import FakeUpstream


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
