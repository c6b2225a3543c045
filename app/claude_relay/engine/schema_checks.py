"""Checks answers against their schemas without blocking the server.

Most checks take microseconds and are made at once. Where that is not certain - patterns, schemas that refer to
themselves, large ones with large answers, and what is wrong with an answer that does not fit - a process of its own
makes the check: it can be ended at any time, and it may crash.
"""

import asyncio
import contextlib
import logging
import os
import resource
import sys
from typing import Any, BinaryIO

import msgspec

from claude_relay.engine import structured_output
from claude_relay.engine.vocabulary import JsonOutput
from claude_relay.errors import UpstreamError

_log = logging.getLogger(__name__)

CPU_SECONDS = 5
"""Seconds of computing that a check may take."""
WALL_SECONDS = 60.0
"""Seconds that a check may take on a machine that is busy with other things."""
_MEMORY = 1 << 30
"""Bytes of address space that the process may have."""
_NICENESS = 10
_COMMAND = (sys.executable, "-P", "-m", __name__)
"""Python is told not to look for modules in the working directory, which may be anybody's."""


class _Task(msgspec.Struct, frozen=True):
    schema: dict[str, Any]
    text: str


async def check(text: str, output: JsonOutput, seconds: int = CPU_SECONDS) -> None:
    """Check an answer against its schema.

    Args:
        text: The answer.
        output: What it had to be.
        seconds: Seconds of computing that the check may take.

    Raises:
        UpstreamError: It is no JSON, does not fit, or takes too long to be checked.
    """
    if structured_output.is_quick(output.schema, text) and structured_output.fits(
        output.schema, structured_output.parsed(text)
    ):
        return
    try:
        verdicts = await _verdicts(msgspec.json.encode(_Task(output.schema, text)), seconds)
    except OSError as error:
        # a shortage of the machine's must not lose an answer that was paid for
        _log.warning("an answer was not checked against its schema: %s", error)
        return
    if not verdicts:
        raise UpstreamError(
            "The model's answer could not be checked against the schema: "
            f"that takes more than {seconds} s of computing, or more than {_MEMORY >> 30} GB of memory.",
            code="invalid_structured_output",
        )
    if problem := msgspec.json.decode(verdicts[-1], type=str | None):
        raise UpstreamError(problem, code="invalid_structured_output")


async def _verdicts(task: bytes, seconds: int) -> list[bytes]:
    """Return the lines that a process of its own says about a task, as far as it came."""
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        str(seconds),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(WALL_SECONDS):
            output, _ = await process.communicate(task)
    except TimeoutError:
        return []
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return [line for line in output.splitlines(keepends=True) if line.endswith(b"\n")]


def answer(task: bytes, out: BinaryIO) -> None:
    """Write the verdict on a task: a line of JSON each time more is known, of which the last one counts."""
    asked = msgspec.json.decode(task, type=_Task)
    try:
        value = structured_output.parsed(asked.text)
        if structured_output.fits(asked.schema, value):
            _write(out, None)
            return
        # which part does not fit can take much longer than whether it does
        _write(out, structured_output.schema_mismatch("a part of it does not fit").message)
        _write(
            out,
            structured_output.schema_mismatch(
                structured_output.misfit(asked.schema, value) or "it does not fit"
            ).message,
        )
    except UpstreamError as error:
        _write(out, error.message)


def _write(out: BinaryIO, problem: str | None) -> None:
    out.write(msgspec.json.encode(problem) + b"\n")
    out.flush()


def main() -> None:
    """Check one answer: the task comes by stdin, the verdict goes to stdout."""
    seconds = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    os.nice(_NICENESS)
    answer(sys.stdin.buffer.read(), sys.stdout.buffer)


if __name__ == "__main__":
    main()
