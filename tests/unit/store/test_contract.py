"""What every store does, in memory, in SQLite and in Valkey."""

import asyncio
import time
from collections import Counter

import pytest
from msgspec.structs import replace

from claude_relay.store.protocol import BEFORE_FIRST, MOST_RECENT, Claim, Event, Item, Key, Page, Store
from tests.unit.store.records import HOUR, events, items, key, record

pytestmark = pytest.mark.anyio

# what two clients may send as ids, and what separates parts of names elsewhere
ODD = ("a:b", "{x}", "%7B", "it's", "Grüße 🎈", "line\nbreak", "", "ann:response:a", "nul\0x", "\0")


def names(page: Page | None) -> list[str]:
    assert page is not None
    return [item.id for item in page.items]


async def numbers(store: Store, where: Key, after: int = BEFORE_FIRST) -> list[int]:
    return [event.sequence_number async for batch in store.follow(where, after) for event in batch]


async def claim(store: Store, name: str, digest: bytes, response_id: str, lasts: float = HOUR) -> Claim:
    until = time.time() + lasts
    return await store.claim("ann", name, digest=digest, response_id=response_id, expires_at=until)


async def test_what_was_created_is_found_as_it_was(store: Store) -> None:
    kept = record(previous="resp_0", lease=30.5)

    assert await store.create(kept, items("msg_1"), items("msg_2"))

    assert await store.get(kept.key) == kept


async def test_a_key_that_is_taken_changes_nothing(store: Store) -> None:
    kept = record()
    await store.create(kept, items("msg_1"))

    assert not await store.create(replace(record(), body=b"{}"), items("msg_2"))

    assert await store.get(kept.key) == kept
    assert await store.history(kept.key, 0) == tuple(items("msg_1"))


async def test_the_records_created_last_are_listed_newest_first(store: Store) -> None:
    kept = [record(name, previous="resp_0") for name in ("a", "b", "c", "d")]
    for one in kept:
        await store.create(one, items("msg_1"))
    await store.create(record("other", owner="bob"))
    await store.create(record("conv", kind="conversation"))
    await store.create(record("short", lasts=0.05))
    await store.delete(kept[3].key)
    await asyncio.sleep(0.1)

    assert await store.recent("ann", "response", 2) == (kept[2], kept[1])
    assert await store.recent("ann", "response", 10**6) == (kept[2], kept[1], kept[0])
    assert await store.recent("nobody", "response", 10) == ()


async def test_no_more_records_are_listed_than_the_most(store: Store) -> None:
    for number in range(MOST_RECENT + 5):
        await store.create(record(f"resp_{number}"))

    found = await store.recent("ann", "response", 2 * MOST_RECENT)

    assert [one.key.id for one in found] == [f"resp_{number}" for number in range(MOST_RECENT + 4, 4, -1)]


async def test_of_many_that_create_the_same_one_does(store: Store) -> None:
    assert Counter(await asyncio.gather(*(store.create(record()) for _ in range(20)))) == {True: 1, False: 19}


async def test_bytes_are_kept_as_they_are(store: Store) -> None:
    body = bytes(range(256)) * 5000
    kept = replace(record(lease=9), body=body)

    await store.create(kept, [Item("msg_1", body)])
    await store.append(kept.key, [Event(0, body)])

    assert await store.get(kept.key) == kept
    assert await store.items("ann", ["msg_1"]) == {"msg_1": Item("msg_1", body)}
    await store.complete(kept.key, body, log_until=time.time() + HOUR)
    assert [batch async for batch in store.follow(kept.key)] == [(Event(0, body),)]


