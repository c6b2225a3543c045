"""What callers may use: so many requests in a minute, so much money in a day."""

import pytest

from claude_relay.engine.limits.quotas import Quota, Quotas
from claude_relay.errors import QuotaError, RateLimitError, UnavailableError
from claude_relay.store.counters import MemoryCounters

pytestmark = pytest.mark.anyio

DAY = 86_400.0
MIDNIGHT = 20_000 * DAY
NOON = MIDNIGHT + DAY / 2


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def paced(clock: Clock, requests: int = 2) -> Quotas:
    return Quotas(Quota(requests_per_minute=requests), MemoryCounters(clock), clock)


def funded(clock: Clock, usd: float = 1.0) -> Quotas:
    return Quotas(Quota(usd_per_day=usd), MemoryCounters(clock), clock)


async def refusal(quotas: Quotas, caller: str = "ann") -> RateLimitError:
    with pytest.raises(RateLimitError) as raised:
        await quotas.charge_request(caller)
    return raised.value


async def broke(quotas: Quotas, caller: str = "ann") -> QuotaError:
    with pytest.raises(QuotaError) as raised:
        await quotas.charge_request(caller)
    return raised.value


async def test_without_limits_nothing_is_counted() -> None:
    counters = MemoryCounters()
    quotas = Quotas(Quota(), counters)

    for _ in range(1000):
        await quotas.charge_request("ann")
        quotas.charge_cost("ann", 1000.0)

    await quotas.refund("ann")
    assert len(counters) == 0


# --- requests in a minute --------------------------------------------------------------------------------------------


async def test_what_goes_beyond_a_minutes_requests_is_refused_until_the_oldest_is_a_minute_old(clock: Clock) -> None:
    quotas = paced(clock)
    await quotas.charge_request("ann")
    clock.now += 20
    await quotas.charge_request("ann")
    clock.now += 30

    error = await refusal(quotas)
    assert (error.status, error.code, error.retry_after) == (429, "rate_limit_exceeded", 10.0)
    assert error.should_retry is True
    assert "2 requests per minute" in error.message

    clock.now += 9.9
    await refusal(quotas)
    clock.now += 0.1
    await quotas.charge_request("ann")
    assert (await refusal(quotas)).retry_after == 20.0


async def test_what_was_refused_does_not_count(clock: Clock) -> None:
    quotas = paced(clock, 1)
    await quotas.charge_request("ann")
    for _ in range(59):
        clock.now += 1
        await refusal(quotas)

    clock.now += 1

    await quotas.charge_request("ann")


async def test_what_no_minute_has_room_for_is_not_asked_again(clock: Clock) -> None:
    with pytest.raises(RateLimitError) as raised:
        await paced(clock, 2).charge_request("ann", 3)

    assert raised.value.should_retry is False


async def test_each_caller_has_its_own_minute(clock: Clock) -> None:
    quotas = paced(clock, 1)
    await quotas.charge_request("ann")

    await quotas.charge_request("bob")

    await refusal(quotas, "ann")
    await refusal(quotas, "bob")


async def test_callers_who_do_not_come_again_are_forgotten(clock: Clock) -> None:
    counters = MemoryCounters(clock)
    quotas = Quotas(Quota(requests_per_minute=2), counters, clock)
    for number in range(100):
        await quotas.charge_request(f"caller {number}")

    clock.now += 60
    await quotas.charge_request("ann")

    assert len(counters) == 1


async def test_a_clock_that_is_set_back_keeps_nobody_waiting_for_an_hour(clock: Clock) -> None:
    quotas = paced(clock, 1)
    await quotas.charge_request("ann")

    clock.now -= 3600

    await quotas.charge_request("ann")
    assert (await refusal(quotas)).retry_after == 60.0


# --- money in a day --------------------------------------------------------------------------------------------------


