"""Settings and resources -> how many answers at once and how many processes. Pure."""

from msgspec import Struct

from claude_relay.engine.limits.resources import Resources
from claude_relay.settings import Settings

_MEGABYTE = 1024 * 1024
_OWN_MEMORY = 256 * _MEGABYTE
"""Bytes for the relay itself (65 MB at rest, more while it reads large bodies) and for what all processes share of the
CLI's executable (95 MB)."""
_SHARED_MEMORY = 96 * _MEGABYTE
"""Bytes that are counted for each process, and are there once."""
_PROCESS_MEMORY = 256 * _MEGABYTE
"""Bytes of a process alone: 93 MB when it is ready, 190 to 230 MB after some turns."""
_IDLE_PART = 4
"""Idle processes may fill the memory up to one part in so many."""
_ANSWERS_PER_CORE = 4
_OWN_TASKS = 48
"""Threads of the relay itself, most of them for what would block it."""
_PROCESS_TASKS = 16
"""Threads of a process, 7 to 9, and what its tools start."""
_PROCESS_DESCRIPTORS = 8
"""Descriptors for each process: three pipes and its client's connection, and as many for connections that wait."""


class Size(Struct, frozen=True):
    """How much may go on.

    Attributes:
        answers: Answers at once.
        processes: Processes in all, idle ones included.
        starts: Processes that are started at the same time.
        warm: Processes kept ready for each personality in use, or likely to be.
        process_memory: Bytes of memory beyond which a process is not used again.
        reason: What set the number of answers, for the operator.
    """

    answers: int
    processes: int
    starts: int
    warm: int
    process_memory: int
    reason: str


def size(settings: Settings, found: Resources) -> Size:
    """Return what was chosen, or what suits the machine; of several workers each gets its part.

    Args:
        settings: The operator's choices.
        found: What there is, for all workers together.
    """
    memory = found.memory.value // settings.workers - _OWN_MEMORY
    fits, what = _processes_that_fit(settings.workers, found)
    by_cores = max(1, _ANSWERS_PER_CORE * found.cores.value // settings.workers)
    # a third is left for processes that end, and for those that begin in their place
    by_fit = max(1, 2 * fits // 3)
    answers = settings.max_concurrent or min(by_cores, by_fit)
    warm = settings.warm if settings.max_processes else min(settings.warm, max(0, fits - answers))
    wanted = min(fits, max(2 * answers + warm, fits // _IDLE_PART))
    processes = max(settings.max_processes or wanted, answers + warm)
    share = max(_PROCESS_MEMORY, memory // processes) + _SHARED_MEMORY
    return Size(
        answers,
        processes,
        # one core is left for those that answer
        max(1, found.cores.value // settings.workers - 1),
        warm,
        min(settings.max_process_memory * _MEGABYTE, share),
        "as chosen"
        if settings.max_concurrent
        else what
        if by_fit < by_cores
        else f"{found.cores.value} cores ({found.cores.source})",
    )


def _processes_that_fit(workers: int, found: Resources) -> tuple[int, str]:
    """Return how many processes one worker can bear, and what it is that bears no more."""
    memory = found.memory.value // workers - _OWN_MEMORY
    fits = [(memory // _PROCESS_MEMORY, f"{found.memory.value // _MEGABYTE} MB of memory ({found.memory.source})")]
    if found.tasks is not None:
        tasks = found.tasks.value // workers - _OWN_TASKS
        fits.append((tasks // _PROCESS_TASKS, f"{found.tasks.value} tasks ({found.tasks.source})"))
    if found.descriptors is not None:
        # each worker has its own
        open_ = found.descriptors
        fits.append((open_.value // _PROCESS_DESCRIPTORS, f"{open_.value} descriptors ({open_.source})"))
    number, what = min(fits)
    return max(1, number), what
