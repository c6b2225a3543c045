"""What reading requests and writing answers costs: the relay's protocol beside uvicorn's own, over the echo runner.

Run by hand: ``uv run python -m tests.benchmarks.protocols [rounds]``. Everything is in one process and nothing goes
over a network, so what differs is the protocols alone; they take turns. CPU time, the application's part included.
"""

import asyncio
import json
import logging
import sys
import time
from typing import Any

import uvicorn
import uvloop
from msgspec import Struct
from uvicorn.server import ServerState

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.settings import Settings

WAYS = ("claude_relay.web.protocol:BoundedProtocol", "httptools", "h11")
DELTAS = 50
SMALL, STREAMED = 300, 60
"""Requests of each kind in a round."""


class Wire(asyncio.Transport):
    """A transport that takes everything and keeps nothing."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def write(self, data: Any) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Way(Struct):
    """A protocol with one connection, and what it cost."""

    protocol: Any
    state: ServerState
    small: float = 0.0
    streamed: float = 0.0

    async def seconds(self, request: bytes, count: int) -> float:
        """Return the CPU time of one request."""
        began = time.process_time()
        for _ in range(count):
            self.protocol.data_received(request)
            await asyncio.gather(*self.state.tasks)
        return (time.process_time() - began) / count


async def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    logging.disable(logging.CRITICAL)
    app = create_app(Settings(host="127.0.0.1", store=False), EchoRunner())
    ways = {name: _way(app, name) for name in WAYS}
    small = request(messages=[{"role": "user", "content": "hi there"}])
    streamed = request(messages=[{"role": "user", "content": "word " * DELTAS}], stream=True)
    for number in range(rounds + 1):
        for way in ways.values():
            one, other = await way.seconds(small, SMALL), await way.seconds(streamed, STREAMED)
            if number:  # the first round only warms up
                way.small += one / rounds
                way.streamed += other / rounds
    first = ways[WAYS[0]]
    print(f"| protocol | small request, us | ratio | {DELTAS} deltas, us | ratio |\n|---|---|---|---|---|")
    for name, way in ways.items():
        figures = f"{way.small * 1e6:.0f} | {way.small / first.small:.2f} | {way.streamed * 1e6:.0f}"
        print(f"| {name} | {figures} | {way.streamed / first.streamed:.2f} |")


def _way(app: Any, name: str) -> Way:
    config = uvicorn.Config(app, http=name, log_config=None, access_log=False, timeout_keep_alive=1000)
    config.load()
    state = ServerState()
    make: Any = config.http_protocol_class
    protocol = make(config=config, server_state=state, app_state={}, _loop=asyncio.get_running_loop())
    protocol.connection_made(Wire())
    return Way(protocol, state)


def request(path: str = "/v1/chat/completions", **body: Any) -> bytes:
    """Return a request as it is sent."""
    content = json.dumps({"model": "echo", **body}).encode()
    head = (
        f"POST {path} HTTP/1.1",
        "host: localhost",
        "content-type: application/json",
        "accept: application/json",
        "user-agent: OpenAI/Python 2.3",
        "authorization: Bearer unused",
        f"content-length: {len(content)}",
    )
    return "\r\n".join((*head, "", "")).encode() + content


if __name__ == "__main__":
    uvloop.run(main())
