"""Authenticates every request before anything else is done with it, and before its body is read."""

import logging
from collections.abc import Mapping
from typing import Any

from litestar import Litestar, Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from claude_relay.access import addresses, peers
from claude_relay.access.policy import (
    Caller,
    Policy,
    RequestHead,
    authenticate,
    came_through_a_proxy,
    client_of,
    credentials,
    is_open,
    source_of,
)
from claude_relay.access.throttle import KeyThrottle
from claude_relay.errors import RelayError, UnauthenticatedError
from claude_relay.web import errors
from claude_relay.web.connections import EXTENSION, Connection
from claude_relay.web.context import begin, context_of, has_begun

_log = logging.getLogger(__name__)


def install(app: Litestar, policy: Policy) -> Litestar:
    """Authenticate every request of an application: for routes, for files, and for unknown paths.

    Middleware of Litestar's own does not see paths that do not exist, so this stands before its router.
    """
    inside = app.asgi_handler
    throttle = KeyThrottle()
    readable = app.cors_config.simple_headers if app.cors_config else {}

    async def authenticated(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.WEBSOCKET:
            await send({"type": "websocket.close", "code": 1008, "reason": "WebSockets are not supported."})
            return
        head, context = request_head(scope), begin(scope)
        if client := client_of(head, policy) or head.peer:
            # for the log of the server: who really calls, where a trusted proxy tells
            scope["client"] = (client, scope["client"][1] if scope["client"] and client == head.peer else 0)
        try:
            context.caller = _authenticated(head, policy, throttle)
            context.fields["caller"] = context.caller.name
        except RelayError as refusal:
            if not is_open(head, policy):
                await _refusing(refusal, readable)(scope, receive, send)
                return
        await inside(scope, receive, send)

    app.asgi_handler = authenticated
    return app


def required(app: ASGIApp) -> ASGIApp:
    """Refuse requests that were not authenticated, as in an application that was never started.

    This is not a guard: Litestar runs a guard in a thread, and copies the handler for it, at every request.
    """

    async def with_caller(scope: Scope, receive: Receive, send: Send) -> None:
        require_caller(scope)
        await app(scope, receive, send)

    return with_caller


def request_head(scope: HTTPScope) -> RequestHead:
    """Return the head of a request."""
    headers: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    client = scope["client"]
    peer = _address(client[0]) if client else None
    path = "/" + scope["path"].strip("/")
    connection = _connection_of(scope)
    # a proxy is one for life
    connection.proxied = connection.proxied or came_through_a_proxy(headers)
    if connection.user is None:
        connection.user = peers.user_of(client, scope.get("server"))
    return RequestHead(scope["method"], path, peer, headers, connection.proxied, connection.user)


def _address(text: str) -> str:
    """Return an address as it is usually written, so that the same one is the same text everywhere."""
    return str(addresses.address(text) or text)


def _authenticated(head: RequestHead, policy: Policy, throttle: KeyThrottle) -> Caller:
    """Return who calls; wrong keys are counted, and too many of them refused unseen."""
    sent, source = credentials(head) if policy.takes_keys else [], source_of(head, policy)
    throttle.require_allowed(source, sent)
    try:
        return authenticate(head, policy)
    except UnauthenticatedError:
        if wait := throttle.failed(source, sent):
            _log.warning("wrong API keys came from %s: none of its keys is looked at for %g seconds", source, wait)
        raise


def _connection_of(scope: HTTPScope) -> Connection:
    """Return the connection of a request; other servers tell nothing of theirs, so that each request has its own."""
    connection: Any = (scope.get("extensions") or {}).get(EXTENSION)
    return Connection() if connection is None else connection


def current_caller(scope: Scope) -> Caller | None:
    """Return the caller, or None if nobody was authenticated at an open path."""
    return context_of(scope).caller if has_begun(scope) else None


def require_caller(scope: Scope) -> Caller:
    """Return the caller.

    Raises:
        UnauthenticatedError: Nobody was; no path leads here then, and none ever shall.
    """
    if (caller := current_caller(scope)) is None:
        raise UnauthenticatedError("The caller is not authenticated.")
    return caller


def _refusing(refusal: RelayError, readable: Mapping[str, str]) -> ASGIApp:
    """Return an application that answers everything with an error, which the pages of a browser may read too."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        response = errors.respond(request, refusal)
        if "origin" in request.headers:
            response.headers.update(readable)
        await response.to_asgi_response(None, request)(scope, receive, send)

    return refuse
