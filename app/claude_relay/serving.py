"""uvicorn on sockets that are open already, with one process or several."""

import contextlib
import sys
from collections.abc import Sequence
from socket import socket
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import ChangeReload, Multiprocess

from claude_relay import supervising
from claude_relay.settings_loading import distrust_directory


def run(sockets: Sequence[socket], app: str, **options: Any) -> None:
    """Serve until the server is told to stop, as ``uvicorn.run`` does, which opens a single socket by itself.

    Args:
        sockets: Where to listen.
        app: Where the application is made.
        options: Those of ``uvicorn.Config``.
    """
    config = uvicorn.Config(app, **options)
    server = uvicorn.Server(config)
    opened = list(sockets)
    if config.should_reload or config.workers > 1:
        distrust_directory()
        supervising.prepare()
    with contextlib.suppress(KeyboardInterrupt):
        if config.should_reload:
            ChangeReload(config, target=server.run, sockets=opened).run()
        elif config.workers > 1:
            Multiprocess(config, sockets=opened).run()
        else:
            server.run(opened)
            if not server.started:
                sys.exit(STARTUP_FAILURE)
