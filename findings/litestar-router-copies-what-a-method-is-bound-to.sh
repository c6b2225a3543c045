#!/usr/bin/env bash
# litestar 2.25.0, a middleware that is a bound method: the same object counts for an application and for a router.
# One would guess: the object that made the method counts the requests in both cases, 1 and 1.
# What happens: a router is copied deeply with what its middleware is bound to when it is added to the application, so
# a copy of the object counts, and the object itself stays at 0. The application's own middleware is not copied.
# Seen: counted by the object: application 1, router 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet litestar==2.25.0 httpx==0.28.1
cat > "$folder/count.py" <<'PY'
import sys
from importlib.metadata import version

from litestar import Litestar, Router, get
from litestar.testing import TestClient


class Counter:
    def __init__(self):
        self.count = 0

    def middleware(self, app):
        async def counting(scope, receive, send):
            self.count += 1
            await app(scope, receive, send)

        return counting


@get("/", sync_to_thread=False)
def hello() -> str:
    return "hello"


of_app, of_router = Counter(), Counter()
apps = (
    Litestar([hello], middleware=[of_app.middleware], logging_config=None),
    Litestar([Router("/", route_handlers=[hello], middleware=[of_router.middleware])], logging_config=None),
)
for app in apps:
    with TestClient(app) as client:
        assert client.get("/").text == "hello"
found = of_app.count, of_router.count
print(f"litestar {version('litestar')}: counted by the object: application {found[0]}, router {found[1]}")
sys.exit(found != (1, 0))
PY
"$folder/venv/bin/python" "$folder/count.py"
