"""Work stops when the client who wanted it is gone."""

import asyncio
from typing import Any

import pytest
from litestar import Request

from claude_relay.errors import ClientDisconnectedError, RateLimitError
from claude_relay.web.disconnects import cancel_on_disconnect, middleware

pytestmark = pytest.mark.anyio


def request_from(receive: Any) -> Request[Any, Any, Any]:
    scope: Any = {"type": "http", "headers": []}
    return Request(scope, receive)


class Connection:
    """A client that says nothing more until it leaves."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.listening = 0
        self.request = request_from(self._receive)

    async def _receive(self) -> dict[str, Any]:
        self.listening += 1
        try:
            await self.left.wait()
        finally:
            self.listening -= 1
        return {"type": "http.disconnect"}


class Work:
    """Work that goes on until it is let go, and knows whether it was cancelled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.done = asyncio.Event()
        self.cancelled = False

    async def __call__(self) -> str:
        self.begun.set()
        try:
            await self.done.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)  # cleaning up takes a moment
            self.cancelled = True
            raise
        return "answer"


async def test_work_for_a_client_who_stays_is_returned_and_nobody_listens_any_longer() -> None:
    connection, work = Connection(), Work()
    work.done.set()

    assert await cancel_on_disconnect(connection.request, work) == "answer"

    assert connection.listening == 0


async def test_a_client_who_leaves_stops_the_work_and_its_clean_up_is_waited_for() -> None:
    connection, work = Connection(), Work()
    waiting = asyncio.create_task(cancel_on_disconnect(connection.request, work))
    await work.begun.wait()

    connection.left.set()

    with pytest.raises(ClientDisconnectedError):
        await waiting
    assert work.cancelled


async def test_a_client_who_was_gone_already_stops_the_work_too() -> None:
    connection, work = Connection(), Work()
    connection.left.set()

    with pytest.raises(ClientDisconnectedError):
        await cancel_on_disconnect(connection.request, work)


async def test_work_that_is_done_when_the_client_leaves_counts_as_done() -> None:
    connection = Connection()

    async def finish() -> str:
        connection.left.set()
        return "answer"

    assert await cancel_on_disconnect(connection.request, finish) == "answer"


async def test_work_that_fails_fails_for_the_client_who_waits() -> None:
    connection = Connection()

    async def fail() -> str:
        raise RateLimitError("slow down")

    with pytest.raises(RateLimitError):
        await cancel_on_disconnect(connection.request, fail)
    assert connection.listening == 0


async def test_other_messages_of_the_client_do_not_stop_the_work() -> None:
    messages = [{"type": "http.request", "body": b"", "more_body": False}] * 2
    heard = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not messages:
            heard.set()
            await asyncio.sleep(60)
        return messages.pop()

    async def work() -> str:
        await heard.wait()
        return "answer"

    assert await cancel_on_disconnect(request_from(receive), work) == "answer"


async def test_cancelling_the_one_who_waits_stops_work_and_listening() -> None:
    connection, work = Connection(), Work()
    waiting = asyncio.create_task(cancel_on_disconnect(connection.request, work))
    await work.begun.wait()

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.cancelled
    assert connection.listening == 0


# --- a request that is never whole -----------------------------------------------------------------------------------


def pieces(*messages: dict[str, Any]) -> Any:
    """Return what gives a server's messages one after the other."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    return receive


async def taken(*messages: dict[str, Any]) -> list[str]:
    """Return the kinds of messages that an application behind the middleware is given."""
    kinds: list[str] = []

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        kinds.extend([(await receive())["type"] for _ in messages])

    nobody_looks: Any = None
    await middleware(app)(nobody_looks, pieces(*messages), nobody_looks)
    return kinds


GONE = {"type": "http.disconnect"}
MORE = {"type": "http.request", "body": b"a", "more_body": True}
LAST = {"type": "http.request", "body": b"a", "more_body": False}


@pytest.mark.parametrize("messages", [[GONE], [MORE, GONE], [MORE, MORE, GONE]])
async def test_who_leaves_before_the_request_is_whole_has_left_and_nothing_is_wrong(messages: list[Any]) -> None:
    with pytest.raises(ClientDisconnectedError):
        await taken(*messages)


@pytest.mark.parametrize("messages", [[LAST, GONE], [MORE, LAST, GONE], [{"type": "http.request"}, GONE]])
async def test_who_leaves_later_is_seen_to_leave(messages: list[Any]) -> None:
    assert await taken(*messages) == [message["type"] for message in messages]
