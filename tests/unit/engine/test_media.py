"""Images and files are checked, and what is wrong with one is told."""

import base64
import re

import pytest

from claude_relay.engine import media
from claude_relay.engine.media import MediaError, document, image
from claude_relay.engine.vocabulary import Base64, Document, Image, Link, Text

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
PDF = base64.b64encode(b"%PDF-1.7 \xff").decode()
WORDS = base64.b64encode("äöü 漢字".encode()).decode()
BINARY = base64.b64encode(b"PK\x03\x04\xff\xfe").decode()


# --- images ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/gif", "image/webp"])
def test_an_image_in_a_data_url_keeps_its_type_and_data(media_type: str) -> None:
    assert image(f"data:{media_type};base64,{PNG}") == Image(Base64(media_type, PNG))


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(f"data:image/PNG;base64,{PNG}", id="upper-case type"),
        pytest.param(f"data:image/png;charset=utf-8;base64,{PNG}", id="charset"),
        pytest.param(f"data:image/png;name=a.png;x=y;base64,{PNG}", id="several parameters"),
        pytest.param(f"data:image/png;base64,{PNG[:4]}\r\n {PNG[4:]}\n", id="white space in the data"),
        pytest.param("data:image/png,%89PNG%0D%0A%1A%0A", id="url-encoded"),
        pytest.param(
            f"DATA:image/png;base64,{PNG}",
            id="upper-case scheme",
        ),
        pytest.param(
            f"data:image/png;BASE64,{PNG}",
            id="upper-case base64",
        ),
        pytest.param(
            f"data:image/png;base64,{PNG}".replace("=", "%3D"),
            id="url-encoded base64",
        ),
    ],
)
def test_a_data_url_is_read_however_it_is_written(url: str) -> None:
    assert image(url) == Image(Base64("image/png", PNG))


@pytest.mark.parametrize("url", ["https://a.example/b.png?x=1", "http://a.example"])
def test_an_image_on_the_web_is_left_to_the_upstream(url: str) -> None:
    assert image(url) == Image(Link(url))


def test_the_scheme_of_a_link_may_be_upper_case() -> None:
    assert image("HTTPS://a.example") == Image(Link("HTTPS://a.example"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("data:image/bmp;base64,aGk=", "image/bmp", id="a type that the upstream does not take"),
        pytest.param("data:image/svg+xml,<svg/>", "image/svg+xml", id="a drawing"),
        pytest.param("data:application/pdf;base64,aGk=", "application/pdf", id="no image"),
        pytest.param("data:;base64,aGk=", "not given", id="no type"),
        pytest.param("data:image/png;base64,a", "base64", id="broken base64"),
        pytest.param("data:image/png;base64,a$b=", "base64", id="not base64"),
        pytest.param("data:image/png;base64,é", "base64", id="not even ASCII"),
        pytest.param("data:image/png;base64,", "empty", id="empty"),
        pytest.param("data:image/png;base64, \n", "empty", id="white space"),
        pytest.param("data:image/png,", "empty", id="empty and not base64"),
        pytest.param("data:image/png;base64", "data URL", id="no comma"),
        pytest.param("", "http", id="no URL"),
        pytest.param("file:///etc/passwd", "http", id="a file of the relay's machine"),
        pytest.param("ftp://a.example/b.png", "http", id="another scheme"),
        pytest.param(PNG, "data URL", id="bare base64"),
    ],
)
def test_an_image_that_cannot_be_used_is_refused(url: str, words: str) -> None:
    with pytest.raises(MediaError, match=re.escape(words)):
        image(url)


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_pdf_is_a_document_with_its_name() -> None:
    url = f"data:application/pdf;base64,{PDF}"

    assert document(url, "a.pdf") == Document(Base64("application/pdf", PDF), "a.pdf")
    assert document(url) == Document(Base64("application/pdf", PDF), None)


@pytest.mark.parametrize(
    "media_type", ["text/plain", "text/markdown", "application/json", "", "text/csv;charset=utf-8"]
)
def test_a_text_file_is_its_text_with_its_name(media_type: str) -> None:
    url = f"data:{media_type};base64,{WORDS}"

    assert document(url, "notes.md") == Document(Text("äöü 漢字"), "notes.md")


def test_a_text_file_may_be_url_encoded() -> None:
    assert document("data:text/plain,hello%20world%21") == Document(Text("hello world!"))


def test_a_file_on_the_web_is_left_to_the_upstream() -> None:
    link = "https://a.example/b.pdf"

    assert document(link, "b.pdf") == Document(Link(link), "b.pdf")


def test_a_binary_file_is_refused_even_if_its_bytes_happen_to_be_utf8() -> None:
    data = base64.b64encode(b"\x00asm\x01\x00\x00\x00").decode()

    with pytest.raises(MediaError):
        document(f"data:application/wasm;base64,{data}")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"data:application/zip;base64,{BINARY}", "application/zip"),
        (f"data:image/png;base64,{PNG}", "image/png"),
        (f"data:;base64,{BINARY}", "PDF or a text file"),
        ("data:application/pdf;base64,$", "base64"),
        ("data:application/pdf;base64,", "empty"),
        ("", "data URL"),
        (PDF, "data URL"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(url: str, words: str) -> None:
    with pytest.raises(MediaError, match=re.escape(words)):
        document(url)


@pytest.mark.parametrize("portion", [4, 8, 12])
@pytest.mark.parametrize("written", [WORDS, WORDS.replace("=", "%3D"), WORDS.replace("W", "%57"), f" {WORDS}\n"])
def test_data_is_the_same_wherever_its_portions_end(
    written: str, portion: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "_PORTION", portion)

    assert document(f"data:text/plain;base64,{written}") == Document(Text("äöü 漢字"))
