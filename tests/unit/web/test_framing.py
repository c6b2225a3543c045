"""Requests end where they say: whatever is sent, in whatever pieces, as a second and stricter reader sees it."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_relay.errors import RelayError
from claude_relay.web.framing import Boundary, Event, Head, RequestReader
from tests.framing import BODIES, HOST, OFFERS, Request, as_h11_reads, connections, message


def events(data: bytes, *cuts: int) -> list[Event]:
    reader = RequestReader()
    ends = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [event for start, end in itertools.pairwise(ends) for event in reader.feed(data[start:end])]


def requests(found: list[Event]) -> tuple[list[Request], RelayError | None]:
    """Return the whole requests, and why there are no more."""
    whole: list[Request] = []
    head, body = None, b""
    for event in found:
        match event:
            case Head():
                assert head is None
                head, body = event, b""
            case bytearray():
                assert head is not None
                body += event
            case Boundary():
                assert head is not None
                whole.append((head.method, head.path, body))
                head = None
            case RelayError():
                assert event is found[-1]
                return whole, event
    return whole, None


def read(data: bytes, *cuts: int) -> tuple[list[Request], RelayError | None]:
    return requests(events(data, *cuts))


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
def test_a_request_that_offers_another_protocol_is_the_request_that_it_is(
    offer: bytes, body: tuple[bytes, bytes, bytes], step: int
) -> None:
    framing, sent, meant = body
    first = message(target=b"/first?x=1", headers=offer + framing, body=sent)
    data = first + message(b"GET", b"/second")

    found = events(data, *range(0, len(data), step))

    follows = [] if b"close" in offer else [("GET", b"/second", b"")]
    assert requests(found) == ([("POST", b"/first", meant), *follows], None)
    head = found[0]
    assert isinstance(head, Head)
    assert head.query == b"x=1"
    assert head.keeps_alive is (b"close" not in offer)
    assert "upgrade" not in {name.decode() for name, _ in head.headers}


def test_many_offers_in_one_piece_are_many_requests() -> None:
    data = message(headers=OFFERS["h2c"] + b"content-length: 2\r\n", body=b"hi") * 500

    assert read(data) == ([("POST", b"/", b"hi")] * 500, None)


@pytest.mark.parametrize(
    "asked",
    [
        message(b"GET", headers=b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: x\r\n"),
        message(b"CONNECT", b"example.org:443"),
    ],
    ids=["websocket", "tunnel"],
)
def test_what_cannot_be_served_without_another_protocol_is_refused_and_nothing_follows(asked: bytes) -> None:
    for cut in (1, 20, len(asked)):
        whole, error = read(asked + message(b"GET"), cut)

        assert whole == []
        assert error is not None
        assert error.status == 426


REFUSED = {
    "two lengths": message(headers=b"content-length: 5\r\ncontent-length: 5\r\n", body=b"hello"),
    "a list of lengths": message(headers=b"content-length: 5, 5\r\n", body=b"hello"),
    "a signed length": message(headers=b"content-length: +5\r\n", body=b"hello"),
    "a huge length": message(headers=b"content-length: 99999999999999999999\r\n"),
    "no length": message(headers=b"content-length: \r\n"),
    "a length and pieces": message(headers=b"content-length: 5\r\ntransfer-encoding: chunked\r\n", body=b"0\r\n\r\n"),
    "pieces and a length": message(headers=b"transfer-encoding: chunked\r\ncontent-length: 5\r\n", body=b"0\r\n\r\n"),
    "another coding": message(headers=b"transfer-encoding: gzip\r\n"),
    "a coding more": message(headers=b"transfer-encoding: gzip, chunked\r\n", body=b"0\r\n\r\n"),
    "chunked twice": message(
        headers=b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", body=b"0\r\n\r\n"
    ),
    "chunked and the same": message(headers=b"transfer-encoding: chunked, identity\r\n", body=b"0\r\n\r\n"),
    "a vertical tab": message(headers=b"transfer-encoding: \x0bchunked\r\n", body=b"0\r\n\r\n"),
    "pieces in HTTP/1.0": b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": message(headers=b"content-length : 5\r\n", body=b"hello"),
    "a folded header": message(headers=b"x: a\r\n b\r\n"),
    "a folded length": message(headers=b"content-length:\r\n 5\r\n", body=b"hello"),
    "a header without a colon": message(headers=b"content-length\r\n"),
    "a control character": message(headers=b"x: a\x01b\r\n"),
    "a bare CR in a header": message(headers=b"x: a\rcontent-length: 5\r\n"),
    "a bare LF": b"GET / HTTP/1.1\nhost: localhost\n\n",
    "a bare LF after a header": message(headers=b"x: y\n"),
    "two hosts": message(headers=HOST),
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "another host in the target": message(target=b"http://example.org/"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
    "no version": b"GET /\r\n\r\n",
    "a letter in a target": message(target="/é".encode()),
    "a size that is none": message(headers=b"transfer-encoding: chunked\r\n", body=b"x\r\n"),
    "a size with a sign": message(headers=b"transfer-encoding: chunked\r\n", body=b"+5\r\nhello\r\n0\r\n\r\n"),
    "a size in C": message(headers=b"transfer-encoding: chunked\r\n", body=b"0x5\r\nhello\r\n0\r\n\r\n"),
    "a size and a space": message(headers=b"transfer-encoding: chunked\r\n", body=b"5 \r\nhello\r\n0\r\n\r\n"),
    "a size and a bare LF": message(headers=b"transfer-encoding: chunked\r\n", body=b"5\nhello\r\n0\r\n\r\n"),
    "a huge size": message(headers=b"transfer-encoding: chunked\r\n", body=b"f" * 17 + b"\r\n"),
    "a piece that is too long": message(headers=b"transfer-encoding: chunked\r\n", body=b"4\r\nhello\r\n0\r\n\r\n"),
    "an end that is none": message(headers=b"transfer-encoding: chunked\r\n", body=b"5\r\nhelloXX0\r\n\r\n"),
    "an extension with a bare LF": message(headers=b"transfer-encoding: chunked\r\n", body=b"5;x\nhello\r\n0\r\n\r\n"),
    "a head that is too long": message(headers=b"x: y\r\n" * 12_000),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_what_two_readers_could_take_for_different_things_is_refused_and_nothing_follows(data: bytes) -> None:
    for cuts in ((), range(min(len(data), 300))):
        whole, error = read(data + message(b"GET", b"/second"), *cuts)

        assert whole == []
        assert error is not None
        assert error.status == 400


def test_nothing_is_read_after_the_last_request() -> None:
    for last in (message(headers=b"connection: close\r\n"), b"POST / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"):
        assert read(last + message(b"GET", b"/second") + b"no HTTP at all") == ([("POST", b"/", b"")], None)


def test_what_comes_after_a_body_in_pieces_is_no_header_of_the_request() -> None:
    found = events(
        message(headers=b"transfer-encoding: chunked\r\n", body=b"0\r\nauthorization: Bearer x\r\n\r\n")
        + message(b"GET", b"/second")
    )

    heads = [event for event in found if isinstance(event, Head)]
    assert [dict(head.headers).keys() for head in heads] == [{b"host", b"transfer-encoding"}, {b"host"}]


def test_a_target_may_be_a_url_of_the_same_host() -> None:
    assert read(message(b"GET", b"http://LOCALHOST/a?b=c")) == ([("GET", b"/a", b"")], None)
    assert read(message(b"GET", b"/a#b")) == ([("GET", b"/a", b"")], None)


# --- beside another reader -------------------------------------------------------------------------------------------


@settings(max_examples=2000, deadline=None)
@pytest.mark.slow
@given(connections(), st.lists(st.integers(0, 400), max_size=5))
def test_no_request_is_seen_that_a_second_reader_does_not_see(data: bytes, cuts: list[int]) -> None:
    whole, error = read(data, *cuts)
    seen, _ = as_h11_reads(data)

    assert whole == seen[: len(whole)]
    # what is not refused is all that there is
    assert error is not None or len(whole) == len(seen)


@settings(max_examples=700, deadline=None)
@pytest.mark.slow
@given(connections(), st.lists(st.integers(0, 400), max_size=8))
def test_pieces_make_no_difference(data: bytes, cuts: list[int]) -> None:
    (whole, error), (other, other_error) = read(data), read(data, *cuts)

    assert whole == other
    assert (error is None) == (other_error is None)
