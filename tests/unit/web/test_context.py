"""A request has one context, wherever it is asked for."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from claude_relay import logs
from claude_relay.web.context import begin, context_of, has_begun


@pytest.fixture(autouse=True)
def outside_of_requests() -> Iterator[None]:
    """Leave the log outside of requests, as it was."""
    token = logs.request_id.set("-")
    yield
    logs.request_id.reset(token)


def scope(**headers: str) -> Any:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "headers": sent, "state": {}}


def test_a_request_begins_once() -> None:
    request = scope()
    assert not has_begun(request)

    first = begin(request)

    assert begin(request) is first
    assert context_of(request) is first
    assert has_begun(request)


def test_a_copy_of_a_scope_is_the_same_request() -> None:
    request = scope()
    copy: Any = {**request, "method": "GET"}

    context = begin(request)

    assert context_of(copy) is context


def test_what_is_known_of_one_request_is_not_known_of_another() -> None:
    first, second = begin(scope()), begin(scope())
    first.fields["model"] = "sonnet"

    assert second.fields == {}
    assert first.id != second.id


def test_time_is_counted_from_the_beginning() -> None:
    context = begin(scope())
    time.sleep(0.02)

    assert 20 <= context.elapsed_ms < 5000


@pytest.mark.anyio
async def test_log_records_know_the_id_of_their_own_request() -> None:
    async def serve(sent: str) -> str:
        begin(scope(x_request_id=sent))
        await asyncio.sleep(0)
        return logs.request_id.get()

    assert [*await asyncio.gather(serve("one"), serve("two"))] == ["one", "two"]
