"""uvicorn's supervisor of several workers, adapted to the relay."""

import signal
from multiprocessing import resource_tracker

from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

_INTERRUPT = {signal.SIGINT}


def prepare() -> None:
    """Have SIGHUP end the relay as SIGTERM does, and keep a Ctrl-C from workers that are not ready to hear it.

    A terminal that is closed ends the relay, with one worker or with many; uvicorn would start new workers. A worker
    whose interpreter only just begins would end with a traceback; it hears what was held back as soon as it listens.
    """
    Multiprocess.handle_hup = Multiprocess.handle_term  # type: ignore[method-assign]
    if hasattr(signal, "pthread_sigmask"):
        Process.start = _start  # type: ignore[assignment,method-assign]


def _start(worker: Process) -> None:
    """Start a worker with the signal held back; what a process is started with, it has at first."""
    # begun with the first process, it lets the signal through again
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)
    try:
        worker.process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