@pytest.mark.parametrize("odd", ODD)
async def test_any_text_is_an_id_an_owner_and_a_kind(store: Store, odd: str) -> None:
    kept = record(odd, owner=odd, kind=odd, lease=9)
    await store.create(kept, items(odd), items("msg_1"))
    await store.create(record("next", owner=odd, kind=odd, previous=odd), items("msg_2"))
    await store.append(kept.key, events([0]))
    await store.complete(kept.key, b"{}", log_until=time.time() + HOUR)

    assert await numbers(store, kept.key) == [0]
    assert await store.history(key("next", odd, odd), 0) == tuple(items(odd, "msg_1", "msg_2"))
    assert list(await store.items(odd, [odd])) == [odd]
    assert names(await store.page(kept.key, limit=1)) == [odd]
    assert (await store.claim(odd, odd, digest=b"", response_id=odd, expires_at=time.time() + 9)).response_id == odd
    assert await store.count(odd, 1, time.time() + 9) == 1
    assert await store.admit(odd, 1, most=1, seconds=9) == 0
    assert await store.remove_item(kept.key, odd)
    assert await store.delete(kept.key)


@pytest.mark.parametrize("foreign", [key(owner="bob"), key(kind="conversation"), key("resp_2"), key(owner="")])
async def test_another_owner_or_kind_finds_nothing_and_changes_nothing(store: Store, foreign: Key) -> None:
    kept = record(lease=9)
    await store.create(kept, items("msg_1"))
    await store.append(kept.key, events([0]))

    assert await store.get(foreign) is None
    assert not await store.complete(foreign, b"{}", log_until=0)
    assert not await store.update(foreign, body=b"{}", inputs=items("msg_2"), expires_at=time.time() + HOUR)
    assert not await store.delete(foreign)
    assert await store.renew(foreign, time.time() + HOUR) == "lost"
    assert not await store.request_cancel(foreign)
    assert await store.history(foreign, time.time() + HOUR) is None
    assert await store.page(foreign, limit=9) is None
    assert not await store.remove_item(foreign, "msg_1")
    assert not await store.append(foreign, events([1]))
    assert await numbers(store, foreign) == []
    assert await store.items("bob", ["msg_1"]) == {}
    assert await store.get(kept.key) == kept
    assert await store.renew(kept.key, time.time() + 9) == "held"
    assert await store.history(kept.key, 0) == tuple(items("msg_1"))


@pytest.mark.slow
async def test_what_has_expired_is_not_found_and_its_key_is_free(store: Store) -> None:
    old = record(lasts=0.1, lease=9)
    await store.create(old, items("msg_1"))
    await store.append(old.key, events([0]))
    await asyncio.sleep(0.15)

    assert await store.get(old.key) is None
    assert await store.items("ann", ["msg_1"]) == {}
    assert await store.page(old.key, limit=9) is None
    assert await store.history(old.key, time.time() + HOUR) is None
    assert not await store.delete(old.key)
    assert await store.create(record(lease=0), items("msg_2"))
    assert await store.history(old.key, 0) == tuple(items("msg_2"))
    assert await numbers(store, old.key) == []


async def test_a_completed_record_is_whole(store: Store) -> None:
    await store.create(record(lease=9), items("msg_1"))

    assert await store.complete(key(), b'{"done":true}', items("msg_2", "msg_3"), log_until=0)

    found = await store.get(key())
    assert found is not None
    assert (found.body, found.lease_until) == (b'{"done":true}', None)
    assert await store.history(key(), 0) == tuple(items("msg_1", "msg_2", "msg_3"))
    assert list(await store.items("ann", ["msg_3", "msg_2"])) in (["msg_2", "msg_3"], ["msg_3", "msg_2"])


async def test_only_the_first_completion_has_an_effect(store: Store) -> None:
    await store.create(record(lease=9))

    bodies = [f"{number}".encode() for number in range(10)]
    done = await asyncio.gather(*(store.complete(key(), body, items(body.decode()), log_until=0) for body in bodies))

    assert sum(done) == 1
    found = await store.get(key())
    assert found is not None
    assert found.body == bodies[done.index(True)]
    assert await store.history(key(), 0) == tuple(items(found.body.decode()))


async def test_a_record_that_was_complete_from_the_start_is_not_completed(store: Store) -> None:
    await store.create(record())

    assert not await store.complete(key(), b"{}", log_until=0)


