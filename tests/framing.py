"""What clients may send on a connection, well formed and not, and how another reader than the relay's takes it."""

import h11
from hypothesis import strategies as st

Request = tuple[str, bytes, bytes]
"""A method, a path and a body."""

LONGEST_HEAD = 64 * 1024
HOST = b"host: localhost\r\n"


def message(method: bytes = b"POST", target: bytes = b"/", headers: bytes = b"", body: bytes = b"") -> bytes:
    return b"%b %b HTTP/1.1\r\n%b%b\r\n%b" % (method, target, HOST, headers, body)


OFFERS = {
    "h2c": b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
    "another": b"upgrade: TLS/1.0\r\nconnection: upgrade\r\n",
    "two": b"upgrade: h2c\r\nupgrade: IRC/6.9\r\nconnection: upgrade\r\n",
    "with a close": b"upgrade: h2c\r\nconnection: close, upgrade\r\n",
}

BODIES = {
    "none": (b"", b"", b""),
    "of a length": (b"content-length: 5\r\n", b"hello", b"hello"),
    "in pieces": (b"transfer-encoding: chunked\r\n", b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", b"hello"),
    "like a request": (
        b"content-length: 43\r\n",
        message(target=b"/inner").ljust(43),
        message(target=b"/inner").ljust(43),
    ),
}


def as_h11_reads(data: bytes) -> tuple[list[Request], bool]:
    """Return the whole requests, and whether something was wrong after them. Empty lines before one are nothing."""
    whole: list[Request] = []
    while data := data.lstrip(b"\r\n"):
        connection = h11.Connection(h11.SERVER, LONGEST_HEAD)
        connection.receive_data(data)
        head, body = None, b""
        try:
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                match event:
                    case h11.Request():
                        head = event
                    case h11.Data():
                        body += bytes(event.data)
                    case _:
                        return whole, False
        except h11.RemoteProtocolError:
            return whole, True
        assert head is not None
        whole.append((head.method.decode(), bytes(head.target).partition(b"?")[0].partition(b"#")[0], body))
        if head.http_version < b"1.1" or any(item == (b"connection", b"close") for item in head.headers):
            return whole, False
        data = connection.trailing_data[0]
    return whole, False


LINES = st.sampled_from(
    [
        b"content-length: 5\r\n",
        b"content-length: 0\r\n",
        b"Content-Length: 05\r\n",
        b"content-length: 5, 5\r\n",
        b"content-length: 1_0\r\n",
        b"transfer-encoding: chunked\r\n",
        b"Transfer-Encoding: Chunked\r\n",
        b"transfer-encoding: chunked \r\n",
        b"transfer-encoding: xchunked\r\n",
        b"transfer-encoding: identity\r\n",
        b"transfer-encoding : chunked\r\n",
        b"transfer_encoding: chunked\r\n",
        b"connection: close\r\n",
        b"connection: keep-alive\r\n",
        b"connection: upgrade\r\n",
        b"upgrade: h2c\r\n",
        b"expect: 100-continue\r\n",
        b"x: y\n",
        b"x: y\r",
        b" folded\r\n",
        b"x:\r\n",
        HOST,
    ]
)
PIECES = st.sampled_from(
    [
        b"hello",
        b"5\r\nhello\r\n",
        b"5;ext=1\r\nhello\r\n",
        b'5;ext="a\\"b"\r\nhello\r\n',
        b"05\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"5\nhello\n",
        b"A\r\nhellohello\r\n",
        b"0\r\n\r\n",
        b"00\r\n\r\n",
        b"0\r\nx: y\r\n\r\n",
        b"0\n\n",
        b"\r\n",
        b"GET /inner HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ]
)
METHODS = (b"POST", b"GET", b"HEAD")


@st.composite
def connections(draw: st.DrawFn, methods: tuple[bytes, ...] = METHODS) -> bytes:
    """Requests, most of them well formed in most of their parts."""
    parts: list[bytes] = []
    ends = [b"HTTP/1.1\r\n"] * 4 + [b"HTTP/1.0\r\n", b"HTTP/1.1\n"]
    starts = st.sampled_from(
        [b"%b /%b " % (method, path) + end for method in methods for path in (b"", b"a") for end in ends]
    )
    for _ in range(draw(st.integers(1, 3))):
        parts += [draw(starts), HOST, *draw(st.lists(LINES, max_size=3)), b"\r\n", *draw(st.lists(PIECES, max_size=3))]
    data = b"".join(parts)
    if draw(st.booleans()):
        place = draw(st.integers(0, len(data)))
        data = data[:place] + draw(st.binary(max_size=2)) + data[place + draw(st.integers(0, 2)) :]
    return data
