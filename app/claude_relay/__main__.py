"""The program: ``claude-relay``, ``python -m claude_relay``, and each of the server's workers."""

import signal
import sys
from types import FrameType


def _end(number: int, _: FrameType | None) -> None:
    """Write the waiting log lines, then end by the signal, as without a handler and without a traceback."""
    # it may be only just being imported
    if (flush := getattr(sys.modules.get("logging"), "shutdown", None)) is not None:
        flush()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _listen() -> None:
    """Take care of signals from the first moment on; the server's own handlers come later, and go earlier."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # who starts a program may want it to ignore a signal, as nohup does
        if number is not None and signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            signal.signal(number, _end)
    if hasattr(signal, "pthread_sigmask"):
        # a worker is started with it held back
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def main() -> None:
    """Run the command line."""
    from claude_relay.cli import main as command  # noqa: PLC0415 - what may be interrupted comes after ``_listen``

    command()


# a worker of the server imports this module before all else ...
_listen()
if __name__ == "__main__":
    # ... unless it was run by its name; without the name, the file is imported
    __spec__ = None
    main()