async def test_history_is_that_of_all_records_before_oldest_first(store: Store) -> None:
    await store.create(record("a"), items("a1", "a2"), items("a3"))
    await store.create(record("b", previous="a"), items("b2", "b1"), items("b3"))
    await store.create(record("c", previous="b"), items("c1"))
    await store.create(record("x", previous="b"), items("x1"))

    assert await store.history(key("c"), 0) == tuple(items("a1", "a2", "a3", "b2", "b1", "b3", "c1"))
    assert await store.history(key("a"), 0) == tuple(items("a1", "a2", "a3"))


async def test_history_of_which_a_part_is_gone_is_none(store: Store) -> None:
    await store.create(record("a"), items("a1"))
    await store.create(record("b", previous="a"), items("b1"))
    await store.create(record("c", previous="b"), items("c1"))
    await store.delete(key("a"))

    assert await store.history(key("c"), time.time() + 2 * HOUR) is None


@pytest.mark.slow
async def test_history_keeps_all_its_records_longer_and_never_shorter(store: Store) -> None:
    await store.create(record("a", lasts=1.0), items("a1"))
    await store.create(record("b", previous="a"), items("b1"))
    before = await store.get(key("b"))
    assert before is not None

    await store.history(key("b"), until := time.time() + 60.5)
    await asyncio.sleep(1.1)

    assert await store.history(key("b"), 0) == tuple(items("a1", "b1"))
    assert list(await store.items("ann", ["a1"])) == ["a1"]
    assert await store.get(key("b")) == before
    kept = await store.get(key("a"))
    assert kept is not None
    assert kept.expires_at == until


async def test_items_are_found_by_id_in_the_newest_record_that_has_them(store: Store) -> None:
    await store.create(record("a"), items("msg_1", "msg_2", text="old"))
    await store.create(record("b"), items("msg_1", text="new"))

    found = await store.items("ann", ["msg_1", "msg_2", "msg_3"])
    assert found == {"msg_1": items("msg_1", text="new")[0], "msg_2": items("msg_2", text="old")[0]}

    await store.delete(key("b"))

    assert await store.items("ann", ["msg_1"]) == {"msg_1": items("msg_1", text="old")[0]}
    assert await store.items("ann", []) == {}


@pytest.mark.parametrize("descending", [False, True])
async def test_pages_are_all_inputs_in_order(store: Store, descending: bool) -> None:
    inputs = [f"msg_{number}" for number in range(7)]
    await store.create(record(), items(*inputs[:5]), items("out_1", "out_2"))
    await store.update(key(), body=None, inputs=items(*inputs[5:]), expires_at=0)

    seen: list[list[str]] = []
    after = None
    while True:
        page = await store.page(key(), after=after, limit=3, descending=descending)
        assert page is not None
        seen.append([item.id for item in page.items])
        if not page.has_more:
            break
        after = page.items[-1].id

    assert [len(part) for part in seen] == [3, 3, 1]
    assert [name for part in seen for name in part] == (inputs[::-1] if descending else inputs)
    assert page.items[0].body == items(seen[-1][0])[0].body


async def test_a_page_that_ends_with_the_last_item_has_no_more(store: Store) -> None:
    await store.create(record(), items("msg_1", "msg_2"), items("out_1"))

    assert await store.page(key(), limit=2) == Page(tuple(items("msg_1", "msg_2")), has_more=False)
    assert await store.page(key(), after="msg_2", limit=2) == Page((), has_more=False)
    assert await store.page(key(), after="msg_1", limit=2, descending=True) == Page((), has_more=False)


async def test_no_page_goes_on_behind_what_is_no_input(store: Store) -> None:
    await store.create(record(), items("msg_1"), items("out_1"))

    assert await store.page(key(), after="msg_2", limit=2) is None
    assert await store.page(key(), after="out_1", limit=2, descending=True) is None


async def test_a_record_without_items_has_an_empty_page(store: Store) -> None:
    await store.create(record())

    assert await store.page(key(), limit=2, descending=True) == Page((), has_more=False)
    assert await store.history(key(), 0) == ()


