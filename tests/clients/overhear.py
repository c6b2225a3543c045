"""What passes between a client and the relay, written down on the way."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

IGNORED = "x-claude-relay-ignored"

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Heard:
    """A request of a client, and the head of the relay's answer."""

    path: str
    body: dict[str, Any]
    status: int
    headers: dict[str, str]

    @property
    def ignored(self) -> set[str]:
        """What the relay said that it does not support."""
        return {name for name in self.headers.get(IGNORED, "").split(", ") if name}


class Overhearing:
    """An ASGI application around the relay that changes nothing."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []

    def around(self, app: App) -> App:
        """Return the application, overheard."""

        async def overheard(scope: Any, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            said = bytearray()

            async def receiving() -> Event:
                event = await receive()
                said.extend(event.get("body", b""))
                return event

            async def sending(event: Event) -> None:
                if event["type"] == "http.response.start" and said:
                    headers = {name.decode(): value.decode() for name, value in event["headers"]}
                    self.heard.append(Heard(scope["path"], json.loads(said), event["status"], headers))
                await send(event)

            await app(scope, receiving, sending)

        return overheard

    def only(self) -> Heard:
        """Return the one request there was."""
        (heard,) = self.heard
        return heard
