#!/usr/bin/env bash
# litestar 2.25.0, a guard that is a plain function: where does it run?
# One would guess: where a plain handler with sync_to_thread=False runs, on the event loop. A guard has no such option,
# and Litestar warns of plain handlers and dependencies that do not say where they are to run, but not of guards.
# What happens: every request waits for a worker thread, which calls the guard. A guard that is a coroutine function runs
# on the event loop. In both cases Litestar makes a copy of the route handler for the guard, at every request.
# Seen: the plain guard ran on the event loop: False; the async guard: True; two requests, two guards: 4 handlers
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet litestar==2.25.0 httpx==0.28.1
cat > "$folder/guards.py" <<'PY'
import sys
import threading
import warnings
from importlib.metadata import version

from litestar import Litestar, get
from litestar.testing import TestClient

warnings.simplefilter("error")
plain_threads, async_threads, loop_threads, handlers = set(), set(), set(), []


def plain(connection, handler):
    plain_threads.add(threading.get_ident())
    handlers.append(handler)


async def coroutine(connection, handler):
    async_threads.add(threading.get_ident())
    handlers.append(handler)


@get("/", guards=[plain, coroutine], sync_to_thread=False)
def hello() -> str:
    loop_threads.add(threading.get_ident())
    return "hello"


with TestClient(Litestar([hello], logging_config=None)) as client:
    for _ in range(2):
        assert client.get("/").text == "hello"
found = plain_threads == loop_threads, async_threads == loop_threads, len(set(map(id, handlers)))
print(
    f"litestar {version('litestar')}: the plain guard ran on the event loop: {found[0]}; the async guard: {found[1]}; "
    f"two requests, two guards: {found[2]} handlers"
)
sys.exit(found != (False, True, 4))
PY
"$folder/venv/bin/python" "$folder/guards.py"
