"""Open WebUI: the relay as its connection, and a strict upstream behind it."""

import json
from typing import Any

import pytest

from tests.clients.open_webui.page import MODEL, Page
from tests.clients.overhear import Overhearing
from tests.clients.upstream_side import spoken
from tests.live.bodies import conversation
from tests.live.relay import Relay
from tests.upstream import FakeUpstream, Message, Reply, ToolUse, prompt_too_long, text

TASKS: dict[str, Any] = {"title": "The pet", "tags": ["Animals"], "follow_ups": ["Why?", "How?"]}
"""What the model answers when Open WebUI asks for something of its own, in one JSON object for each."""


def _is_task(body: dict[str, Any]) -> bool:
    return conversation(body)[-1][1][-1].startswith("### Task:")


def _answer(body: dict[str, Any]) -> Reply:
    asked = conversation(body)[-1][1][-1]
    for name, value in TASKS.items():
        if _is_task(body) and f'"{name}":' in asked:
            return text(json.dumps({name: value}))
    return spoken("It is ", "Tom.")


def _asked(upstream: FakeUpstream) -> list[dict[str, Any]]:
    """Return what reached the upstream, less Open WebUI's own tasks."""
    bodies = [request.body for request in upstream.messages_requests]
    return [body for body in bodies if body is not None and not _is_task(body)]


@pytest.fixture
def upstream(upstream: FakeUpstream) -> FakeUpstream:
    """An upstream that refuses what the real one does, and knows what to answer, as the tasks come in any order."""
    upstream.default, upstream.strict = _answer, True
    return upstream


def test_the_menu_has_the_relays_models(page: Page, base_url: str) -> None:
    assert {"sonnet", MODEL, "sonnet:agent"} <= set(page.menu())
    assert page.verify(base_url)["object"] == "list"


def test_a_chat_is_answered_and_gets_a_title_tags_and_follow_ups(
    page: Page, chat: Relay, upstream: FakeUpstream, heard: Overhearing
) -> None:
    begun = page.chat()
    assert begun.ask("Who is it?")["content"] == "It is Tom."
    chat.wait_until(lambda: begun.title() == "The pet", 30)
    chat.wait_until(lambda: begun.follow_ups() == ["Why?", "How?"], 30)
    chat.wait_until(lambda: begun.tags() == ["animals"], 30)
    assert [request.status for request in heard.heard] == [200] * 4
    assert [request.body["model"] for request in heard.heard if request.body["stream"]] == [MODEL]
    assert [conversation(body) for body in _asked(upstream)] == [[("user", ["Who is it?"])]]
    assert (len(upstream.messages_requests), upstream.refusals) == (4, [])


def test_a_chat_goes_on(page: Page, chat: Relay, upstream: FakeUpstream, heard: Overhearing) -> None:
    begun = page.chat()
    begun.ask("Who is it?")
    assert begun.ask("Are you sure?")["content"] == "It is Tom."
    chat.wait_until(lambda: begun.follow_ups() == ["Why?", "How?"], 30)
    turns = [("user", ["Who is it?"]), ("assistant", ["It is Tom."]), ("user", ["Are you sure?"])]
    assert [conversation(body) for body in _asked(upstream)] == [turns[:1], turns]
    assert {request.status for request in heard.heard} == {200}


def test_open_webuis_own_tools_are_called(page: Page, chat: Relay, upstream: FakeUpstream, heard: Overhearing) -> None:
    called = False

    def answer(body: dict[str, Any]) -> Reply:
        nonlocal called
        if called or _is_task(body):
            return _answer(body)
        called = True
        return Message(blocks=(ToolUse("toolu_1", "get_current_timestamp", {}),))

    upstream.default = answer
    begun = page.chat()
    begun.ask("What time is it?")
    chat.wait_until(lambda: begun.follow_ups() == ["Why?", "How?"], 30)
    assert "It is Tom." in begun.answer()["content"]
    _, after = _asked(upstream)
    (result,) = after["messages"][-1]["content"]
    assert (result["type"], result["tool_use_id"]) == ("tool_result", "toolu_1")
    assert "current_timestamp" in json.dumps(result["content"])
    assert {request.status for request in heard.heard} == {200}


def test_what_the_upstream_refuses_is_shown(page: Page, chat: Relay, upstream: FakeUpstream) -> None:
    upstream.default = prompt_too_long()
    begun = page.chat()
    shown = begun.ask("Who is it?")
    assert shown["error"]["content"] == "Prompt is too long"
    chat.settle()
