"""Limits of a request for a response, checked before anything iterates over it. Pure.

They keep the time bounded in which one request has the server to itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from claude_relay.errors import text_too_long, too_long
from claude_relay.responses.schemas import ResponsesRequest
from claude_relay.web import bodies

MOST_ITEMS = 20_000
MOST_TOOLS = 1_024
"""Tools of a list; those of a namespace have a limit of their own."""
LONGEST_MODEL = 5_000
"""Characters. Every response tells the model's name."""


def require_few(request: ResponsesRequest) -> None:
    """Check the lengths of a request's lists and texts.

    Raises:
        InvalidRequestError: One is too long.
    """
    if len(request.model or "") > LONGEST_MODEL:
        raise text_too_long("model", LONGEST_MODEL, len(request.model or ""))
    if isinstance(request.input, list) and len(request.input) > MOST_ITEMS:
        raise too_long("input", MOST_ITEMS, len(request.input))
    for param, tools in _lists_of_tools(request):
        if len(tools) > MOST_TOOLS:
            raise too_long(param, MOST_TOOLS, len(tools))
    _require_readable_arguments(request)


def _lists_of_tools(request: ResponsesRequest) -> Iterator[tuple[str, list[Any]]]:
    given = request.tools or []
    yield "tools", given
    yield from _of_namespaces("tools", given)
    for index, item in enumerate(_items(request)):
        if isinstance(found := item.get("tools"), list):
            yield f"input[{index}].tools", found
            yield from _of_namespaces(f"input[{index}].tools", found)


def _of_namespaces(param: str, tools: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    for index, tool in enumerate(tools[:MOST_TOOLS]):
        if isinstance(tool, Mapping) and isinstance(inner := tool.get("tools"), list):
            yield f"{param}[{index}].tools", inner


def _require_readable_arguments(request: ResponsesRequest) -> None:
    """Check the arguments of past calls, which are JSON inside strings and were not counted with the body."""
    written = [found for item in _items(request) if isinstance(found := item.get("arguments"), str)]
    if sum(map(len, written)) > bodies.LARGE:
        documents = [arguments.encode() for arguments in written]
        bodies.look_over(documents, "'input'", "values in the arguments of calls", "input")


def _items(request: ResponsesRequest) -> list[dict[str, Any]]:
    return request.input if isinstance(request.input, list) else []
