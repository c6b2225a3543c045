"""Event streams: exact frames, errors inside, and an end that always cleans up."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from litestar import Litestar, get
from litestar.testing import create_test_client
from litestar.types import Message

from claude_relay.errors import RateLimitError
from claude_relay.web.errors import respond
from claude_relay.web.frames import DONE, frame
from claude_relay.web.live_responses import KEEP_ALIVE, LiveResponse

Frames = Callable[[], AsyncIterator[bytes]]


class Piece(msgspec.Struct):
    text: str


class Closing:
    """Counts how often it was closed."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self) -> None:
        await asyncio.sleep(0)  # a cancelled clean-up would end here
        self.times += 1


async def three() -> AsyncIterator[bytes]:
    for text in "abc":
        yield frame(Piece(text))
    yield DONE


async def nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def late() -> AsyncIterator[bytes]:
    yield frame(Piece("a"))
    raise RateLimitError("slow down", retry_after=1)


async def broken() -> AsyncIterator[bytes]:
    yield frame(Piece("a"))
    raise KeyError("secret")


async def failing_at_once() -> AsyncIterator[bytes]:
    raise RateLimitError("slow down")
    yield b""


def streaming(frames: Frames, closing: Closing, headers: dict[str, str] | None = None) -> Any:
    @get("/")
    async def handler() -> LiveResponse:
        return LiveResponse(frames(), closing, headers)

    return handler


def answer(frames: Frames, headers: dict[str, str] | None = None) -> tuple[Any, Closing]:
    """Return a whole response, and how its clean-up went."""
    closing = Closing()
    with create_test_client(
        [streaming(frames, closing, headers)], exception_handlers={Exception: respond}, logging_config=None
    ) as client:
        return client.get("/"), closing


@pytest.mark.parametrize("text", ["a", "two\nlines", "\r\n\r\ndata: x", "\v\f\x1c\x85\u2028\u2029", "äöü 😀", '"\\'])
def test_a_frame_is_one_line_of_json_and_a_blank_line(text: str) -> None:
    framed = frame(Piece(text))

    assert framed.startswith(b"data: ")
    assert framed.endswith(b"\n\n")
    assert framed.count(b"\n") == 2
    assert b"\r" not in framed
    # httpx and requests end lines where Python does
    assert len(framed.decode().splitlines()) == 2
    assert msgspec.json.decode(framed[6:-2], type=Piece) == Piece(text)


def test_frames_are_sent_as_they_are() -> None:
    response, _ = answer(three)

    assert response.content == (b'data: {"text":"a"}\n\ndata: {"text":"b"}\n\ndata: {"text":"c"}\n\ndata: [DONE]\n\n')


def test_proxies_are_told_to_let_events_pass_at_once() -> None:
    response, _ = answer(three, {"x-extra": "1"})

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-extra"] == "1"
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize("frames", [three, nothing, late, broken, failing_at_once])
def test_the_clean_up_is_awaited_once_however_the_stream_ends(frames: Frames) -> None:
    _, closing = answer(frames)

    assert closing.times == 1


def test_an_error_in_the_middle_is_told_in_one_last_frame() -> None:
    response, _ = answer(late)

    assert response.status_code == 200
    assert response.content == (
        b'data: {"text":"a"}\n\n'
        b'data: {"error":{"message":"slow down","type":"rate_limit_error",'
        b'"param":null,"code":"rate_limit_exceeded"}}\n\n'
    )


def test_an_unexpected_error_keeps_its_details_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    response, _ = answer(broken)

    assert b"internal_error" in response.content
    assert b"secret" not in response.content
    assert "secret" in caplog.text


# --- clients that leave ----------------------------------------------------------------------------------------------


class Client:
    """Speaks ASGI to an application, and may leave before the end.

    Attributes:
        body: What was received.
    """

    def __init__(self, stays: int) -> None:
        self._stays = stays
        self._asked = False
        self._gone = asyncio.Event()
        self.body: list[bytes] = []

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            self.body.append(message["body"])
        ended = message["type"] == "http.response.body" and not message.get("more_body")
        if ended or len(self.body) >= self._stays:
            self._gone.set()

    async def get(self, app: Litestar) -> None:
        scope: Any = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [], "state": {}}
        receive: Any = self.receive
        async with asyncio.timeout(5):
            await app(scope, receive, self.send)


