"""Strict, one-pass decoding of request bodies, with errors in OpenAI's words."""

import codecs
import itertools
import re
from collections.abc import Generator, Iterator
from typing import Any, ClassVar, TypeVar

import msgspec
from litestar._openapi.schema_generation import SchemaCreator
from litestar.dto import AbstractDTO
from litestar.dto.data_structures import DTOFieldDefinition
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition

from claude_relay.errors import InvalidRequestError, missing

T = TypeVar("T")

_PATH = re.compile(r"^(?:key in )?\$\.?(?P<path>.*)`$")
_HIGH, _LOW = rb"[89abAB][0-9a-fA-F]{2}", rb"[c-fC-F][0-9a-fA-F]{2}"
_LONE_SURROGATE = re.compile(rb"u(?<=\\u)[dD](?:%b(?!\\u[dD]%b)|(?<!\\u[dD]%b\\u[dD])%b)" % (_HIGH, _LOW, _HIGH, _LOW))
"""The escape of a lone surrogate, less its backslash: one that has not the other of its pair beside it."""
_MOST_SURROGATES = 1000
_STEP = 1024 * 1024
"""Bytes that are searched without a break."""
_PAIR = len(rb"\ud83d\ude00")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]+)`")


class WireDTO(AbstractDTO[T]):
    """Decodes a body into a msgspec Struct exactly as the Struct is declared.

    Litestar's own DTOs rebuild the Struct, which loses tags, strictness and component names. This one keeps the
    Struct: one prebuilt decoder for each handler, and the Struct itself in the schema.
    """

    _decoders: ClassVar[dict[str, msgspec.json.Decoder[Any]]] = {}

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None
    ) -> None:
        """Build the decoder of one handler."""
        cls._decoders[handler_id] = msgspec.json.Decoder(field_definition.annotation)

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: SchemaCreator
    ) -> Reference | Schema:
        """Describe the Struct itself."""
        return schema_creator.for_field_definition(field_definition)

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Generator[DTOFieldDefinition, None, None]:
        """Nothing is rebuilt, so there are no fields to define."""
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """Nothing is rebuilt, so nothing is nested."""
        return False

    def decode_bytes(self, value: bytes) -> Any:
        """Decode a request body.

        Raises:
            InvalidRequestError: The body is no JSON, or not what the handler takes.
        """
        return decode(self._decoders[self.asgi_connection.route_handler.handler_id], value)


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a body, naming the parameter at fault.

    Raises:
        InvalidRequestError: The body is no JSON, or not what the decoder takes.
    """
    try:
        return lenient(decoder, body)
    except msgspec.ValidationError as error:
        raise _to_invalid_request(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestError(f"The body is not valid JSON: {error}", code="invalid_json") from None


def lenient(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a body, with U+FFFD for each lone surrogate, which clients make when they cut a text.

    A byte order mark at its start, which some editors and shells write, is passed over.

    Raises:
        msgspec.DecodeError: The body is no JSON, or not what the decoder takes.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if (mended := _without_lone_surrogates(body)) == body:
            raise
        return decoder.decode(mended)


def _without_lone_surrogates(body: bytes) -> bytes:
    """Return a body with U+FFFD for the first lone surrogates in it."""
    pieces, done = [], 0
    for start, end in itertools.islice(_lone_surrogates(body), _MOST_SURROGATES):
        before = body[done:start]
        # a backslash that is escaped itself begins no escape
        is_escape = (len(before) - len(before.rstrip(b"\\"))) % 2 == 1
        pieces += [before, b"ufffd" if is_escape else body[start:end]]
        done = end
    return b"".join((*pieces, body[done:]))


def _lone_surrogates(body: bytes) -> Iterator[tuple[int, int]]:
    for start in range(0, len(body), _STEP):
        end = start + _STEP
        yield from (found.span() for found in _LONE_SURROGATE.finditer(body, start, end + _PAIR) if found.start() < end)


def _to_invalid_request(text: str) -> InvalidRequestError:
    """Turn msgspec's ``... - at `$.messages[0].content` `` into a message and a ``param``."""
    what, _, where = text.rpartition(" - at `")
    found = _PATH.match(where)
    what, path = (what, found["path"]) if found else (text, "")
    if lacking := _MISSING.search(what):
        return missing(f"{path}.{lacking['name']}".lstrip("."))
    subject = f"Invalid value for '{path}': " if path else "Invalid body: "
    return InvalidRequestError(f"{subject}{what[:1].lower()}{what[1:]}.", param=path or None, code="invalid_value")
