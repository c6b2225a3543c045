"""What measures time has no test of another process beside it, and waits for none longer than for one test."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as ended
from pathlib import Path

import pytest

from tests.turns import Turns

SOON, LONG = 0.2, 10.0


@pytest.fixture
def joining(tmp_path: Path) -> Iterator[Callable[[], Turns]]:
    """Makes one more that takes turns; each has files of its own that are open, as if it were another process."""
    files = [tmp_path / name for name in ("door", "room")]
    for file in files:
        file.touch()
    made: list[Turns] = []

    def join() -> Turns:
        made.append(Turns(*files))
        return made[-1]

    yield join
    for each in made:
        each.close()


def _waits(begun: Future[None]) -> bool:
    return begun in ended([begun], SOON).not_done


def test_tests_go_side_by_side_and_one_alone_beside_none(joining: Callable[[], Turns]) -> None:
    first, second, alone, late = (joining() for _ in range(4))
    with ThreadPoolExecutor(2) as pool:
        first.begin(alone=False)
        second.begin(alone=False)
        waiting = pool.submit(alone.begin, alone=True)
        first.end(keep=False)
        assert _waits(waiting)
        after = pool.submit(late.begin, alone=False)
        assert _waits(after), "who waits alone is not passed"

        second.end(keep=False)
        waiting.result(LONG)
        assert _waits(after)

        alone.end(keep=False)
        after.result(LONG)
        late.end(keep=False)


def test_a_turn_that_is_kept_lets_nobody_in_between(joining: Callable[[], Turns]) -> None:
    alone, other = joining(), joining()
    with ThreadPoolExecutor(1) as pool:
        alone.begin(alone=True)
        alone.end(keep=True)
        waiting = pool.submit(other.begin, alone=False)
        assert _waits(waiting)
        alone.begin(alone=True)
        alone.end(keep=False)
        waiting.result(LONG)
        other.end(keep=False)
