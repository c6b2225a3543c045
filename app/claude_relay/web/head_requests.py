"""``HEAD`` wherever ``GET`` is: the same answer, without its body."""

from litestar import Litestar
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import HttpMethod, ScopeType
from litestar.types import Message, Receive, Scope, Send


def install(app: Litestar) -> Litestar:
    """Serve ``HEAD`` by the routes of ``GET``, and name it where the methods of a path are named."""
    inside = app.asgi_handler

    async def headed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await inside(scope, receive, send)
            return
        is_head = scope["method"] == HttpMethod.HEAD

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                _allow(MutableScopeHeaders.from_message(message))
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await inside({**scope, "method": HttpMethod.GET.value} if is_head else scope, receive, sent)

    app.asgi_handler = headed
    return app


def _allow(headers: MutableScopeHeaders) -> None:
    methods = [method.strip() for method in headers.get("allow", "").split(",")]
    if HttpMethod.GET in methods and HttpMethod.HEAD not in methods:
        headers["allow"] = ", ".join((*methods, HttpMethod.HEAD))
