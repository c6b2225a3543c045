"""The store in Valkey: its server, and what it leaves there."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from valkey.asyncio import Valkey

from claude_relay.errors import SettingsError, UnavailableError
from claude_relay.store.valkey import open_store
from tests.unit.store.records import HOUR, events, items, key, record

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Valkey]:
    async with Valkey.from_url(valkey_url) as opened:
        yield opened


async def test_replicas_share_it(valkey_url: str) -> None:
    async with open_store(valkey_url) as one, open_store(valkey_url.replace("valkey", "redis", 1)) as another:
        await one.create(record(lease=60))
        following = another.follow(key())
        first = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0.1)

        await one.append(key(), events([0]))

        assert await asyncio.wait_for(first, 1) == tuple(events([0]))


async def test_everything_in_it_expires(valkey_url: str, client: Valkey) -> None:
    async with open_store(valkey_url) as store:
        await store.create(record("a", lease=9), items("msg_1"))
        await store.append(key("a"), events([0]))
        await store.complete(key("a"), b"{}", items("msg_2"), log_until=time.time() + 60)
        await store.create(record("b", previous="a"))
        await store.update(key("b"), body=None, inputs=items("msg_3"), expires_at=0)
        await store.history(key("b"), time.time() + 2 * HOUR)
        await store.claim("ann", "once", digest=b"", response_id="a", expires_at=time.time() + HOUR)
        await store.count("runs", 1, time.time() + HOUR)

    left = {name: await client.pttl(name) / 1000 async for name in client.scan_iter()}

    assert len(left) == 13
    log = next(name for name in left if b":events:" in name)
    assert 0 < left.pop(log) <= 60
    assert all(HOUR - 10 < seconds <= 2 * HOUR for seconds in left.values())
    long = [name for name, seconds in left.items() if seconds > HOUR]
    assert len(long) == 9


async def test_what_is_deleted_leaves_nothing(valkey_url: str, client: Valkey) -> None:
    async with open_store(valkey_url) as store:
        await store.create(record(lease=9), items("msg_1"), items("msg_2"))
        await store.append(key(), events([0]))
        await store.delete(key())

    assert [name async for name in client.scan_iter()] == []


async def test_keys_of_an_owner_have_one_hash_tag(valkey_url: str, client: Valkey) -> None:
    async with open_store(valkey_url) as store:
        for owner in ("", "a}b{c"):
            await store.create(record(owner=owner, lease=9), items("msg_1"))
            await store.append(key(owner=owner), events([0]))

    names = [name.decode() async for name in client.scan_iter()]

    assert len(names) == 12
    assert {name[name.index("{") + 1 : name.index("}")] for name in names} == {"owner:", "owner:a%7Db%7Bc"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "redishost", "valkey://127.0.0.1:port"])
async def test_another_url_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(SettingsError, match="URL of the store"):
        async with open_store(url):
            pass


async def test_no_server_is_an_error_of_the_relay() -> None:
    with pytest.raises(UnavailableError, match="store cannot be used") as caught:
        async with open_store("valkey://127.0.0.1:1"):
            pass

    assert caught.value.code == "store_unavailable"
    assert not caught.value.message.endswith("..")


async def test_a_server_that_refuses_is_an_error_of_the_relay(valkey_url: str, client: Valkey) -> None:
    async with open_store(valkey_url) as store:
        await store.create(record(lease=60))
        for name in [name async for name in client.scan_iter()]:
            await client.set(name, "no hash")
        with pytest.raises(UnavailableError, match="WRONGTYPE"):
            await store.get(key())
        with pytest.raises(UnavailableError, match="WRONGTYPE"):
            await anext(store.follow(key()))


async def test_an_old_server_is_refused() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # an array of strings, each with its length before it
        while size := await reader.readline():
            for _ in range(2 * int(size[1:])):
                await reader.readline()
            writer.write(b"$21\r\nredis_version:6.2.14\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UnavailableError, match=r"version 6\.2\.14"):
            async with open_store(f"valkey://127.0.0.1:{port}?lib_name=&lib_version="):
                pass