async def test_who_has_spent_a_days_money_is_refused_until_midnight(clock: Clock) -> None:
    quotas = funded(clock)
    await quotas.charge_request("ann")
    quotas.charge_cost("ann", 0.75)
    await quotas.charge_request("ann")
    quotas.charge_cost("ann", 0.25)

    error = await broke(quotas)
    assert (error.status, error.type, error.code) == (429, "insufficient_quota", "insufficient_quota")
    assert (error.retry_after, error.should_retry) == (DAY / 2, False)
    assert "quota: 1 US dollars a day" in error.message

    clock.now = MIDNIGHT + DAY - 0.1
    await broke(quotas)
    clock.now = MIDNIGHT + DAY
    await quotas.charge_request("ann")


async def test_what_one_caller_spends_is_not_anothers(clock: Clock) -> None:
    quotas = funded(clock)
    quotas.charge_cost("ann", 5.0)

    await quotas.charge_request("bob")

    await broke(quotas, "ann")


@pytest.mark.parametrize("days", [1, 2, 365, -1])
async def test_another_day_begins_with_nothing_spent(clock: Clock, days: int) -> None:
    quotas = funded(clock)
    quotas.charge_cost("ann", 5.0)
    await broke(quotas)

    clock.now += days * DAY

    await quotas.charge_request("ann")


@pytest.mark.parametrize(("spent_at", "counts"), [(DAY - 1, False), (DAY, True), (DAY + 1, True)])
async def test_an_answer_is_paid_on_the_day_it_ends(clock: Clock, spent_at: float, counts: bool) -> None:
    quotas = funded(clock)
    await quotas.charge_request("ann")
    clock.now = MIDNIGHT + spent_at
    quotas.charge_cost("ann", 5.0)

    clock.now = MIDNIGHT + DAY + 2

    if counts:
        await broke(quotas)
    else:
        await quotas.charge_request("ann")


async def test_a_request_that_is_not_paid_for_does_not_count_towards_the_minute(clock: Clock) -> None:
    quotas = Quotas(Quota(requests_per_minute=1, usd_per_day=1.0), MemoryCounters(clock), clock)
    quotas.charge_cost("ann", 1.0)

    await broke(quotas)

    clock.now = MIDNIGHT + DAY
    await quotas.charge_request("ann")
    await refusal(quotas)


async def test_the_clock_is_the_machines_where_none_is_given() -> None:
    quotas = Quotas(Quota(requests_per_minute=1), MemoryCounters())
    await quotas.charge_request("ann")

    retry_after = (await refusal(quotas)).retry_after

    assert retry_after is not None
    assert 0 < retry_after <= 60


# --- several servers -------------------------------------------------------------------------------------------------


class Unusable(MemoryCounters):
    """Counters that others hold, and that can be out of reach."""

    is_there = True

    async def count(self, name: str, amount: float, expires_at: float) -> float:
        self._require()
        return await super().count(name, amount, expires_at)

    async def admit(self, name: str, amount: int, *, most: int, seconds: float) -> float:
        self._require()
        return await super().admit(name, amount, most=most, seconds=seconds)

    def _require(self) -> None:
        if not self.is_there:
            raise UnavailableError("The store cannot be used.")


async def test_servers_that_share_counters_count_together(clock: Clock) -> None:
    shared = MemoryCounters(clock)
    one, other = (Quotas(Quota(2, 1.0), MemoryCounters(clock), clock) for _ in range(2))
    one.share(shared)
    other.share(shared)
    await one.charge_request("ann")
    await other.charge_request("ann")

    assert (await refusal(one)).retry_after == 60.0
    await other.refund("ann")
    await one.charge_request("ann")
    one.charge_cost("ann", 0.5)
    other.charge_cost("ann", 0.5)
    await one.settle()
    assert (await broke(other)).retry_after == DAY / 2


async def test_a_server_counts_alone_while_what_is_shared_cannot_be_used(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    shared = Unusable(clock)
    quotas = Quotas(Quota(1, 1.0), MemoryCounters(clock), clock)
    quotas.share(shared)
    await quotas.charge_request("ann")
    shared.is_there = False

    await quotas.charge_request("ann")
    await refusal(quotas)
    quotas.charge_cost("ann", 1.0)
    await broke(quotas)

    assert "this server counts alone. The store cannot be used." in caplog.text
    shared.is_there = True
    await refusal(quotas)
