"""Images tell their kind and size in their first bytes."""

import base64

import pytest

from claude_relay.engine.image_headers import Header, decoded, header
from tests.pictures import gif, jpeg, png, webp


def told(data: bytes) -> Header | None:
    return header(base64.b64encode(data).decode())


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (png(640, 480), "image/png"),
        (gif(640, 480), "image/gif"),
        (gif(640, 480).replace(b"89a", b"87a"), "image/gif"),
        (jpeg(640, 480), "image/jpeg"),
        (webp(b"VP8X", 640, 480), "image/webp"),
        (webp(b"VP8L", 640, 480), "image/webp"),
        (webp(b"VP8 ", 640, 480), "image/webp"),
    ],
)
def test_each_kind_tells_its_size(data: bytes, media_type: str) -> None:
    assert told(data) == told(data + bytes(1000)) == Header(media_type, 640, 480)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xe1\xff\xff" + bytes(0xFFFD), id="a long segment"),
        pytest.param((b"\xff\xe2\xff\xff" + bytes(0xFFFD)) * 40, id="a colour profile of megabytes"),
        pytest.param(b"\xff\xc4\0\x04ab\xff\xcc\0\x04ab", id="tables with markers like those of sizes"),
        pytest.param(b"\xff\xff\xff\xe0\0\x04ab", id="fill bytes"),
        pytest.param(b"\xff\x01\xff\xd0", id="markers without a segment"),
    ],
)
def test_the_size_of_a_jpeg_is_found_behind_other_segments(before: bytes) -> None:
    assert told(jpeg(640, 480, before)) == Header("image/jpeg", 640, 480)


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC2, 0xC3, 0xCF])
def test_each_way_to_code_a_jpeg_has_its_size_in_the_same_place(marker: int) -> None:
    assert told(jpeg(5, 6).replace(b"\xff\xc0", bytes((0xFF, marker)))) == Header("image/jpeg", 5, 6)


@pytest.mark.parametrize(
    ("whole", "media_type"),
    [(png(), "image/png"), (gif(), "image/gif"), (jpeg(), "image/jpeg"), (webp(), "image/webp")],
)
def test_an_image_that_is_cut_off_has_no_size(whole: bytes, media_type: str) -> None:
    assert told(whole[:12].ljust(12, b"\0")[: 8 if media_type != "image/webp" else 12]) == Header(media_type, 0, 0)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xd8" + b"\xff\xe0\0\x02" * 2_000 + jpeg()[2:], id="thousands of segments"),
        pytest.param(b"\xff\xd8\xff\xda\0\x04ab" + jpeg()[2:], id="pixels before the size"),
        pytest.param(b"\xff\xd8\xff\xe0\0\x04ab" + bytes(100), id="no marker"),
        pytest.param(b"\xff\xd8\xff\xe0\0\0" * 10, id="a segment that leads nowhere"),
    ],
)
def test_a_jpeg_without_a_size_where_it_should_be_has_none(data: bytes) -> None:
    assert told(data) == Header("image/jpeg", 0, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"BM" + bytes(60),
        b"RIFF\0\0\0\0WAVEfmt ",
        b"\0\0\0\x1cftypheic",
        b"%PDF-1.7",
    ],
)
def test_what_is_none_of_these_kinds_tells_nothing(data: bytes) -> None:
    assert told(data) is None


@pytest.mark.parametrize("size", [1, 2, 3, 4, 30, 31, 32])
def test_any_bytes_are_found_without_the_rest(size: int) -> None:
    whole = bytes(range(size))
    data = base64.b64encode(whole).decode()

    for start in range(size + 2):
        for length in range(size + 4):
            assert decoded(data, start, length) == whole[start : start + length]
