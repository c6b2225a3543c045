"""What callers may use: so many requests in a minute, so much money in a day."""

import pytest

from claude_relay.engine.allowances import Allowance, Allowances
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


def paced(clock: Clock, requests: int = 2) -> Allowances:
    return Allowances(Allowance(requests_per_minute=requests), clock)


def funded(clock: Clock, usd: float = 1.0) -> Allowances:
    return Allowances(Allowance(usd_per_day=usd), clock)


def refusal(allowances: Allowances, caller: str = "ann") -> RateLimitError:
    with pytest.raises(RateLimitError) as raised:
        allowances.use(caller)
    return raised.value


def broke(allowances: Allowances, caller: str = "ann") -> QuotaError:
    with pytest.raises(QuotaError) as raised:
        allowances.use(caller)
    return raised.value


def test_without_limits_nothing_is_counted() -> None:
    allowances = Allowances(Allowance())

    for _ in range(1000):
        allowances.use("ann")
        allowances.spend("ann", 1000.0)

    assert (dict(allowances._begun), dict(allowances._spent)) == ({}, {})


# --- requests in a minute --------------------------------------------------------------------------------------------


def test_what_goes_beyond_a_minutes_requests_is_refused_until_the_oldest_is_a_minute_old(clock: Clock) -> None:
    allowances = paced(clock)
    allowances.use("ann")
    clock.now += 20
    allowances.use("ann")
    clock.now += 30

    error = refusal(allowances)
    assert (error.status, error.code, error.retry_after) == (429, "rate_limit_exceeded", 10.0)
    assert "2 requests in a minute" in error.message

    clock.now += 9.9
    refusal(allowances)
    clock.now += 0.1
    allowances.use("ann")
    assert refusal(allowances).retry_after == 20.0


def test_what_was_refused_does_not_count(clock: Clock) -> None:
    allowances = paced(clock, 1)
    allowances.use("ann")
    for _ in range(59):
        clock.now += 1
        refusal(allowances)

    clock.now += 1

    allowances.use("ann")


def test_each_caller_has_its_own_minute(clock: Clock) -> None:
    allowances = paced(clock, 1)
    allowances.use("ann")

    allowances.use("bob")

    refusal(allowances, "ann")
    refusal(allowances, "bob")


def test_callers_who_do_not_come_again_are_forgotten(clock: Clock) -> None:
    allowances = paced(clock)
    for number in range(100):
        allowances.use(f"caller {number}")

    clock.now += 60
    allowances.use("ann")

    assert list(allowances._begun) == ["ann"]


def test_a_clock_that_is_set_back_keeps_nobody_waiting_for_an_hour(clock: Clock) -> None:
    allowances = paced(clock, 1)
    allowances.use("ann")

    clock.now -= 3600

    allowances.use("ann")
    assert refusal(allowances).retry_after == 60.0


# --- money in a day --------------------------------------------------------------------------------------------------


def test_who_has_spent_a_days_money_is_refused_until_midnight(clock: Clock) -> None:
    allowances = funded(clock)
    allowances.use("ann")
    allowances.spend("ann", 0.75)
    allowances.use("ann")
    allowances.spend("ann", 0.25)

    error = broke(allowances)
    assert (error.status, error.type, error.code) == (429, "insufficient_quota", "insufficient_quota")
    assert (error.retry_after, error.should_retry) == (DAY / 2, False)
    assert "today's 1 US dollars" in error.message

    clock.now = MIDNIGHT + DAY - 0.1
    broke(allowances)
    clock.now = MIDNIGHT + DAY
    allowances.use("ann")


def test_what_one_caller_spends_is_not_anothers(clock: Clock) -> None:
    allowances = funded(clock)
    allowances.spend("ann", 5.0)

    allowances.use("bob")

    broke(allowances, "ann")


@pytest.mark.parametrize("days", [1, 2, 365, -1])
def test_another_day_begins_with_nothing_spent(clock: Clock, days: int) -> None:
    allowances = funded(clock)
    allowances.spend("ann", 5.0)
    broke(allowances)

    clock.now += days * DAY

    allowances.use("ann")
    assert dict(allowances._spent) == {}


@pytest.mark.parametrize(("spent_at", "counts"), [(DAY - 1, False), (DAY, True), (DAY + 1, True)])
def test_an_answer_is_paid_on_the_day_it_ends(clock: Clock, spent_at: float, counts: bool) -> None:
    allowances = funded(clock)
    allowances.use("ann")
    clock.now = MIDNIGHT + spent_at
    allowances.spend("ann", 5.0)

    clock.now = MIDNIGHT + DAY + 2

    if counts:
        broke(allowances)
    else:
        allowances.use("ann")


def test_a_request_that_is_not_paid_for_does_not_count_towards_the_minute(clock: Clock) -> None:
    allowances = Allowances(Allowance(requests_per_minute=1, usd_per_day=1.0), clock)
    allowances.spend("ann", 1.0)

    broke(allowances)

    clock.now = MIDNIGHT + DAY
    allowances.use("ann")
    refusal(allowances)


def test_the_clock_is_the_machines_where_none_is_given() -> None:
    allowances = Allowances(Allowance(requests_per_minute=1))
    allowances.use("ann")

    retry_after = refusal(allowances).retry_after

    assert retry_after is not None
    assert 0 < retry_after <= 60
