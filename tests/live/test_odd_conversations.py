"""What clients and models really say: ids of other providers, halves of characters, arguments that are no object, any
message as the last one, instructions in between, names, pictures with a wrong label.
"""

import base64
import json
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.live.bodies import conversation, system_text
from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import FakeUpstream, Message, Text, ToolUse, text

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SMILE = "\N{GRINNING FACE}"
UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def _called(call_id: str, arguments: str = "{}") -> dict[str, Any]:
    call = {"id": call_id, "type": "function", "function": {"name": "f", "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _result(call_id: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def _user(content: str) -> dict[str, Any]:
    return {"role": "user", "content": content}


def _blocks(upstream: FakeUpstream, kind: str) -> list[dict[str, Any]]:
    body = upstream.messages_requests[-1].body
    assert body is not None
    contents = [message["content"] for message in body["messages"] if isinstance(message["content"], list)]
    return [block for content in contents for block in content if block["type"] == kind]


@pytest.mark.parametrize("ids", [("call_0", "call_0"), ("functions.f:0", "call_1|fc_2"), ("", "\N{SNOWMAN}")])
def test_calls_may_have_any_id_and_each_has_its_own_result(
    each: Relay, upstream: FakeUpstream, ids: tuple[str, str]
) -> None:
    first, second = ids
    messages = [
        *(_user("1"), _called(first), _result(first, "one")),
        *(_called(second), _result(second, "two"), {"role": "assistant", "content": "so"}, _user("2")),
    ]

    response = each.post(messages=messages, model="sonnet", tools=[TOOL])

    assert response.status_code == 200
    calls, results = _blocks(upstream, "tool_use"), _blocks(upstream, "tool_result")
    assert [call["id"] for call in calls] == [result["tool_use_id"] for result in results]
    assert len({call["id"] for call in calls}) == 2
    assert all(re.fullmatch("[a-zA-Z0-9_-]+", call["id"]) for call in calls)
    assert [result["content"][0]["text"] for result in results] == ["one", "two"]
    assert len(upstream.messages_requests) == 1


@pytest.mark.parametrize("arguments", ['{"city": "Par', "null", "[]", "plain words", '{"a": "\\ud83d"}'])
def test_past_arguments_may_be_anything(each: Relay, upstream: FakeUpstream, arguments: str) -> None:
    messages = [_user("1"), _called("toolu_1", arguments), _result("toolu_1", "invalid arguments"), _user("2")]

    response = each.post(messages=messages, model="sonnet", tools=[TOOL])

    assert response.status_code == 200
    assert [call["input"] for call in _blocks(upstream, "tool_use")] == [{"input": arguments}]


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (("a \ud83d", "\ude00 b"), f"a {SMILE} b"),
        (("a \ud83d", " b"), f"a {UNKNOWN} b"),
        (("a \ude00 b \ud83d",), f"a {UNKNOWN} b {UNKNOWN}"),
    ],
)
def test_a_character_may_be_cut_and_nothing_hangs(
    either: Relay, upstream: FakeUpstream, pieces: tuple[str, ...], shown: str
) -> None:
    upstream.replies(text(chunks=pieces), text(chunks=pieces))

    told = either.chat("?").json()["choices"][0]["message"]["content"]
    stream = either.openai.chat.completions.create(
        model="sonnet", messages=[{"role": "user", "content": "?"}], stream=True
    )

    assert told == shown
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == shown


