"""Request bodies, and how they are read without blocking the event loop: a large one in a thread."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.types import Empty
from msgspec import Struct
from msgspec.structs import replace

from claude_relay.access.policy import Caller
from claude_relay.engine.profiles import Profile
from claude_relay.errors import InvalidRequestError, UnsupportedMediaTypeError
from claude_relay.settings import Settings
from claude_relay.web import profiles
from claude_relay.web.auth_middleware import require_caller
from claude_relay.web.body_limits import LARGE, MOST_UNKNOWN, require_readable, too_much
from claude_relay.web.context import context_of
from claude_relay.web.dto import WireDTO, decode
from claude_relay.web.offload import Offload
from claude_relay.web.parameters import Question

S = TypeVar("S")
T = TypeVar("T")

_OTHER_FORM = "claude_relay_other_form"
_SETTINGS = "claude_relay_settings"
_OFFLOAD = "claude_relay_offload"
_JOINED_AT_ONCE = 1024 * 1024
"""Bytes of a body up to which its pieces are put together on the event loop; beyond, Python copies them without holding
the interpreter, so that a thread keeps nobody waiting."""
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Body(Struct, Generic[T], frozen=True):
    """A body that was read.

    Attributes:
        request: What the client sent.
        unknown: Its fields that are no parameters.
        stored: What it refers to, if the family fetches that.
    """

    request: T
    unknown: frozenset[str]
    stored: Any = None


class OtherForm(Struct, frozen=True):
    """Another form in which the requests of a family may come, of which the family itself knows nothing.

    Attributes:
        fits: Whether a body in which the family cannot read a parameter is of this form.
        reads: Reads it, as a handler's ``before_request`` does, into a request and a question of the family.
    """

    fits: Callable[[bytes], bool]
    reads: Callable[[Request[Any, Any, Any]], Awaitable[None]]

    @property
    def opt(self) -> dict[str, Any]:
        """What a router has as ``opt``, so that its handlers read this form too."""
        return {_OTHER_FORM: self}


class BodyRequest(Request[Any, Any, Any]):
    """A request; Litestar's own would put the pieces of a large body together on the event loop."""

    async def body(self) -> bytes:
        """Return the body of the request."""
        if self._connection_state.body is Empty:
            pieces = [piece async for piece in self.stream()]
            if sum(map(len, pieces)) > _JOINED_AT_ONCE:
                offload: Offload = self.app.state[_OFFLOAD]
                self._connection_state.body = await offload.run(lambda: b"".join(pieces))
            else:
                self._connection_state.body = b"".join(pieces)
        return await super().body()


class BodyDTO(WireDTO[T]):
    """Hands over what ``reading`` has read before."""

    def decode_bytes(self, value: bytes) -> Any:  # noqa: ARG002 - the signature is Litestar's
        """Return the request that the body is."""
        return context_of(self.asgi_connection.scope).request


def set_up(state: State, settings: Settings) -> None:
    """Give an application what bodies are read with: the operator's choices, and a thread for large bodies."""
    state[_SETTINGS], state[_OFFLOAD] = settings, Offload()


def reading(
    read: Callable[[bytes], Body[T]],
    to_question: Callable[[Body[T], Settings, Caller], Question],
    takes_long: Callable[[Body[T]], bool] = lambda _: False,
    fetch: Callable[[Request[Any, Any, Any], T], Awaitable[Any]] | None = None,
) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """Return what a handler does before its request: Litestar itself would decode on the event loop.

    What cannot be read may be of the other form that the router of the family has.

    Args:
        read: Reads the body.
        to_question: Converts it to what is asked.
        takes_long: Whether converting a request takes long though its body is small.
        fetch: Returns what a request refers to that is not in its body.
    """
    reads = reading_form(read, to_question, takes_long, fetch)

    async def before_request(request: Request[Any, Any, Any]) -> None:
        try:
            await reads(request)
        except InvalidRequestError as error:
            other: OtherForm | None = request.route_handler.opt.get(_OTHER_FORM)
            raw = await request.body()
            # what is refused as a whole, such as for its size, is not looked over again
            if other is None or error.param is None or not await beside_loop(request, lambda: other.fits(raw)):
                raise
            await other.reads(request)

    return before_request