async def test_an_update_replaces_the_body_and_appends(store: Store) -> None:
    kept = record()
    await store.create(kept, items("msg_1"))

    assert await store.update(key(), body=b"{}", inputs=items("msg_2"), expires_at=0)
    assert await store.get(key()) == replace(kept, body=b"{}")
    assert await store.update(key(), body=None, inputs=items("msg_3"), expires_at=kept.expires_at + 1.5)
    assert await store.get(key()) == replace(kept, body=b"{}", expires_at=kept.expires_at + 1.5)
    assert await store.history(key(), 0) == tuple(items("msg_1", "msg_2", "msg_3"))


async def test_an_item_whose_id_is_there_is_replaced_in_its_place(store: Store) -> None:
    await store.create(record(lease=9), items("msg_1", "msg_2", "msg_1"))
    await store.update(key(), body=None, inputs=items("msg_1", "msg_3", text="new"), expires_at=0)
    await store.complete(key(), b"{}", items("msg_2", "msg_4", text="out"), log_until=0)

    assert await store.history(key(), 0) == (
        *items("msg_1", text="new"),
        *items("msg_2", text="out"),
        *items("msg_3", text="new"),
        *items("msg_4", text="out"),
    )


async def test_many_that_append_lose_nothing(store: Store) -> None:
    await store.create(record())

    await asyncio.gather(
        *(store.update(key(), body=None, inputs=items(f"{n}a", f"{n}b"), expires_at=0) for n in range(20))
    )

    page = await store.page(key(), limit=100)
    found = names(page)
    assert sorted(found) == sorted(f"{n}{part}" for n in range(20) for part in "ab")
    assert all(found[at][:-1] == found[at + 1][:-1] for at in range(0, 40, 2))


async def test_an_item_is_removed_once(store: Store) -> None:
    await store.create(record(), items("msg_1", "msg_2", "msg_3"), items("out_1"))

    assert await store.remove_item(key(), "msg_2")
    assert not await store.remove_item(key(), "msg_2")
    assert await store.remove_item(key(), "out_1")

    assert await store.items("ann", ["msg_2", "out_1"]) == {}
    assert await store.history(key(), 0) == tuple(items("msg_1", "msg_3"))


async def test_one_item_of_a_record_is_that_of_no_other(store: Store) -> None:
    await store.create(record("resp_1"), items("msg_1", text="one"), items("msg_2"))
    await store.create(record("resp_2"), items("msg_1", text="two"))

    assert [await store.item(key("resp_1"), "msg_1")] == items("msg_1", text="one")
    assert [await store.item(key("resp_1"), "msg_2")] == items("msg_2")
    assert await store.item(key("resp_2"), "msg_2") is None
    assert await store.item(key("resp_3"), "msg_1") is None


async def test_what_a_record_has_is_copied_behind_what_another_one_has(store: Store) -> None:
    conversation = record("conv_1", kind="conversation")
    await store.create(conversation, items("msg_1"))
    await store.create(record(lease=9), items("msg_2"))

    assert await store.complete(key(), b"{}", items("msg_3"), log_until=0, copied_to=conversation.key)
    assert await store.create(record("resp_2"), items("msg_4"), items("msg_5"), copied_to=conversation.key)

    assert names(await store.page(conversation.key, limit=9)) == ["msg_1", "msg_2", "msg_3", "msg_4", "msg_5"]
    assert names(await store.page(key(), limit=9)) == ["msg_2"]


async def test_a_copy_keeps_the_record_that_gets_it_as_long(store: Store) -> None:
    conversation, response = record("conv_1", kind="conversation", lasts=HOUR), record(lasts=2 * HOUR)
    await store.create(conversation)

    await store.create(response, items("msg_1"), copied_to=conversation.key)

    found = await store.get(conversation.key)
    assert found is not None
    assert found.expires_at == response.expires_at


async def test_what_is_copied_to_a_record_that_is_gone_makes_none(store: Store) -> None:
    gone = key("conv_1", kind="conversation")

    assert await store.create(record(), items("msg_1"), copied_to=gone)

    assert await store.get(gone) is None
    assert await store.page(gone, limit=9) is None
    assert list((await store.items("ann", ["msg_1"])).values()) == items("msg_1")