def test_half_a_character_in_arguments_is_told_as_its_escape_and_goes_up_again(
    either: Relay, upstream: FakeUpstream
) -> None:
    written = '{"a":"x\ud83d"}'
    upstream.replies(Message(blocks=(Text("Look."), ToolUse("toolu_1", "f", {}, chunks=(written,), written=written))))

    message = either.chat("?", tools=[TOOL]).json()["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["arguments"] == '{"a":"x\\ud83d"}'
    either.settle()

    messages = [_user("?"), message, _result("toolu_1", "done")]
    assert either.post(messages=messages, model="sonnet", tools=[TOOL]).status_code == 200


def test_what_the_upstream_holds_of_a_conversation_is_in_order(each: Relay, upstream: FakeUpstream) -> None:
    messages = [
        _user("1"),
        _called("x"),
        _result("x", "one"),
        _user("2"),
        _called("x"),
        _result("x", "two"),
        _user("3"),
    ]

    each.post(messages=messages, model="sonnet", tools=[TOOL])

    body = upstream.messages_requests[-1].body
    assert body is not None
    assert [role for role, _ in conversation(body)] == ["user", "assistant", "user", "assistant", "user"]
    assert json.dumps(body).count("tool_use_id") == 2


# --- the last message ------------------------------------------------------------------------------------------------

GO_ON = "Continue exactly where your last message ended; do not repeat any of it."


def _said(content: str) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def _system(content: str, role: str = "system") -> dict[str, Any]:
    return {"role": role, "content": content}


def _told(text: str) -> str:
    return f"<system>\n{text}\n</system>"


def _asked(relay: Relay, upstream: FakeUpstream, messages: list[dict[str, Any]], **fields: Any) -> Any:
    """Return what one upstream request held of a conversation that got an answer."""
    response = relay.post(messages=messages, **fields)
    assert response.status_code == 200, response.text
    assert response.json()["choices"][0]["message"]["content"] == "Hello from fake upstream."
    assert "x-claude-relay-ignored" not in response.headers
    (request,) = upstream.messages_requests
    assert request.body is not None
    return conversation(request.body)


@pytest.mark.parametrize(
    ("last", "shown"),
    [
        (_system("Be brief."), _told("Be brief.")),
        (_system("Be brief.", "developer"), _told("Be brief.")),
        (_system("@/etc/hostname"), _told("@/etc/hostname")),
        (_user(""), "."),
        (_user(" \n"), "."),
        ({"role": "user", "content": [{"type": "text", "text": ""}]}, "."),
        ({"role": "user", "content": None}, "."),
    ],
)
def test_the_last_message_may_be_an_instruction_or_an_empty_one(
    each: Relay, upstream: FakeUpstream, last: dict[str, Any], shown: str
) -> None:
    messages = [_user("1"), _said("one"), last]

    assert _asked(each, upstream, messages) == [("user", ["1"]), ("assistant", ["one"]), ("user", [shown])]


@pytest.mark.parametrize("messages", [[_user("")], [_said("")], [_user(""), _said(" ")], [_system(""), _user("")]])
def test_nobody_has_to_say_anything(each: Relay, upstream: FakeUpstream, messages: list[dict[str, Any]]) -> None:
    assert _asked(each, upstream, messages) == [("user", ["."])]


@pytest.mark.parametrize("said", ["One, two,", "```python\nfor number in", "It is done.\n"])
def test_the_last_message_may_be_the_assistants(each: Relay, upstream: FakeUpstream, said: str) -> None:
    found = _asked(each, upstream, [_user("Count."), _said(said)])

    assert found == [("user", ["Count."]), ("assistant", [said]), ("user", [GO_ON])]


def test_a_greeting_may_be_the_only_message(each: Relay, upstream: FakeUpstream) -> None:
    found = _asked(each, upstream, [_system("You are Ada."), _said("Welcome!")])

    assert found == [("user", ["."]), ("assistant", ["Welcome!"]), ("user", [GO_ON])]


def test_a_conversation_goes_on_after_an_answer_that_was_continued(each: Relay, upstream: FakeUpstream) -> None:
    messages = [_user("Count."), _said("One,")]
    more = each.post(messages=messages).json()["choices"][0]["message"]["content"]
    each.settle()
    upstream.clear()

    found = _asked(each, upstream, [_user("Count."), _said(f"One,{more}"), _user("And?")])

    assert found == [("user", ["Count."]), ("assistant", [f"One,{more}"]), ("user", ["And?"])]


# --- instructions in between, and who speaks --------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["system", "developer"])
def test_an_instruction_in_between_stays_where_it_is(each: Relay, upstream: FakeUpstream, role: str) -> None:
    messages = [_system("First."), _user("1"), _said("one"), _system("Then.", role), _user("2")]

    found = _asked(each, upstream, messages)

    assert found == [("user", ["1"]), ("assistant", ["one"]), ("user", [_told("Then."), "2"])]
    body = upstream.messages_requests[0].body
    assert body is not None
    assert "First." in system_text(body)
    assert "Then." not in system_text(body)


def test_an_instruction_may_stand_beside_a_result(each: Relay, upstream: FakeUpstream) -> None:
    for result in ([_system("Hm."), _result("a", "5")], [_result("a", "5"), _system("Hm.")]):
        upstream.clear()
        found = _asked(each, upstream, [_user("1"), _called("a"), *result], tools=[TOOL])

        assert found[2] == ("user", ["tool_result", _told("Hm.")])
        each.settle()


@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_an_instruction_that_comes_later_leaves_the_conversation_alive(
    home: Path, upstream: FakeUpstream, claude_path: str, personality: str
) -> None:
    environ = clean_environment(home, upstream)
    with relay(home, environ, claude_path=claude_path, personality=personality, warm=0) as running:
        messages = [_system("First."), _user("1")]
        for turn in (2, 3, 4):
            answer = running.post(messages=messages).json()["choices"][0]["message"]
            messages += [answer, _system(f"Now {turn}."), _user(str(turn))]
        running.post(messages=messages)
        counts = running.processes()

    assert (counts["started"], counts["reused"]) == (1, 3)
    body = upstream.messages_requests[-1].body
    assert body is not None
    assert conversation(body)[2:7:2] == [("user", [_told(f"Now {turn}."), str(turn)]) for turn in (2, 3, 4)]


def test_several_users_are_told_apart(each: Relay, upstream: FakeUpstream) -> None:
    messages = [
        {**_user("Tea?"), "name": "Ada"},
        {**_user("Coffee!"), "name": "Bob"},
        {**_said("Both."), "name": "Host"},
        {**_user("Thanks."), "name": "Ada"},
    ]

    found = _asked(each, upstream, messages)

    assert found == [("user", ["Ada: Tea?", "Bob: Coffee!"]), ("assistant", ["Both."]), ("user", ["Ada: Thanks."])]


@pytest.mark.parametrize("names", [("Ada", "Ada"), ("Ada", None), (None, None)])
def test_where_one_user_speaks_nothing_is_added(
    each: Relay, upstream: FakeUpstream, names: tuple[str | None, str | None]
) -> None:
    first, second = names
    messages = [{**_user("1"), "name": first}, {**_said("one"), "name": "Host"}, {**_user("2"), "name": second}]

    assert _asked(each, upstream, messages) == [("user", ["1"]), ("assistant", ["one"]), ("user", ["2"])]


# --- pictures ---------------------------------------------------------------------------------------------------------


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(width: int, height: int, more: int = 0) -> bytes:
    """Return a grey picture, and after it so many bytes that are no part of it."""
    pixels = zlib.compress((b"\0" + b"\x80" * width) * height)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (_chunk(b"IHDR", head), _chunk(b"IDAT", pixels), _chunk(b"noIs", bytes(more)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def _picture(data: bytes, label: str) -> list[dict[str, Any]]:
    url = f"data:{label};base64,{base64.b64encode(data).decode()}"
    return [{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": {"url": url}}]


def _shown(where: str, data: bytes, label: str) -> list[dict[str, Any]]:
    """Return a conversation with a picture of the user's or of a tool's."""
    picture = _picture(data, label)
    if where == "user":
        return [{"role": "user", "content": picture}]
    return [_user("1"), _called("a"), {"role": "tool", "tool_call_id": "a", "content": picture}]


BY_WHOM = pytest.mark.parametrize("where", ["user", "tool"])


@BY_WHOM
@pytest.mark.parametrize(
    ("data", "label", "kind"),
    [
        (_png(9, 9), "image/jpg", "image/png"),
        (_png(9, 9), "application/octet-stream", "image/png"),
        (_png(9, 9), "", "image/png"),
        (GIF, "image/png", "image/gif"),
        (GIF, "image/svg+xml", "image/gif"),
    ],
)
def test_the_label_of_a_picture_is_what_its_bytes_are(
    each: Relay, upstream: FakeUpstream, where: str, data: bytes, label: str, kind: str
) -> None:
    assert each.post(messages=_shown(where, data, label), tools=[TOOL]).status_code == 200

    blocks = [inner for outer in _all_blocks(upstream) for inner in (outer, *_inner(outer))]
    (source,) = (block["source"] for block in blocks if block["type"] == "image")
    assert source == {"type": "base64", "media_type": kind, "data": base64.b64encode(data).decode()}
    assert upstream.refusals == []


@BY_WHOM
@pytest.mark.parametrize(
    ("data", "label", "words"),
    [
        (b"no picture", "image/png", "GIF, JPEG, PNG or WebP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", "image/svg+xml"),
        (b"BM" + bytes(60), "image/bmp", "GIF, JPEG, PNG or WebP"),
        (_png(9, 9)[:12], "image/png", "broken"),
        (b"\xff\xd8\xff", "image/jpeg", "broken"),
    ],
)
def test_a_broken_picture_is_refused_by_its_path(
    each: Relay, upstream: FakeUpstream, where: str, data: bytes, label: str, words: str
) -> None:
    messages = _shown(where, data, label)

    response = each.post(messages=messages, tools=[TOOL])

    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, f"messages[{len(messages) - 1}].content[1].image_url.url")
    assert words in error["message"]
    assert upstream.messages_requests == []


LARGE = pytest.mark.parametrize("data", [_png(8_001, 2), _png(2, 8_001), _png(9, 9, 4_000_000)])


@LARGE
def test_a_picture_of_a_tool_that_is_too_large_is_refused_by_its_path(
    each: Relay, upstream: FakeUpstream, data: bytes
) -> None:
    response = each.post(messages=_shown("tool", data, "image/png"), tools=[TOOL])

    assert (response.status_code, response.json()["error"]["param"]) == (400, "messages[2].content[1].image_url.url")
    assert "does not scale" in response.json()["error"]["message"]
    assert upstream.messages_requests == []


@LARGE
@pytest.mark.parametrize("after", [[], [_said("Grey."), _user("Sure?")], [_said("Gr")]])
def test_a_large_picture_of_the_user_is_made_smaller_by_claude_code(
    either: Relay, upstream: FakeUpstream, data: bytes, after: list[dict[str, Any]]
) -> None:
    messages = [*_shown("user", data, "image/png"), *after]

    assert either.post(messages=messages).status_code == 200

    (source,) = (block["source"] for block in _all_blocks(upstream) if block["type"] == "image")
    assert len(source["data"]) < 100_000
    assert upstream.refusals == []


def _all_blocks(upstream: FakeUpstream) -> list[dict[str, Any]]:
    (request,) = upstream.messages_requests
    assert request.body is not None
    contents = [message["content"] for message in request.body["messages"] if isinstance(message["content"], list)]
    blocks: list[dict[str, Any]] = [block for content in contents for block in content]
    return blocks


def _inner(block: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = block["content"] if block["type"] == "tool_result" else []
    return found