def reading_form(
    read: Callable[[bytes], Body[T]],
    to_question: Callable[[Body[T], Settings, Caller], Question],
    takes_long: Callable[[Body[T]], bool] = lambda _: False,
    fetch: Callable[[Request[Any, Any, Any], T], Awaitable[Any]] | None = None,
) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """Return what reads requests of one form; it raises ``RelayError``.

    Args:
        read: Reads the body.
        to_question: Converts it to what is asked.
        takes_long: Whether converting a request takes long though its body is small.
        fetch: Returns what a request refers to that is not in its body.
    """

    def convert(body: Body[T], settings: Settings, caller: Caller, found: Profile | None) -> tuple[T, Question]:
        asked = replace(body, request=profiles.plain(body.request, found))
        return body.request, profiles.under(to_question(asked, profiles.holding(settings, found), caller), found)

    async def before_request(request: Request[Any, Any, Any]) -> None:
        raw, context, app = await request.body(), context_of(request.scope), request.app.state
        if not raw:
            return
        _require_plain(request)
        offload: Offload = app[_OFFLOAD]
        settings, caller = app[_SETTINGS], require_caller(request.scope)
        usable = profiles.of_caller(app, caller)

        is_large = len(raw) > LARGE
        body = await offload.run(lambda: read(raw)) if is_large else read(raw)
        if fetch is not None:
            body = replace(body, stored=await fetch(request, body.request))
        profile = profiles.asked_for(body.request, usable)
        if is_large or takes_long(body):
            found = await offload.run(lambda: convert(body, settings, caller, profile))
        else:
            found = convert(body, settings, caller, profile)
        context.request, context.question = found

    return before_request


def reading_body(read: Callable[[bytes], Body[T]]) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """Return what a handler does before a request that asks nothing of the engine.

    Args:
        read: Reads the body.
    """

    async def before_request(request: Request[Any, Any, Any]) -> None:
        if raw := await request.body():
            _require_plain(request)
            context_of(request.scope).request = (await beside_loop(request, lambda: read(raw))).request

    return before_request


def _require_plain(request: Request[Any, Any, Any]) -> None:
    """Refuse a compressed body: how large it would become is not known before it has."""
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding not in {"", "identity"}:
        raise UnsupportedMediaTypeError("Compressed bodies are not read: send the body without 'Content-Encoding'.")


async def beside_loop(request: Request[Any, Any, Any], work: Callable[[], S]) -> S:
    """Return what work over a request's body comes to, done in the thread if the body is large."""
    offload: Offload = request.app.state[_OFFLOAD]
    return await offload.run(work) if len(await request.body()) > LARGE else work()


def question_of(request: Request[Any, Any, Any]) -> Question:
    """Return what is asked, which was read before the handler ran."""
    question = context_of(request.scope).question
    assert question is not None  # noqa: S101 - a body that is missing was refused
    return question


def settings_of(request: Request[Any, Any, Any]) -> Settings:
    """Return the operator's choices; to inject a second dependency takes Litestar a task for each."""
    settings: Settings = request.app.state[_SETTINGS]
    return settings


def reader(
    kind: type[T], known: frozenset[str], require_few: Callable[[T], object] = lambda _: None
) -> Callable[[bytes], Body[T]]:
    """Return what reads a family's bodies; it raises ``InvalidRequestError``.

    Args:
        kind: What a request must be.
        known: The names of its parameters.
        require_few: Raises when a request has too much of anything.
    """
    decoder = msgspec.json.Decoder(kind)
    # most requests have no field that is no parameter: they are read once only
    strict: msgspec.json.Decoder[T] = msgspec.json.Decoder(
        msgspec.defstruct(f"Known{kind.__name__}", [], bases=(kind,), frozen=True, forbid_unknown_fields=True)
    )

    def decoded(body: bytes) -> tuple[T, frozenset[str]]:
        try:
            return strict.decode(body), frozenset()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            unknown = unknown_fields(body, known)
            return decode(decoder, body), unknown

    def read(body: bytes) -> Body[T]:
        require_readable(body)
        request, unknown = decoded(body)
        require_few(request)
        return Body(request, unknown)

    return read


def unknown_fields(body: bytes, known: frozenset[str]) -> frozenset[str]:
    """Return the unknown fields of a body.

    Raises:
        InvalidRequestError: It is no JSON object, or has too many of them.
    """
    unknown = decode(_fields, body).keys() - known
    if len(unknown) > MOST_UNKNOWN:
        raise too_much("The body", "unknown parameters", MOST_UNKNOWN, None)
    return frozenset(unknown)