async def test_a_copy_outlives_its_original(store: Store) -> None:
    conversation = record("conv_1", kind="conversation")
    await store.create(conversation)
    await store.create(record(), items("msg_1"), copied_to=conversation.key)

    await store.delete(key())

    assert list((await store.items("ann", ["msg_1"])).values()) == items("msg_1")
    assert await store.history(conversation.key, 0) == tuple(items("msg_1"))


async def test_only_the_completion_that_has_an_effect_copies(store: Store) -> None:
    conversation = record("conv_1", kind="conversation")
    await store.create(conversation)
    await store.create(record(), items("msg_1"))

    assert not await store.complete(key(), b"{}", items("msg_2"), log_until=0, copied_to=conversation.key)
    assert not await store.create(record(), items("msg_3"), copied_to=conversation.key)

    assert names(await store.page(conversation.key, limit=9)) == []


async def test_what_is_deleted_is_gone_with_all_of_it(store: Store) -> None:
    await store.create(record(lease=9), items("msg_1"), items("msg_2"))
    await store.append(key(), events(range(3)))

    assert await store.delete(key())

    assert not await store.delete(key())
    assert await store.get(key()) is None
    assert await store.items("ann", ["msg_1", "msg_2"]) == {}
    assert await numbers(store, key()) == []
    assert await store.create(record(lease=9))
    assert await store.append(key(), events([0]))
    await store.complete(key(), b"{}", log_until=time.time() + HOUR)
    assert await numbers(store, key()) == [0]
    assert await store.history(key(), 0) == ()


async def test_a_worker_learns_that_it_is_to_cancel_and_that_its_record_is_lost(store: Store) -> None:
    await store.create(record(lease=9))

    assert await store.renew(key(), until := time.time() + 60.25) == "held"
    found = await store.get(key())
    assert found is not None
    assert found.lease_until == until
    assert await store.request_cancel(key())
    assert await store.renew(key(), until) == "cancelled"
    await store.complete(key(), b"{}", log_until=0)
    assert await store.renew(key(), until) == "lost"
    assert not await store.request_cancel(key())
    found = await store.get(key())
    assert found is not None
    assert found.lease_until is None


async def test_a_log_is_read_from_any_sequence_number(store: Store) -> None:
    await store.create(record(lease=9))
    await store.append(key(), events([0, 1, 2]))
    await store.append(key(), events([5, 6]))
    await store.complete(key(), b"{}", log_until=time.time() + HOUR)

    assert await numbers(store, key()) == [0, 1, 2, 5, 6]
    assert await numbers(store, key(), 1) == [2, 5, 6]
    assert await numbers(store, key(), 3) == [5, 6]
    assert await numbers(store, key(), 6) == []
    assert [batch async for batch in store.follow(key(), 5)] == [tuple(events([6]))]


async def test_a_log_is_read_as_far_as_it_is_written(store: Store) -> None:
    await store.create(record(lease=9))
    assert await store.events(key()) == ()
    await store.append(key(), events([0, 1, 4]))

    assert await store.events(key()) == tuple(events([0, 1, 4]))
    assert await store.events(key(), 1) == tuple(events([4]))
    assert await store.events(key("b")) == ()
    await store.complete(key(), b"{}", log_until=time.time() + HOUR)
    assert await store.events(key(), 0) == tuple(events([1, 4]))


async def test_events_that_are_there_already_are_passed_over(store: Store) -> None:
    await store.create(record(lease=9))
    await store.append(key(), events([0, 1]))

    assert await store.append(key(), [Event(1, b"another"), *events([2]), Event(2, b"another"), *events([3])])
    assert await store.append(key(), [])

    await store.complete(key(), b"{}", log_until=time.time() + HOUR)
    assert [event async for batch in store.follow(key()) for event in batch] == events(range(4))