@pytest.mark.anyio
async def test_a_client_that_leaves_in_the_middle_stops_the_frames_and_the_clean_up_is_not_cancelled() -> None:
    closing, stopped = Closing(), asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield frame(Piece("a"))
                await asyncio.sleep(0.001)
        finally:
            stopped.set()

    client = Client(stays=3)

    await client.get(Litestar([streaming(endless, closing)], openapi_config=None, logging_config=None))

    assert len(client.body) >= 3
    assert stopped.is_set()
    assert closing.times == 1


@pytest.mark.anyio
async def test_a_client_that_leaves_before_the_first_frame_is_cleaned_up_behind_too() -> None:
    closing = Closing()

    async def silent() -> AsyncIterator[bytes]:
        await asyncio.sleep(60)
        yield b""

    await Client(stays=0).get(Litestar([streaming(silent, closing)], openapi_config=None, logging_config=None))

    assert closing.times == 1


# --- signs of life ---------------------------------------------------------------------------------------------------

COMMENT = b": keep-alive\n\n"


def slow(*pauses: float) -> Frames:
    """Return frames with pauses before each."""

    async def frames() -> AsyncIterator[bytes]:
        for pause in pauses:
            await asyncio.sleep(pause)
            yield frame(Piece("a"))

    return frames


async def received(frames: Frames, keep_alive: float, closing: Closing | None = None) -> list[bytes]:
    """Return what a client that stays until the end is sent."""
    cleaned = closing or Closing()

    @get("/")
    async def handler() -> LiveResponse:
        return LiveResponse(frames(), cleaned, keep_alive=keep_alive)

    client = Client(stays=1000)
    await client.get(Litestar([handler], openapi_config=None, logging_config=None))
    return client.body


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_silent_stream_shows_life_by_a_comment_again_and_again() -> None:
    body = await received(slow(0.12, 0), 0.03)

    assert body.count(COMMENT) >= 2
    assert body[-2:] == [frame(Piece("a"))] * 2


@pytest.mark.slow
@pytest.mark.anyio
async def test_silence_between_events_is_bridged_too() -> None:
    body = await received(slow(0, 0.08, 0), 0.03)

    assert body[0] == frame(Piece("a"))
    assert COMMENT in body[1:-2]


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_stream_that_speaks_often_enough_has_no_comments() -> None:
    body = await received(slow(*[0.01] * 10), 2)

    assert body == [frame(Piece("a"))] * 10


@pytest.mark.slow
@pytest.mark.anyio
async def test_after_the_last_event_nothing_is_sent_however_long_the_clean_up_takes() -> None:
    class Slow(Closing):
        async def __call__(self) -> None:
            await asyncio.sleep(0.08)
            await super().__call__()

    body = await received(slow(0), 0.02, Slow())

    # a busy machine may be silent before the event, never after it
    assert body[-1] == frame(Piece("a"))


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_comment_never_comes_before_the_response_has_begun() -> None:
    closing = Closing()
    first: list[str] = []

    @get("/")
    async def handler() -> LiveResponse:
        await asyncio.sleep(0.05)
        return LiveResponse(slow(0.05)(), closing, keep_alive=0.01)

    class Watching(Client):
        async def send(self, message: Message) -> None:
            first.append(message["type"])
            await super().send(message)

    await Watching(stays=1000).get(Litestar([handler], openapi_config=None, logging_config=None))

    assert first[0] == "http.response.start"
    assert first.count("http.response.start") == 1


@pytest.mark.anyio
async def test_an_error_in_a_stream_that_was_silent_is_still_the_last_event() -> None:
    async def failing_late() -> AsyncIterator[bytes]:
        await asyncio.sleep(0.05)
        raise RateLimitError("slow down")
        yield b""

    body = await received(failing_late, 0.02)

    assert body[0] == COMMENT
    assert b"slow down" in body[-1]


@pytest.mark.anyio
async def test_a_client_that_leaves_a_silent_stream_is_sent_no_more_comments() -> None:
    closing = Closing()

    @get("/")
    async def handler() -> LiveResponse:
        return LiveResponse(slow(60)(), closing, keep_alive=0.01)

    client = Client(stays=2)
    await client.get(Litestar([handler], openapi_config=None, logging_config=None))
    sent = len(client.body)
    await asyncio.sleep(0.03)

    assert client.body[:2] == [COMMENT] * 2
    assert len(client.body) == sent
    assert closing.times == 1


def test_the_comment_is_not_one_that_clients_take_for_the_end() -> None:
    assert not COMMENT.startswith(b": ping")
    assert KEEP_ALIVE <= 15
