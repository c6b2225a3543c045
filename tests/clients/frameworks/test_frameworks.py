"""Agent frameworks whose model is the relay, and a strict upstream behind it."""

import json
from typing import Any

import pytest

from tests.clients.frameworks import on_llama_index
from tests.clients.frameworks.framework import CUT, INSTRUCTIONS, MAX_TOKENS, Framework, Pet
from tests.clients.frameworks.on_autogen import AUTOGEN
from tests.clients.frameworks.on_crewai import CREWAI
from tests.clients.frameworks.on_dspy import DSPY
from tests.clients.frameworks.on_llama_index import LLAMA_INDEX
from tests.clients.frameworks.on_semantic_kernel import SEMANTIC_KERNEL
from tests.clients.frameworks.on_smolagents import SMOLAGENTS
from tests.clients.overhear import Overhearing
from tests.clients.upstream_side import in_the_asked_form
from tests.live.bodies import conversation
from tests.upstream import FakeUpstream, Message, Text, ToolUse, text
from tests.upstream.rules import refusal

FRAMEWORKS = {
    "llama_index": LLAMA_INDEX,
    "autogen": AUTOGEN,
    "semantic_kernel": SEMANTIC_KERNEL,
    "smolagents": SMOLAGENTS,
    "crewai": CREWAI,
    "dspy": DSPY,
}

each = pytest.mark.parametrize("framework", [pytest.param(one, id=name) for name, one in FRAMEWORKS.items()])
each_agent = pytest.mark.parametrize(
    ("framework", "way"),
    [pytest.param(one, way, id=f"{name}-{way}") for name, one in FRAMEWORKS.items() for way in one.agents],
)


def _said(framework: Framework, *pieces: str) -> Message:
    before, after = framework.frame
    return text(chunks=tuple(filter(None, (before, *pieces, after))))


def _last_word(framework: Framework, said: str) -> Message:
    if framework.last_word is None:
        return text(said)
    return Message(blocks=(ToolUse(f"toolu_{said.strip('.')}", framework.last_word, {"answer": said}),))


def _call(framework: Framework, n: int) -> ToolUse:
    return ToolUse(f"toolu_{n}", framework.square, {"n": n})


def _squared(n: int) -> str:
    return f"{n} squared is {n * n}"


def _served(upstream: FakeUpstream) -> list[dict[str, Any]]:
    """Return what reached the upstream, less what it refused."""
    bodies = [request.body for request in upstream.messages_requests]
    return [body for body in bodies if body is not None and refusal(body) is None]


