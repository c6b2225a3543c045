"""Messages become turns; what cannot is refused in Anthropic's words."""

from typing import Any

import pytest

from claude_relay.engine.turns import SILENCE
from claude_relay.engine.vocabulary import (
    Base64,
    Document,
    Image,
    Link,
    RedactedThinking,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from tests.pictures import png
from tests.unit.messages.bodies import HELLO, asked, pieces, refusal, turns

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
PDF = "JVBERi0="


def said(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def heard(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def call(call_id: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "f", "input": arguments}


def result(call_id: str, **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, **fields}


def test_texts_are_turns_and_several_messages_in_a_row_are_one() -> None:
    assert turns(HELLO, heard(text("you")), said(text("Hi.")), {"role": "user", "content": "Well?"}) == (
        Turn("user", (Text("Hello"), Text("you"))),
        Turn("assistant", (Text("Hi."),)),
        Turn("user", (Text("Well?"),)),
    )


@pytest.mark.parametrize(
    ("block", "piece"),
    [
        (text("words"), Text("words")),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": PNG}},
            Image(Base64("image/png", PNG)),
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
            Image(Link("https://a.example/b.png")),
        ),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
            Document(Base64("application/pdf", PDF)),
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}, "title": "b"},
            Document(Link("https://a.example/b.pdf"), "b"),
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "w"}, "title": "t"},
            Document(Text("w"), "t"),
        ),
        (
            {"type": "document", "source": {"type": "content", "content": [text("a"), text("b")]}},
            Document(Text("a\n\nb")),
        ),
        ({"type": "document", "source": {"type": "content", "content": "a"}}, Document(Text("a"))),
        (
            {"type": "search_result", "source": "https://a.example", "title": "T", "content": [text("a")]},
            Text("T (https://a.example):\na"),
        ),
    ],
)
@pytest.mark.parametrize("extra", [{}, {"cache_control": {"type": "ephemeral", "ttl": "1h"}}])
def test_each_kind_of_content_is_a_piece(block: dict[str, Any], piece: object, extra: dict[str, Any]) -> None:
    assert pieces({**block, **extra}) == (piece,)


def test_the_images_of_a_document_stand_beside_its_text() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}

    found = pieces({"type": "document", "source": {"type": "content", "content": [text("a"), image]}})

    assert [type(piece) for piece in found] == [Document, Image]


def test_a_round_of_tools_with_all_that_a_result_can_hold() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "w"}}
    reference = {"type": "tool_reference", "tool_name": "g"}

    *_, assistant, user = turns(
        HELLO,
        said(text("I look."), call("a", x=1), call("b")),
        heard(text("Here."), result("b"), result("a", content=[text("1"), image, document, reference], is_error=True)),
    )

    assert assistant.content == (Text("I look."), ToolCall("a", "f", {"x": 1}), ToolCall("b", "f", {}))
    here, second, first, file = user.content
    assert (here, second) == (Text("Here."), ToolResult("b", ()))
    assert isinstance(first, ToolResult)
    assert first.is_error
    assert [type(piece) for piece in first.content] == [Text, Image, Text]
    assert file == Document(Text("w"))


def test_results_may_come_in_several_messages_and_instructions_between() -> None:
    *_, user = turns(
        HELLO,
        said(call("a"), call("b")),
        heard(result("a", content="1")),
        {"role": "system", "content": "Be brief."},
        heard(result("b", content="2")),
    )

    assert user.content == (
        ToolResult("a", (Text("1"),)),
        Text("<system>\nBe brief.\n</system>"),
        ToolResult("b", (Text("2"),)),
    )


@pytest.mark.parametrize(
    "messages",
    [
        [HELLO, said(call("toolu_1")), HELLO],
        [HELLO, said(call("toolu_1"))],
        [HELLO, said(call("toolu_1")), HELLO, said(text("And?")), heard(result("toolu_1"))],
        [HELLO, said(call("toolu_1")), {"role": "system", "content": "Hush."}, said(text("And?"))],
    ],
)
def test_a_call_without_result_is_refused_in_anthropics_words(messages: list[dict[str, Any]]) -> None:
    error = refusal(messages=messages)

    assert error.status == 400
    assert "`tool_use` ids were found without `tool_result` blocks immediately after: toolu_1." in error.message


@pytest.mark.parametrize(
    "messages",
    [
        [heard(result("toolu_1"))],
        [HELLO, said(call("toolu_1")), heard(result("toolu_1")), heard(result("toolu_1"))],
    ],
)
def test_a_result_without_call_is_refused_in_anthropics_words(messages: list[dict[str, Any]]) -> None:
    error = refusal(messages=messages)

    assert (error.status, error.param) == (400, f"messages[{len(messages) - 1}].content[0].tool_use_id")
    assert "unexpected `tool_use_id` found in `tool_result` blocks: 'toolu_1'" in error.message


