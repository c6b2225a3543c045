"""Limits of a request for a response, checked before anything iterates over it. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from claude_relay.responses.schemas import ResponsesRequest
from claude_relay.web import body_limits
from claude_relay.web.body_limits import MOST_TOOLS

MOST_ITEMS = 20_000


def require_few(request: ResponsesRequest) -> None:
    """Check the lengths of a request's lists and texts.

    Raises:
        InvalidRequestError: One is too long.
    """
    items = _items(request)
    body_limits.require_short("model", request.model, body_limits.LONGEST_MODEL)
    body_limits.require_few("input", items, MOST_ITEMS)
    for param, tools in _lists_of_tools(request):
        body_limits.require_few(param, tools, MOST_TOOLS)
    written = [found for item in items if isinstance(found := item.get("arguments"), str)]
    body_limits.require_readable_arguments("input", written)


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


def _items(request: ResponsesRequest) -> list[dict[str, Any]]:
    return request.input if isinstance(request.input, list) else []
