"""How many keys can be guessed: the waits grow, calm is rewarded, and nobody else waits."""

from collections.abc import Callable

import pytest

from claude_relay.access.throttle import FORGOTTEN_AFTER, FREE, LONGEST, MOST_SOURCES, KeyThrottle
from claude_relay.errors import RateLimitError

DAY = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Guesser:
    """Sends another wrong key each time."""

    def __init__(self, throttle: KeyThrottle, source: str = "192.0.2.7") -> None:
        self.throttle = throttle
        self.source = source
        self.guesses = 0

    def guess(self) -> float:
        """Return how long to wait from now on."""
        key = [f"guess-{self.guesses}"]
        self.throttle.require_allowed(self.source, key)
        self.guesses += 1
        return self.throttle.failed(self.source, key)

    def refusal(self) -> RateLimitError:
        with pytest.raises(RateLimitError) as raised:
            self.guess()
        return raised.value


def test_a_few_wrong_keys_cost_nothing_and_then_the_waits_double(clock: Clock) -> None:
    guesser, waits = Guesser(KeyThrottle(clock)), []
    for _ in range(FREE + 20):
        waits.append(guesser.guess())
        clock.now += waits[-1]

    assert waits[: FREE - 1] == [0.0] * (FREE - 1)
    assert waits[FREE - 1 : FREE + 6] == [1, 2, 4, 8, 16, 32, 64]
    assert waits[-1] == LONGEST


def test_who_has_to_wait_is_told_how_long_and_his_keys_are_not_counted(clock: Clock) -> None:
    guesser = Guesser(KeyThrottle(clock))
    while not guesser.guess():
        pass

    error = guesser.refusal()
    assert (error.status, error.code, error.retry_after) == (429, "too_many_wrong_keys", 1.0)
    clock.now += 0.5
    assert guesser.refusal().retry_after == 0.5
    clock.now += 0.5
    assert guesser.guess() == 2.0


def test_a_good_key_of_the_same_source_waits_too_and_of_another_does_not(clock: Clock) -> None:
    throttle = KeyThrottle(clock)
    guesser = Guesser(throttle)
    while not guesser.guess():
        pass

    with pytest.raises(RateLimitError):
        throttle.require_allowed(guesser.source, ["correct-horse"])
    throttle.require_allowed("192.0.2.8", ["correct-horse"])
    # whoever sends no key is told that one is wanted
    throttle.require_allowed(guesser.source, [])


def test_one_wrong_key_sent_again_and_again_is_no_guessing(clock: Clock) -> None:
    throttle = KeyThrottle(clock)

    for _ in range(1000):
        throttle.require_allowed("192.0.2.7", ["an-old-key"])
        assert throttle.failed("192.0.2.7", ["an-old-key"]) == 0


def test_several_keys_in_one_request_are_several_guesses(clock: Clock) -> None:
    throttle = KeyThrottle(clock)

    for number in range(3):
        assert throttle.failed("192.0.2.7", [f"a{number}", f"b{number}", f"c{number}"]) == 0
    assert throttle.failed("192.0.2.7", ["a", "b", "c"]) == 2.0 ** (12 - FREE)


def test_wrong_keys_are_forgotten_one_by_one(clock: Clock) -> None:
    guesser = Guesser(KeyThrottle(clock))
    for _ in range(FREE - 1):
        guesser.guess()

    clock.now += 3 * FORGOTTEN_AFTER
    assert [guesser.guess() for _ in range(4)] == [0, 0, 0, 1]
    clock.now += 100 * FORGOTTEN_AFTER
    assert [guesser.guess() for _ in range(FREE)] == [0] * (FREE - 1) + [1]


def _as_soon_as_possible(wait: float) -> float:
    return wait


def _never_waiting(_: float) -> float:
    return 301.0


def _in_bursts(wait: float) -> float:
    return 3000.0 if wait else 0.0


def _patiently(wait: float) -> float:
    return 10 * wait + 60


@pytest.mark.parametrize("pause", [_as_soon_as_possible, _never_waiting, _in_bursts, _patiently])
def test_one_source_guesses_some_three_hundred_keys_a_day_at_most_whatever_its_way(
    clock: Clock, pause: Callable[[float], float]
) -> None:
    guesser, end = Guesser(KeyThrottle(clock)), clock.now + DAY

    while clock.now < end:
        clock.now += pause(guesser.guess())

    assert guesser.guesses <= 310


def test_what_is_remembered_has_an_end_and_the_latest_are_kept(clock: Clock) -> None:
    throttle = KeyThrottle(clock)
    first = Guesser(throttle, "first")
    while not first.guess():
        pass

    for number in range(MOST_SOURCES - 1):
        Guesser(throttle, f"another {number}").guess()
    assert first.refusal()
    Guesser(throttle, "one more").guess()

    assert len(throttle) == MOST_SOURCES
    assert first.guess() == 0


def test_no_key_is_kept(clock: Clock) -> None:
    throttle = KeyThrottle(clock)
    throttle.failed("192.0.2.7", ["sEcReTsEcReT"])

    assert "sEcReT" not in repr(throttle._sources)