async def test_nothing_is_appended_to_what_is_complete(store: Store) -> None:
    await store.create(record(lease=9))
    await store.complete(key(), b"{}", log_until=time.time() + HOUR)

    assert not await store.append(key(), events([0]))
    assert await numbers(store, key()) == []


async def test_a_long_log_is_read_whole(store: Store) -> None:
    await store.create(record(lease=9))
    await store.append(key(), events(range(1300)))
    await store.complete(key(), b"{}", log_until=time.time() + HOUR)

    assert await numbers(store, key()) == list(range(1300))


@pytest.mark.slow
async def test_who_follows_sees_events_as_they_come_and_the_end_at_once(store: Store) -> None:
    await store.create(record(lease=9))
    came: list[tuple[int, float]] = []

    async def follow(after: int) -> float:
        async for batch in store.follow(key(), after):
            came.extend((event.sequence_number, time.monotonic()) for event in batch)
        return time.monotonic()

    followers = [asyncio.create_task(follow(after)) for after in (BEFORE_FIRST, 1)]
    written: dict[int, float] = {}
    for number in range(4):
        await asyncio.sleep(0.15)
        written[number] = time.monotonic()
        await store.append(key(), events([number]))
    await asyncio.sleep(0.15)
    ended = time.monotonic()
    await store.complete(key(), b"{}", log_until=time.time() + HOUR)

    assert all(at - ended < 0.8 for at in await asyncio.gather(*followers))
    assert Counter(number for number, _ in came) == {0: 1, 1: 1, 2: 2, 3: 2}
    assert all(at - written[number] < 0.8 for number, at in came)


@pytest.mark.slow
async def test_who_follows_what_is_abandoned_gets_what_there_is(store: Store) -> None:
    await store.create(record(lease=0.3))
    await store.append(key(), events([0, 1]))

    async with asyncio.timeout(5):
        assert await numbers(store, key()) == [0, 1]

    found = await store.get(key())
    assert found is not None
    assert found.lease_until is not None
    assert found.lease_until < time.time()
    assert await store.complete(key(), b'{"status":"failed"}', log_until=time.time() + HOUR)


@pytest.mark.slow
async def test_who_follows_what_is_deleted_is_done(store: Store) -> None:
    await store.create(record(lease=60))
    following = asyncio.create_task(numbers(store, key()))
    await asyncio.sleep(0.2)

    await store.delete(key())

    assert await asyncio.wait_for(following, 5) == []


@pytest.mark.slow
async def test_who_stops_following_leaves_the_log_to_others(store: Store) -> None:
    await store.create(record(lease=60))
    following = asyncio.create_task(numbers(store, key()))
    await asyncio.sleep(0.2)
    following.cancel()
    await asyncio.wait([following])

    await store.append(key(), events([0]))
    await store.complete(key(), b"{}", log_until=time.time() + HOUR)

    assert await numbers(store, key()) == [0]


@pytest.mark.slow
async def test_a_log_may_end_before_its_record(store: Store) -> None:
    await store.create(record(lease=9), items("msg_1"))
    await store.append(key(), events([0]))
    await store.complete(key(), b"{}", log_until=time.time() + 0.1)
    await asyncio.sleep(0.15)

    assert await numbers(store, key()) == []
    await store.sweep()
    assert await numbers(store, key()) == []
    assert await store.history(key(), 0) == tuple(items("msg_1"))


async def test_a_claimed_key_is_joined_or_a_conflict(store: Store) -> None:
    assert await claim(store, "once", b"\x00\xff", "resp_1") == Claim("new", "resp_1")
    assert await claim(store, "once", b"\x00\xff", "resp_2") == Claim("joined", "resp_1")
    assert await claim(store, "once", b"\x00", "resp_3") == Claim("conflict", "resp_1")
    assert await claim(store, "twice", b"\x00", "resp_4") == Claim("new", "resp_4")
    until = time.time() + HOUR
    other = await store.claim("bob", "once", digest=b"\x00\xff", response_id="resp_5", expires_at=until)
    assert other == Claim("new", "resp_5")


