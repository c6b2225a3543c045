"""Servers of tests, in this process."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from anyio.from_thread import BlockingPortalProvider

Place = tuple[str, int]

LOOP = BlockingPortalProvider(backend_options={"use_uvloop": True})
"""The one event loop of all servers, in a thread: where two uvloops of one process start children at the same moment,
the one waits until the other's child has ended."""


@contextmanager
def serving(config: uvicorn.Config) -> Iterator[Place]:
    """Serve until the block ends, and tell where."""
    server = uvicorn.Server(config)
    with LOOP as portal:
        over = portal.start_task_soon(server.serve)
        try:
            deadline = time.monotonic() + 20
            while not server.started:
                assert not over.done()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield server.servers[0].sockets[0].getsockname()[:2]
        finally:
            server.should_exit = True
            over.result(20)