def _blocks(body: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    contents = [message["content"] for message in body["messages"] if not isinstance(message["content"], str)]
    return [block for content in contents for block in content if block["type"] == kind]


def _assert_served(heard: Overhearing, ignored: frozenset[str]) -> None:
    assert {(each.path, each.status) for each in heard.heard} == {("/v1/chat/completions", 200)}
    assert set().union(*(each.ignored for each in heard.heard)) == ignored


@each
def test_a_question_is_answered(
    framework: Framework, base_url: str, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.replies(_said(framework, "It is ", "Tom."))
    assert framework.answer(base_url, "Who is it?") == "It is Tom."
    (body,) = _served(upstream)
    ((role, (asked,)),) = conversation(body)
    assert (role, "Who is it?" in asked) == ("user", True)
    assert INSTRUCTIONS in body["system"][-1]["text"]
    _assert_served(heard, framework.ignored)
    assert not heard.only().body.get("stream")


@each
def test_an_answer_comes_in_pieces(
    framework: Framework, base_url: str, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.replies(_said(framework, "It is ", "Tom."))
    pieces = [piece for piece in framework.stream(base_url, "Who is it?") if piece]
    assert (len(pieces), "".join(pieces)) == (2, "It is Tom.")
    _assert_served(heard, framework.ignored)
    assert heard.only().body["stream"] is True


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # AutoGen's own: an answer with its parsed object
@each
def test_an_answer_has_the_form_that_was_asked_for(
    framework: Framework, base_url: str, upstream: FakeUpstream, heard: Overhearing
) -> None:
    pet = {"name": "Tom", "age": 3}
    upstream.replies(in_the_asked_form(pet if framework.field is None else {framework.field: pet}))
    assert framework.pet(base_url, "Who is it?") == Pet(name="Tom", age=3)
    assert heard.only().body["response_format"]["type"] == "json_schema"
    _assert_served(heard, framework.ignored)


@each_agent
def test_an_agent_uses_its_tool_and_answers(
    framework: Framework, way: str, base_url: str, upstream: FakeUpstream, heard: Overhearing
) -> None:
    """There are two calls at once, then one, and then another question."""
    upstream.replies(
        Message(blocks=(Text("Well."), _call(framework, 1), _call(framework, 2))),
        Message(blocks=(_call(framework, 3),)),
        _last_word(framework, "Done."),
        _last_word(framework, "Nine."),
    )
    called: list[int] = []

    def square(n: int) -> str:
        called.append(n)
        return _squared(n)

    with framework.agents[way](base_url, square) as ask:
        # a stream has what was said beside a call, too
        assert ask("Which squares are there?").endswith("Done.")
        assert ask("And which is the largest?") == "Nine."
    assert sorted(called) == [1, 2, 3]
    assert {bool(request.body.get("stream")) for request in heard.heard} == {way == "stream"}
    _assert_served(heard, framework.ignored | framework.ignored_with_tools)
    _, _, with_all, last = bodies = _served(upstream)
    assert {body["max_tokens"] for body in bodies} == {MAX_TOKENS}
    assert all(_squared(n) in json.dumps(with_all["messages"]) for n in called)
    assert "And which is the largest?" in conversation(last)[-1][1][-1]


@each_agent
def test_a_call_that_was_cut_is_gone_on_from(
    framework: Framework, way: str, base_url: str, upstream: FakeUpstream, heard: Overhearing
) -> None:
    cut = ToolUse("toolu_1", framework.square, {}, written=CUT)
    upstream.replies(
        # an upstream that writes at once would be quicker than what keeps the CLI from asking again by itself
        Message(blocks=(cut,), stop_reason="max_tokens", delay=0.3),
        _last_word(framework, "Done."),
        _last_word(framework, "Nine."),
    )
    with framework.agents[way](base_url, _squared) as ask:
        assert (ask("Which squares are there?"), ask("And which is the largest?")) == ("Done.", "Nine.")
    _assert_served(heard, framework.ignored | framework.ignored_with_tools)
    _, after, _ = _served(upstream)
    uses = [(block["id"], block["input"]) for block in _blocks(after, "tool_use")]
    assert uses == ([] if framework.cut is None else [("toolu_1", framework.cut)])
    assert [block["tool_use_id"] for block in _blocks(after, "tool_result")] == [id_ for id_, _ in uses]


def test_llama_index_has_a_tool_called_where_it_does_not_know_of_structured_output(
    base_url: str, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "Pet", {"name": "Tom", "age": 3}),)))
    assert on_llama_index.called_pet(base_url, "Who is it?") == Pet(name="Tom", age=3)
    assert heard.only().body["tool_choice"] == "required"
    _assert_served(heard, frozenset({"temperature", "tool_choice"}))


def test_llama_index_completes_texts_where_nobody_says_that_a_model_chats(
    base_url: str, upstream: FakeUpstream, heard: Overhearing
) -> None:
    upstream.replies(text(chunks=("It is ", "Tom.")), text(chunks=("It is ", "Tom.")))
    model = on_llama_index.defaults(base_url)

    assert model.complete("Who is it?").text == "It is Tom."
    assert [piece.delta for piece in model.stream_complete("Who is it?") if piece.delta] == ["It is ", "Tom."]
    assert [(each.path, each.status, each.ignored) for each in heard.heard] == [
        ("/v1/completions", 200, {"temperature"})
    ] * 2
