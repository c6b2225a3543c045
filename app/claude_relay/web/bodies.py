"""Request bodies: how much JSON may hold, and reading it without blocking the event loop.

A large body is read in a thread, in steps of which none lasts long. What goes beyond a limit is refused before it is
decoded.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from litestar import Request
from litestar.datastructures import State
from msgspec import Struct
from msgspec.structs import replace

from claude_relay.access.policy import Caller
from claude_relay.engine.profiles import Profile
from claude_relay.errors import InvalidRequestError, UnsupportedMediaTypeError
from claude_relay.settings import Settings
from claude_relay.web import profiles
from claude_relay.web.auth_middleware import require_caller
from claude_relay.web.context import context_of
from claude_relay.web.dto import WireDTO, decode
from claude_relay.web.offload import Offload
from claude_relay.web.parameters import Question

S = TypeVar("S")
T = TypeVar("T")

MOST_VALUES = 100_000
"""Values of JSON, names of fields aside, in a body that is large; and in the arguments of all past calls together."""
MOST_UNKNOWN = 1_000
"""Fields that are no parameters."""
LONGEST_NUMBER = 128
"""Digits in a row, in JSON that is large: the time that a whole number takes grows with the square of them."""
LARGE = 64 * 1024
"""Bytes from which on JSON may hold more than can be read in a moment."""

_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_TOO_LONG = b"0" * (LONGEST_NUMBER + 1)
_STRIDE = 16
_MANY = b"0" * (LONGEST_NUMBER // _STRIDE)
_PIECE = 1024 * 1024
"""Bytes that are looked at without a break."""
_OTHER_FORM = "claude_relay_other_form"
_SETTINGS = "claude_relay_settings"
_OFFLOAD = "claude_relay_offload"
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


def require_readable(body: bytes) -> None:
    """Check the size of a body's content without decoding it.

    Raises:
        InvalidRequestError: It has more values in it, or longer numbers, than can be read in a moment.
    """
    if len(body) > LARGE:
        look_over([body], "The body", "values", None)


def unknown_fields(body: bytes, known: frozenset[str]) -> frozenset[str]:
    """Return the unknown fields of a body.

    Raises:
        InvalidRequestError: It is no JSON object, or has too many of them.
    """
    unknown = decode(_fields, body).keys() - known
    if len(unknown) > MOST_UNKNOWN:
        raise _too_much("The body", "unknown parameters", MOST_UNKNOWN, None)
    return frozenset(unknown)


def outside_of_texts(json: bytes) -> Iterator[bytes]:
    """Yield the parts of JSON outside of strings, piece by piece.

    Args:
        json: It need not be valid.
    """
    start = inside = 0
    while start < len(json):
        piece = json[start : start + _PIECE]
        if _ends_in_an_escape(piece):
            piece = json[start : start + _PIECE + 1]
        start += len(piece)
        # with all escapes gone, texts begin and end at quotation marks
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        yield b"".join(parts[inside::2])
        inside ^= (len(parts) - 1) & 1


def look_over(documents: Sequence[bytes], what: str, things: str, param: str | None) -> None:
    """Check the number of values in JSON documents together, without names of fields, and the length of each number.

    Args:
        documents: The JSON; it need not be valid.
        what: What it stands in, for the error.
        things: What is counted, for the error.
        param: The parameter at fault.

    Raises:
        InvalidRequestError: There are more, or longer ones.
    """
    if not _may_be_too_much(documents):
        return
    found = 0
    for document in documents:
        digits = b""
        for piece in outside_of_texts(document):
            found += _values(piece)
            if found > MOST_VALUES:
                raise _too_much(what, things, MOST_VALUES, param)
            digits = digits[-LONGEST_NUMBER:] + piece.translate(_DIGITS)
            if _TOO_LONG in digits:
                raise _too_much(what, "digits in a number", LONGEST_NUMBER, param)


def _may_be_too_much(documents: Iterable[bytes]) -> bool:
    """Check quickly, with strings counted too: what is within the limits then is so without strings."""
    found = 0
    for document in documents:
        digits = b""
        for start in range(0, len(document), _PIECE):
            piece = document[start : start + _PIECE]
            found += _values(piece)
            # a number that is too long has many digits in a row, also where only each of so many characters is seen
            digits = digits[-len(_MANY) :] + piece[::_STRIDE].translate(_DIGITS)
            if found > MOST_VALUES or _MANY in digits:
                return True
    return False


def _values(json: bytes) -> int:
    return json.count(b",") + json.count(b"[") + json.count(b"{")


def _ends_in_an_escape(piece: bytes) -> bool:
    return (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 1


def _too_much(what: str, things: str, most: int, param: str | None) -> InvalidRequestError:
    return InvalidRequestError(
        f"{what} must not have more than {most:,} {things}.",
        param=param,
        code="request_too_complex",
    )
