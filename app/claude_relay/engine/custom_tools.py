"""Tools that take plain text, and what is told of every call: its arguments as JSON, or the text. Pure.

The model knows calls with arguments only, so a tool that takes text has one argument, and the client gets what stands
in it, as it is written.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import msgspec

from claude_relay.engine.property_names import with_names
from claude_relay.engine.vocabulary import Event, RunEnd, Tool, ToolCallDelta, ToolCallStart

_FIELD = "input"
"""The one argument of a tool that takes text; OpenAI's name for the text."""

NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}}
"""The schema of a function that takes none."""

_OPENING = re.compile(rf'\s*+\{{\s*+"{_FIELD}"\s*+:\s*+"')
_HEX = "[0-9a-fA-F]"
_PIECE = rf'[^"\\]++|\\[^u]|\\u(?![dD][89abAB]){_HEX}{{4}}'
_FIRST_HALF = rf"\\u[dD][89abAB]{_HEX}{{2}}"
_READY = re.compile(rf"(?:{_PIECE}|{_FIRST_HALF}(?:\\u{_HEX}{{4}}|(?=[^\\]|\\[^u])))*")
"""What stands inside a JSON string and will not change, whatever comes: no half escape, no half of a pair."""
_INSIDE = re.compile(rf"(?:{_PIECE}|{_FIRST_HALF})*")
"""What stands inside a JSON string of which nothing more will come."""


_LONGEST_REST = 1_000
"""Characters that stand before the text, or wait for more of an escape; many times what they can be."""


class ToolCalls:
    """Reads the calls in the events of one run.

    Args:
        tools: The client's tools.
    """

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools if tool.takes_text or tool.client_names}
        self._open: Arguments | None = None

    def feed(self, event: Event) -> Iterator[Event]:
        """Yield what an event tells: a call with arguments that a client can read, however they were cut."""
        match event:
            case ToolCallDelta(piece) if self._open is not None:
                yield from _told(self._open.feed(piece))
            case ToolCallStart() | RunEnd():
                if self._open is not None:
                    yield from _told(self._open.flush())
                self._open = self._reader(event) if isinstance(event, ToolCallStart) else None
                yield event
            case _:
                yield event

    def _reader(self, call: ToolCallStart) -> "Arguments":
        tool = self._tools.get(call.name)
        if tool is None:
            return Json()
        return InputText() if tool.takes_text else ClientsNames(tool.client_names)


def _told(arguments: str) -> Iterator[Event]:
    if arguments:
        yield ToolCallDelta(arguments)


class Arguments(Protocol):
    """Reads the arguments of one call, as they come."""

    def feed(self, piece: str) -> str:
        """Return what a piece of JSON adds to the client's output."""

    def flush(self) -> str:
        """Return the rest of the output when the call is complete."""


class Json:
    """Passes arguments on as they are."""

    def __init__(self) -> None:
        self._empty = True

    def feed(self, piece: str) -> str:
        """Return the piece."""
        self._empty = self._empty and not piece
        return piece

    def flush(self) -> str:
        """Return an empty object where nothing came: the upstream leaves it out, and clients read JSON."""
        return "{}" if self._empty else ""


class ClientsNames:
    """Passes arguments on at the end of their call, with the names that the client knows.

    Args:
        names: The client's names, by those that the model knows.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._pieces: list[str] = []

    def feed(self, piece: str) -> str:
        """Keep the piece."""
        self._pieces.append(piece)
        return ""

    def flush(self) -> str:
        """Return all arguments; what is no object is passed on as it is."""
        arguments = arguments_of("".join(self._pieces))
        if isinstance(arguments, str):
            return arguments
        return msgspec.json.encode(with_names(arguments, self._names)).decode()


class InputText:
    """Extracts the text, which is the only argument."""

    def __init__(self) -> None:
        self._opened = False
        self._raw = ""
        self._unread: list[str] = []

    def feed(self, piece: str) -> str:
        """Return the text that is complete."""
        if self._unread or len(self._raw) > _LONGEST_REST:
            # it is not what it should be, or has come to its end: looking at it again and again is of no use
            self._unread.append(piece)
            return ""
        self._raw += piece
        if not self._opened:
            opening = _OPENING.match(self._raw)
            if opening is None:
                return ""
            self._opened = True
            self._raw = self._raw[opening.end() :]
        return self._taken(_READY)

    def flush(self) -> str:
        """Return what waited for more; arguments that are not what they should be are told as they are."""
        self._raw += "".join(self._unread)
        return self._taken(_INSIDE) if self._opened else self._raw

    def _taken(self, wanted: re.Pattern[str]) -> str:
        found = wanted.match(self._raw)
        taken = found[0] if found else ""
        self._raw = self._raw[len(taken) :]
        return _unescaped(taken)


def arguments_schema(given: dict[str, Any]) -> dict[str, Any]:
    """Return a client's schema of arguments as the upstream takes it: it must say that they are an object."""
    return given if "type" in given else {"type": "object", **given}


def grammar(syntax: str, rules: str) -> str:
    """Return how the model is told of the grammar of a text."""
    return f"Text of this {syntax} grammar:\n{rules}"


def text_tool(name: str, description: str, expected: str = "") -> Tool:
    """Return a tool that takes text.

    Args:
        name: Its name.
        description: What it does.
        expected: What the text must be; nothing holds the model to it.
    """
    text = {"type": "string", "description": expected} if expected else {"type": "string"}
    schema = {"type": "object", "properties": {_FIELD: text}, "required": [_FIELD], "additionalProperties": False}
    return Tool(name, description, schema, takes_text=True)


def with_input(text: str) -> dict[str, Any]:
    """Return the arguments of a call with text: the upstream takes an object only."""
    return {_FIELD: text}


def arguments_of(text: str) -> dict[str, Any] | str:
    """Return the object that a call's arguments are, or the text if the model wrote none."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return text


def _unescaped(text: str) -> str:
    """Return a JSON string's text; a lone surrogate becomes U+FFFD."""
    try:
        found = str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text
    try:
        found.encode()
    except UnicodeEncodeError:
        return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return found
