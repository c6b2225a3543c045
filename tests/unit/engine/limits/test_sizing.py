"""How many answers and processes a machine or a container bears."""

from typing import Any

import pytest

from claude_relay.engine.limits.resources import Bound, Resources
from claude_relay.engine.limits.sizing import Size, size
from claude_relay.settings import Settings

MEGABYTE = 1 << 20
PROCESS = 230 * MEGABYTE
"""What a process that was used much was seen to need of its own."""
SHARED = 95 * MEGABYTE
RELAY = 65 * MEGABYTE


def of(megabytes: int, cores: int = 8, tasks: int | None = None, descriptors: int | None = None, **chosen: Any) -> Size:
    return size(
        Settings(**chosen),
        Resources(
            Bound(megabytes * MEGABYTE, "cgroup"),
            Bound(cores, "machine"),
            Bound(tasks, "pids") if tasks else None,
            Bound(descriptors, "RLIMIT_NOFILE") if descriptors else None,
        ),
    )


@pytest.mark.parametrize("megabytes", [512, 768, 1024, 1536, 2048, 4096, 8192, 24576])
def test_all_processes_fit_into_the_memory(megabytes: int) -> None:
    made = of(megabytes)

    assert RELAY + SHARED + made.processes * PROCESS <= megabytes * MEGABYTE
    assert 1 <= made.answers <= made.processes
    assert made.answers + made.warm <= made.processes


@pytest.mark.parametrize(
    ("megabytes", "answers", "processes", "warm"), [(1024, 2, 3, 1), (512, 1, 1, 0), (64, 1, 1, 0)]
)
def test_a_small_container_gets_little_and_never_nothing(
    megabytes: int, answers: int, processes: int, warm: int
) -> None:
    made = of(megabytes)

    assert (made.answers, made.processes, made.warm) == (answers, processes, warm)
    assert made.reason == f"{megabytes} MB of memory (cgroup)"


@pytest.mark.parametrize(("cores", "answers"), [(1, 4), (2, 8)])
def test_where_there_is_memory_cores_decide(cores: int, answers: int) -> None:
    made = of(24_576, cores)

    assert (made.answers, made.reason) == (answers, f"{cores} cores (machine)")
    assert made.process_memory == 1024 * MEGABYTE


@pytest.mark.parametrize(
    ("found", "most", "reason"),
    [({"tasks": 100}, 3, "100 tasks (pids)"), ({"descriptors": 64}, 8, "64 descriptors (RLIMIT_NOFILE)")],
)
def test_tasks_and_descriptors_limit_processes_too(found: dict[str, int], most: int, reason: str) -> None:
    made = of(24_576, 64, **found)

    assert made.processes == most
    assert made.reason == reason


def test_several_workers_share_what_there_is() -> None:
    assert of(4096, workers=4).processes == of(1024).processes
    assert of(24_576, 2, workers=4).answers == 2


def test_what_the_operator_chose_counts() -> None:
    made = of(1024, max_concurrent=5, max_processes=9, warm=2)

    assert (made.answers, made.processes, made.warm, made.reason) == (5, 9, 2, "as chosen")


def test_a_process_that_grows_is_not_used_again_before_the_memory_is_short() -> None:
    assert of(1024).process_memory <= 1024 * MEGABYTE // of(1024).processes + SHARED
    assert of(24_576, max_process_memory=7).process_memory == 7 * MEGABYTE
