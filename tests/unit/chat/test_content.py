"""Parts of messages become pieces, and what is wrong with one is told by its exact path."""

import base64
from typing import Any

import pytest

from claude_relay.chat.content import pieces, tool_call
from claude_relay.chat.conversation import turns
from claude_relay.chat.schemas import FunctionCall, ToolCall
from claude_relay.engine import vocabulary
from claude_relay.engine.vocabulary import Base64, Document, Image, Link, Piece, Text
from claude_relay.errors import InvalidRequestError
from tests.pictures import data_url, png
from tests.unit.chat.bodies import messages

PNG = base64.b64encode(png()).decode()
PDF = base64.b64encode(b"%PDF-1.7 \xff").decode()
WORDS = base64.b64encode("äöü 漢字".encode()).decode()
BINARY = base64.b64encode(b"PK\x03\x04\xff\xfe").decode()


def said(*parts: dict[str, Any] | str) -> tuple[Piece, ...]:
    """Return what a user's message of some parts says."""
    (turn,) = turns(messages({"role": "user", "content": list(map(_part, parts))}))
    return turn.content


def _part(part: dict[str, Any] | str) -> dict[str, Any]:
    return {"type": "text", "text": part} if isinstance(part, str) else part


def image(url: str, **fields: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **fields}}


def file(**fields: str) -> dict[str, Any]:
    return {"type": "file", "file": fields}


def refused(*parts: dict[str, Any] | str) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as raised:
        said(*parts)
    return raised.value


# --- texts -----------------------------------------------------------------------------------------------------------


def test_all_texts_count_in_order() -> None:
    assert said("a", "b", "c") == (Text("a"), Text("b"), Text("c"))


def test_a_text_is_kept_to_the_letter() -> None:
    assert said("  two\n\nparagraphs \t", "äöü 😀\x00") == (Text("  two\n\nparagraphs \t"), Text("äöü 😀\x00"))


@pytest.mark.parametrize("empty", ["", " ", "\n\t "])
def test_a_text_without_a_word_says_nothing_for_the_upstream_refuses_it(empty: str) -> None:
    assert said(empty, "a", empty) == (Text("a"),)
    assert pieces(empty, "here") == ()


def test_keys_stand_in_any_order_and_those_of_other_servers_are_passed_over() -> None:
    part = {"cache_control": {"type": "ephemeral"}, "text": "a", "type": "text"}

    assert said(part) == (Text("a"),)


# --- images ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [f"data:image/png;base64,{PNG}", "https://a.example/b"])
def test_an_image_may_be_a_plain_string(url: str) -> None:
    assert said({"type": "image_url", "image_url": url}) == said(image(url))


def test_images_and_texts_stay_in_order() -> None:
    picture = image("https://a.example")

    assert said("a", picture, "b", picture) == (
        Text("a"),
        Image(Link("https://a.example")),
        Text("b"),
        Image(Link("https://a.example")),
    )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("data:image/bmp;base64,aGk=", "image/bmp"),
        ("data:image/png;base64,a", "base64"),
        ("data:image/png;base64,", "empty"),
        ("file:///etc/passwd", "http"),
        (data_url(b"hello"), "GIF, JPEG, PNG or WebP"),
        (data_url(png()[:8]), "broken"),
    ],
)
def test_an_image_that_cannot_be_used_is_refused_by_its_path(url: str, words: str) -> None:
    error = refused("look", image(url))

    assert (error.status, error.param, error.code) == (400, "messages[0].content[1].image_url.url", "invalid_value")
    assert words in error.message
    assert f"'{error.param}'" in error.message


def test_an_image_that_is_a_plain_string_has_a_shorter_path() -> None:
    assert refused({"type": "image_url", "image_url": "nowhere"}).param == "messages[0].content[0].image_url"


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_is_a_document_with_its_name() -> None:
    url = f"data:application/pdf;base64,{PDF}"

    assert said(file(file_data=url, filename="a.pdf")) == (Document(Base64("application/pdf", PDF), "a.pdf"),)
    assert said(file(file_data="data:,hello")) == (Document(Text("hello")),)


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"file_id": "file-123"}, "file.file_id", "file_data"),
        ({"file_id": "file-123", "file_data": "data:,a"}, "file.file_id", "uploaded"),
        ({"filename": "a.txt"}, "file.file_data", "Missing"),
        ({"file_data": f"data:application/zip;base64,{BINARY}"}, "file.file_data", "application/zip"),
        ({"file_data": f"data:image/png;base64,{PNG}"}, "file.file_data", "image/png"),
        ({"file_data": f"data:;base64,{BINARY}"}, "file.file_data", "PDF or a text file"),
        ({"file_data": "data:application/pdf;base64,$"}, "file.file_data", "base64"),
        ({"file_data": "data:application/pdf;base64,"}, "file.file_data", "empty"),
        ({"file_data": ""}, "file.file_data", "data URL"),
        ({"file_data": PDF}, "file.file_data", "data URL"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_its_path(fields: dict[str, str], param: str, words: str) -> None:
    error = refused("read", "this", file(**fields))

    assert (error.status, error.param) == (400, f"messages[0].content[2].{param}")
    assert words in error.message


def test_sound_is_refused_by_its_path() -> None:
    error = refused("listen", {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}})

    assert (error.status, error.param) == (400, "messages[0].content[1].type")


def test_the_path_of_a_part_counts_messages_too() -> None:
    with pytest.raises(InvalidRequestError) as raised:
        turns(
            messages(
                {"role": "system", "content": "s"},
                {"role": "user", "content": "a"},
                {"role": "user", "content": [_part("b"), image("nowhere")]},
            )
        )

    assert raised.value.param == "messages[2].content[1].image_url.url"


# --- calls of tools --------------------------------------------------------------------------------------------------


def called(arguments: str) -> vocabulary.ToolCall:
    return tool_call(ToolCall("call_1", FunctionCall("f", arguments)), "messages[1].tool_calls[0]")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [("{}", {}), ("", {}), ('{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}), (' {"ä":"\\u00e4"} ', {"ä": "ä"})],
)
def test_arguments_of_a_call_are_read(arguments: str, expected: dict[str, Any]) -> None:
    assert called(arguments) == vocabulary.ToolCall("call_1", "f", expected)


DEEP = '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"


@pytest.mark.parametrize(
    "arguments",
    [
        "null",
        "[]",
        "5",
        '"{}"',
        "{",
        "{} {}",
        "{'a': 1}",
        " ",
        '{"a":"\\ud800"}',
        pytest.param(
            DEEP,
            id="deeply nested",
        ),
    ],
)
def test_arguments_that_are_no_json_object_are_kept_as_the_text_they_are(arguments: str) -> None:
    assert called(arguments).arguments == arguments
