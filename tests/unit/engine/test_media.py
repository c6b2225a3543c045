"""Images and files are checked, and what is wrong with one is told."""

import base64
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest

from claude_relay.engine import media
from claude_relay.engine.media import MediaError, document, image, image_of_result
from claude_relay.engine.vocabulary import Base64, Document, Image, Link, Text
from tests.pictures import data_url, gif, jpeg, png, webp

PNG = base64.b64encode(png()).decode()
PDF = base64.b64encode(b"%PDF-1.7 \xff").decode()
WORDS = base64.b64encode("äöü 漢字".encode()).decode()
BINARY = base64.b64encode(b"PK\x03\x04\xff\xfe").decode()


# --- images ----------------------------------------------------------------------------------------------------------


READ = pytest.mark.parametrize("read", [image, image_of_result])


@READ
@pytest.mark.parametrize(
    ("data", "media_type"),
    [(png(), "image/png"), (jpeg(), "image/jpeg"), (gif(), "image/gif"), (webp(), "image/webp")],
)
@pytest.mark.parametrize(
    "label", ["image/png", "image/jpeg", "image/jpg", "application/octet-stream", "", "*/*", "text/plain;charset=utf-8"]
)
def test_the_type_of_an_image_is_what_its_bytes_are(
    read: Callable[[str], Image], data: bytes, media_type: str, label: str
) -> None:
    assert read(data_url(data, label)) == Image(Base64(media_type, base64.b64encode(data).decode()))


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(f"data:image/PNG;base64,{PNG}", id="upper-case type"),
        pytest.param(f"data:image/png;charset=utf-8;base64,{PNG}", id="charset"),
        pytest.param(f"data:image/png;name=a.png;x=y;base64,{PNG}", id="several parameters"),
        pytest.param(f"data:image/png;base64,{PNG[:4]}\r\n {PNG[4:]}\n", id="white space in the data"),
        pytest.param(f"data:image/png,{quote(png())}", id="url-encoded"),
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


@READ
@pytest.mark.parametrize("url", ["https://a.example/b.png?x=1", "http://a.example"])
def test_an_image_on_the_web_is_left_to_the_upstream(read: Callable[[str], Image], url: str) -> None:
    assert read(url) == Image(Link(url))


def test_the_scheme_of_a_link_may_be_upper_case() -> None:
    assert image("HTTPS://a.example") == Image(Link("HTTPS://a.example"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("data:image/bmp;base64,aGk=", "image/bmp", id="a type that the upstream does not take"),
        pytest.param("data:image/svg+xml,<svg/>", "image/svg+xml", id="a drawing"),
        pytest.param("data:application/pdf;base64,aGk=", "application/pdf", id="no image"),
        pytest.param("data:;base64,aGk=", "not given", id="no type"),
        pytest.param("data:image/png;base64,aGVsbG8h", "GIF, JPEG, PNG or WebP", id="other bytes than its type says"),
        pytest.param(data_url(png()[:8]), "broken", id="cut off"),
        pytest.param(data_url(png(0, 5)), "broken", id="no pixels"),
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
    for read in (image, image_of_result):
        with pytest.raises(MediaError, match=re.escape(words)):
            read(url)


LARGEST = 5 * 1024 * 1024 // 4 * 3


@pytest.mark.parametrize(
    "data", [png(8_000, 8_000), jpeg(8_000, 1), gif(1, 8_000), png().ljust(LARGEST, b"\0"), webp(b"VP8X", 8_000, 8_000)]
)
def test_an_image_of_a_tool_may_be_as_large_as_the_upstream_takes(data: bytes) -> None:
    assert image_of_result(data_url(data)) == image(data_url(data))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png(8_001, 5), "8001 x 5 pixels"),
        (jpeg(5, 8_001), "5 x 8001 pixels"),
        (webp(b"VP8X", 16_000, 9_000), "16000 x 9000 pixels"),
        (png().ljust(LARGEST + 1, b"\0"), "5,242,884 characters of base64"),
    ],
)
def test_a_larger_image_is_refused_where_a_tool_returned_it_and_left_to_claude_code_elsewhere(
    data: bytes, words: str
) -> None:
    with pytest.raises(MediaError, match=re.escape(words)):
        image_of_result(data_url(data))
    source = image(data_url(data)).source
    assert isinstance(source, Base64)
    assert source.data == base64.b64encode(data).decode()


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_pdf_is_a_document_with_its_name() -> None:
    url = f"data:application/pdf;base64,{PDF}"

    assert document(url, "a.pdf") == Document(Base64("application/pdf", PDF), "a.pdf")
    assert document(url) == Document(Base64("application/pdf", PDF), None)


@pytest.mark.parametrize("label", ["application/pdf", "application/octet-stream", "", "text/plain", "image/png"])
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\r\n"])
def test_a_pdf_is_one_by_its_bytes(label: str, before: bytes) -> None:
    data = before + b"%PDF-1.7 \xff"

    assert document(data_url(data, label)) == Document(Base64("application/pdf", base64.b64encode(data).decode()))


def test_a_pdf_that_begins_after_something_else_is_one_if_its_type_says_so() -> None:
    data = b"x" * 500 + b"%PDF-1.7"

    assert document(data_url(data, "application/pdf")).source == Base64(
        "application/pdf", base64.b64encode(data).decode()
    )
    assert document(data_url(data, "text/plain")).source == Text(data.decode())


def test_a_text_that_is_called_a_pdf_is_a_text() -> None:
    assert document(data_url(b"hello", "application/pdf")) == Document(Text("hello"))


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