async def test_of_many_that_claim_a_key_one_gets_it_and_all_learn_which(store: Store) -> None:
    claims = await asyncio.gather(*(claim(store, "once", b"same", f"resp_{number}") for number in range(20)))

    assert Counter(each.outcome for each in claims) == {"new": 1, "joined": 19}
    assert len({each.response_id for each in claims}) == 1


@pytest.mark.slow
async def test_a_key_is_free_when_it_expires_or_its_holder_releases_it(store: Store) -> None:
    await claim(store, "short", b"", "resp_1", lasts=0.1)
    await claim(store, "long", b"", "resp_1")
    await asyncio.sleep(0.15)

    assert (await claim(store, "short", b"other", "resp_2")).outcome == "new"
    await store.release("ann", "long", "resp_2")
    await store.release("bob", "long", "resp_1")
    assert (await claim(store, "long", b"", "resp_2")).outcome == "joined"
    await store.release("ann", "long", "resp_1")
    assert (await claim(store, "long", b"other", "resp_2")).outcome == "new"


@pytest.mark.slow
async def test_a_counter_counts_and_begins_anew(store: Store) -> None:
    until = time.time() + 1.0

    assert await store.count("usd", 0.25, until) == 0.25
    assert await store.count("usd", 1.5, until + HOUR) == 1.75
    assert await store.count("usd", -0.5, until) == 1.25
    assert await store.count("usd", 0, until) == 1.25
    assert await store.count("other", 1, until) == 1
    await asyncio.sleep(1.1)
    assert await store.count("usd", 1, time.time() + HOUR) == 1


async def test_many_that_count_lose_nothing(store: Store) -> None:
    totals = await asyncio.gather(*(store.count("runs", 1, time.time() + HOUR) for _ in range(50)))

    assert sorted(totals) == list(range(1, 51))


@pytest.mark.slow
async def test_no_more_is_admitted_than_fits_into_any_stretch_of_time(store: Store) -> None:
    async def admit(amount: int = 1, name: str = "ann") -> float:
        return await store.admit(name, amount, most=3, seconds=1.0)

    assert await admit(2) == 0
    await asyncio.sleep(0.5)
    assert 0.3 < await admit(2) <= 0.5
    assert await admit() == 0
    assert 0.3 < await admit() <= 0.5
    assert 0.8 < await admit(3) <= 1.0
    assert await admit(3, "bob") == 0
    assert 0 < await admit(4, "eve") <= 1.0
    await store.withdraw("bob", 2)
    await store.withdraw("eve", 1)
    assert await admit(2, "bob") == 0
    await asyncio.sleep(0.6)
    assert await admit(2) == 0
    assert await admit() > 0


async def test_many_that_ask_at_once_are_not_admitted_together(store: Store) -> None:
    waits = await asyncio.gather(*(store.admit("runs", 1, most=20, seconds=60.0) for _ in range(50)))

    assert waits.count(0.0) == 20


@pytest.mark.slow
async def test_a_sweep_leaves_what_has_not_expired(store: Store) -> None:
    await store.create(record("old", lasts=0.1), items("old_1"))
    await store.create(record("new", lease=9), items("new_1"))
    await store.append(key("new"), events([0]))
    await claim(store, "old", b"", "resp_1", lasts=0.1)
    await claim(store, "new", b"", "resp_1")
    await store.count("old", 1, time.time() + 0.1)
    await store.count("new", 1, time.time() + HOUR)
    await store.admit("old", 1, most=1, seconds=0.1)
    await store.admit("new", 1, most=1, seconds=HOUR)
    await asyncio.sleep(0.15)

    await store.sweep()

    assert await store.get(key("old")) is None
    assert await store.history(key("new"), 0) == tuple(items("new_1"))
    assert (await claim(store, "new", b"", "resp_2")).outcome == "joined"
    assert await store.count("new", 1, 0) == 2
    assert await store.admit("new", 1, most=1, seconds=HOUR) > 0
    await store.complete(key("new"), b"{}", log_until=time.time() + HOUR)
    assert await numbers(store, key("new")) == [0]
