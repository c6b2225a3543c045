"""What callers may use: so many requests in a minute, so much money in a day."""

import pytest

from claude_relay.engine.limits.quotas import Quota, Quotas
from claude_relay.errors import QuotaError, RateLimitError

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
    return Quotas(Quota(requests_per_minute=requests), clock)


def funded(clock: Clock, usd: float = 1.0) -> Quotas:
    return Quotas(Quota(usd_per_day=usd), clock)


def refusal(quotas: Quotas, caller: str = "ann") -> RateLimitError:
    with pytest.raises(RateLimitError) as raised:
        quotas.charge_request(caller)
    return raised.value


def broke(quotas: Quotas, caller: str = "ann") -> QuotaError:
    with pytest.raises(QuotaError) as raised:
        quotas.charge_request(caller)
    return raised.value


def test_without_limits_nothing_is_counted() -> None:
    quotas = Quotas(Quota())

    for _ in range(1000):
        quotas.charge_request("ann")
        quotas.charge_cost("ann", 1000.0)

    assert (dict(quotas._begun), dict(quotas._spent)) == ({}, {})


# --- requests in a minute --------------------------------------------------------------------------------------------


def test_what_goes_beyond_a_minutes_requests_is_refused_until_the_oldest_is_a_minute_old(clock: Clock) -> None:
    quotas = paced(clock)
    quotas.charge_request("ann")
    clock.now += 20
    quotas.charge_request("ann")
    clock.now += 30

    error = refusal(quotas)
    assert (error.status, error.code, error.retry_after) == (429, "rate_limit_exceeded", 10.0)
    assert error.should_retry is True
    assert "2 requests per minute" in error.message

    clock.now += 9.9
    refusal(quotas)
    clock.now += 0.1
    quotas.charge_request("ann")
    assert refusal(quotas).retry_after == 20.0


def test_what_was_refused_does_not_count(clock: Clock) -> None:
    quotas = paced(clock, 1)
    quotas.charge_request("ann")
    for _ in range(59):
        clock.now += 1
        refusal(quotas)

    clock.now += 1

    quotas.charge_request("ann")


def test_what_no_minute_has_room_for_is_not_asked_again(clock: Clock) -> None:
    with pytest.raises(RateLimitError) as raised:
        paced(clock, 2).charge_request("ann", 3)

    assert raised.value.should_retry is False


def test_each_caller_has_its_own_minute(clock: Clock) -> None:
    quotas = paced(clock, 1)
    quotas.charge_request("ann")

    quotas.charge_request("bob")

    refusal(quotas, "ann")
    refusal(quotas, "bob")


def test_callers_who_do_not_come_again_are_forgotten(clock: Clock) -> None:
    quotas = paced(clock)
    for number in range(100):
        quotas.charge_request(f"caller {number}")

    clock.now += 60
    quotas.charge_request("ann")

    assert list(quotas._begun) == ["ann"]


def test_a_clock_that_is_set_back_keeps_nobody_waiting_for_an_hour(clock: Clock) -> None:
    quotas = paced(clock, 1)
    quotas.charge_request("ann")

    clock.now -= 3600

    quotas.charge_request("ann")
    assert refusal(quotas).retry_after == 60.0


# --- money in a day --------------------------------------------------------------------------------------------------


def test_who_has_spent_a_days_money_is_refused_until_midnight(clock: Clock) -> None:
    quotas = funded(clock)
    quotas.charge_request("ann")
    quotas.charge_cost("ann", 0.75)
    quotas.charge_request("ann")
    quotas.charge_cost("ann", 0.25)

    error = broke(quotas)
    assert (error.status, error.type, error.code) == (429, "insufficient_quota", "insufficient_quota")
    assert (error.retry_after, error.should_retry) == (DAY / 2, False)
    assert "quota: 1 US dollars a day" in error.message

    clock.now = MIDNIGHT + DAY - 0.1
    broke(quotas)
    clock.now = MIDNIGHT + DAY
    quotas.charge_request("ann")


def test_what_one_caller_spends_is_not_anothers(clock: Clock) -> None:
    quotas = funded(clock)
    quotas.charge_cost("ann", 5.0)

    quotas.charge_request("bob")

    broke(quotas, "ann")


@pytest.mark.parametrize("days", [1, 2, 365, -1])
def test_another_day_begins_with_nothing_spent(clock: Clock, days: int) -> None:
    quotas = funded(clock)
    quotas.charge_cost("ann", 5.0)
    broke(quotas)

    clock.now += days * DAY

    quotas.charge_request("ann")
    assert dict(quotas._spent) == {}


@pytest.mark.parametrize(("spent_at", "counts"), [(DAY - 1, False), (DAY, True), (DAY + 1, True)])
def test_an_answer_is_paid_on_the_day_it_ends(clock: Clock, spent_at: float, counts: bool) -> None:
    quotas = funded(clock)
    quotas.charge_request("ann")
    clock.now = MIDNIGHT + spent_at
    quotas.charge_cost("ann", 5.0)

    clock.now = MIDNIGHT + DAY + 2

    if counts:
        broke(quotas)
    else:
        quotas.charge_request("ann")


def test_a_request_that_is_not_paid_for_does_not_count_towards_the_minute(clock: Clock) -> None:
    quotas = Quotas(Quota(requests_per_minute=1, usd_per_day=1.0), clock)
    quotas.charge_cost("ann", 1.0)

    broke(quotas)

    clock.now = MIDNIGHT + DAY
    quotas.charge_request("ann")
    refusal(quotas)


def test_the_clock_is_the_machines_where_none_is_given() -> None:
    quotas = Quotas(Quota(requests_per_minute=1))
    quotas.charge_request("ann")

    retry_after = refusal(quotas).retry_after

    assert retry_after is not None
    assert 0 < retry_after <= 60
