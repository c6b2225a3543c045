"""Strict, one-pass decoding of request bodies, with errors in OpenAI's words."""

import codecs
from collections.abc import Generator
from typing import Any, ClassVar, TypeVar

import msgspec
from litestar._openapi.schema_generation import SchemaCreator
from litestar.dto import AbstractDTO
from litestar.dto.data_structures import DTOFieldDefinition
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition

from claude_relay.engine import surrogates
from claude_relay.errors import InvalidRequestError
from claude_relay.web.validation_errors import to_invalid_request

T = TypeVar("T")


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
        raise to_invalid_request(str(error), decoder.type) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestError(
            f"We could not parse the JSON body of your request: {_reason(error)}.", code="invalid_json"
        ) from None


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    what = str(error).removeprefix("JSON is malformed: ")
    return what[:1].lower() + what[1:]


def lenient(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a body, with U+FFFD for each lone surrogate; clients make them when they cut a text.

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
        if (mended := surrogates.without_lone(body)) == body:
            raise
        return decoder.decode(mended)