def test_thoughts_go_back_as_they_came_in_their_place() -> None:
    signed = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln+/=="}
    hidden = {"type": "redacted_thinking", "data": "ZGF0YQ=="}

    _, assistant, _ = turns(HELLO, said(signed, hidden, text("Yes.")), HELLO)

    assert assistant.content == (Thinking("Hm.", "c2ln+/=="), RedactedThinking("ZGF0YQ=="), Text("Yes."))


@pytest.mark.parametrize("signature", [{}, {"signature": ""}, {"signature": None}])
def test_a_thought_without_proof_is_left_out_since_the_upstream_refuses_it(signature: dict[str, Any]) -> None:
    question = asked(messages=[HELLO, said({"type": "thinking", "thinking": "Hm.", **signature}, text("Yes.")), HELLO])

    assert question.run.turns[1].content == (Text("Yes."),)
    assert question.ignored == ("messages.content.thinking",)


def test_the_system_prompt_is_a_text_or_blocks_and_what_stands_before_all_turns() -> None:
    system = [text("a"), {**text("b"), "cache_control": {"type": "ephemeral"}}]

    assert asked(system="a").run.system == "a"
    assert asked(system=system).run.system == "a\n\nb"
    assert asked(system=system, messages=[{"role": "system", "content": "c"}, HELLO]).run.system == "a\n\nb\n\nc"
    assert asked().run.system is None


def test_what_claude_code_tells_only_the_upstream_is_no_part_of_the_prompt() -> None:
    system = [text("x-anthropic-billing-header: cc_version=2.1.332.1c9;"), text("You help.")]

    question = asked(None, system=system)

    assert question.run.system == "You help."


def test_a_later_system_message_stands_in_its_place_and_says_what_holds_from_there_on() -> None:
    later = {"role": "system", "content": [text("Be brief.")], "output_config": {"effort": "max"}}

    run = asked(messages=[HELLO, later], output_config={"effort": "low"}).run

    assert run.turns == (Turn("user", (Text("Hello"), Text("<system>\nBe brief.\n</system>"))),)
    assert run.effort == "max"


def test_the_beginning_of_an_answer_stays_at_the_end() -> None:
    assert turns(HELLO, said(text("{")))[-1] == Turn("assistant", (Text("{"),))


@pytest.mark.parametrize("content", ["", " ", [], [text("")], None])
def test_a_user_who_says_nothing_is_silent(content: object) -> None:
    assert turns({"role": "user", "content": content}) == (SILENCE,)


@pytest.mark.parametrize(
    "kind",
    ["server_tool_use", "web_search_tool_result", "container_upload", "mcp_tool_use", "mcp_tool_result", "compaction"],
)
def test_content_of_other_kinds_is_passed_over_and_named(kind: str) -> None:
    question = asked(messages=[HELLO, said({"type": kind, "id": "x"}, text("Yes.")), HELLO])

    assert question.ignored == (f"messages.content.{kind}",)
    assert question.run.turns[1].content == (Text("Yes."),)


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({"type": "image", "source": {"type": "file", "file_id": "file_1"}}, ".source.file_id"),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "eHg="}}, ".source"),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png"}}, ".source.data"),
        ({"type": "image", "source": {"type": "url"}}, ".source.url"),
        ({"type": "image", "source": {"type": "ftp"}}, ".source.type"),
        ({"type": "document", "source": {"type": "file", "file_id": "file_1"}}, ".source.file_id"),
        ({"type": "document", "source": {"type": "base64", "media_type": "x/y", "data": "/w=="}}, ".source"),
        ({"type": "text"}, ".text"),
        ({"text": "a"}, ".type"),
        ({"type": 1}, ".type"),
        ({"type": "tool_use", "id": "a", "name": "f", "input": {}}, ".type"),
        ({"type": "thinking", "thinking": "", "signature": "x"}, ".type"),
    ],
)
def test_content_that_cannot_be_used_is_refused_with_its_place(block: dict[str, Any], param: str) -> None:
    error = refusal(messages=[heard(block)])

    assert (error.status, error.param) == (400, f"messages[0].content[0]{param}")
    assert f"messages[0].content[0]{param}" in error.message


def test_an_image_in_a_result_may_not_be_larger_than_the_upstream_takes() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": png(9_000, 1)}
    image = {"type": "image", "source": source}

    error = refusal(messages=[HELLO, said(call("a")), heard(result("a", content=[image]))])

    assert error.param == "messages[2].content[0].content[0].source"


@pytest.mark.parametrize(("messages", "param"), [([], "messages"), ([{"role": "tool"}], "messages[0].role")])
def test_messages_that_are_none_are_refused(messages: list[Any], param: str) -> None:
    assert refusal(messages=messages).param == param


def test_what_is_said_of_context_and_citations_is_named() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "w"}
    document = {"type": "document", "source": source, "context": "c", "citations": {"enabled": True}}

    assert asked(messages=[heard(document)]).ignored == (
        "messages.content.context",
        "messages.content.citations",
    )
