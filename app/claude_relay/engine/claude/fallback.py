"""What an upstream may refuse of a request, and the same request without it. Pure."""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from claude_relay.engine.claude.history import ended_by_user
from claude_relay.engine.constraints import excludes_budget
from claude_relay.engine.vocabulary import RunRequest, ThinkingBlock, ToolChoice, Turn
from claude_relay.errors import RelayError

Kind = Literal[
    "thinking_block",
    "prefill",
    "both",
    "top_k",
    "top_p",
    "temperature",
    "tool_choice",
    "budget",
    "thinking",
    "effort",
    "format",
    "strict",
]
"""Past reasoning, an option, options that some models do not take together, or the beginning of an answer."""
_SAMPLING: tuple[Kind, ...] = ("top_k", "top_p", "temperature")
"""Fields that some models refuse, alone or together; the one that matters least comes first."""
_DEFAULT = {"temperature": 1.0, "top_p": 1.0}
"""Values that ask for nothing."""
_WORDS: Mapping[Kind, re.Pattern[str]] = {
    "thinking_block": re.compile(
        r"signature|thinking` block|(?:each|any) thinking block|cannot (?:be|contain) `(?:redacted_)?thinking"
    ),
    "prefill": re.compile("prefill"),
    "both": re.compile("temperature.*top_p|top_p.*temperature"),
    "top_k": re.compile("top_k"),
    "top_p": re.compile("top_p"),
    "temperature": re.compile("temperature"),
    "tool_choice": re.compile("tool_choice"),
    "budget": re.compile("budget_tokens|redacted_thinking"),
    "thinking": re.compile(r"thinking\.type\.enabled|adaptive thinking"),
    "effort": re.compile("effort"),
    "format": re.compile("output_config|output_format"),
    "strict": re.compile(r"\bstrict\b|\btools\.\d+\.custom: |[Ss]chema|[Gg]rammar"),
}
"""How a refusal names its reason. The first that fits counts."""


class Refusable(Struct, frozen=True):
    """Something in a request that a model may refuse.

    Attributes:
        kind: What it is.
        value: Which of its values, where a model takes others: an effort, or the digest of schemas or of a block.
    """

    kind: Kind
    value: str = ""


def refusables(request: RunRequest) -> Iterator[Refusable]:
    """Yield what a model may refuse of a request, in the order in which a refusal is attributed to it."""
    sampling = request.sampling
    yield from (Refusable("thinking_block", _digest(block)) for block in reversed(list(_thinking_blocks(request))))
    if request.turns[-1].role == "assistant":
        yield Refusable("prefill")
    if sampling.temperature is not None and sampling.top_p is not None:
        yield Refusable("both")
    yield from (Refusable(name) for name in _SAMPLING if getattr(sampling, name) is not None)
    if request.tool_choice.mode == "required":
        yield Refusable("tool_choice")
    if request.effort != "none":
        if excludes_budget(request):
            yield Refusable("budget")
        yield Refusable("thinking")
    if request.effort is not None:
        yield Refusable("effort", request.effort)
    if request.output is not None and request.output.format is not None:
        yield Refusable("format", _digest(request.output.format))
    if strict := [tool.format for tool in request.tools if tool.format is not None]:
        yield Refusable("strict", _digest(strict))


def refused(request: RunRequest, error: RelayError) -> Refusable | None:
    """Return what an upstream has refused of a request, or None if there is nothing to leave out.

    An upstream that refuses a schema says so in many ways, so any other refusal of a constrained answer counts as that.

    Args:
        request: What was refused.
        error: How it was refused.
    """
    if error.status != 400 or error.code is not None:  # noqa: PLR2004 - HTTP's own number
        return None
    asked = list(refusables(request))
    named = (each for each in asked if _WORDS[each.kind].search(error.message))
    return next(named, None) or next((each for each in asked if each.kind == "format"), None)


def without(request: RunRequest, refusable: Refusable) -> tuple[RunRequest, tuple[str, ...]]:
    """Return the request without what is refused, and what of the client's options is missing then.

    Nothing is missing where another way leads to the same answer, or where the value asks for nothing.

    Args:
        request: What is asked.
        refusable: What is refused of it.
    """
    kind, sampling = refusable.kind, request.sampling
    match kind:
        case "thinking_block":
            return _forgetting(request, refusable.value), ("thinking",)
        case "prefill":
            return replace(request, turns=ended_by_user(request.turns)), ()
        case "both":
            less: Kind = "temperature" if sampling.temperature == _DEFAULT["temperature"] else "top_p"
            return without(request, Refusable(less))
        case "top_k" | "top_p" | "temperature":
            missing = getattr(sampling, kind) != _DEFAULT.get(kind)
            return replace(request, sampling=replace(sampling, **{kind: None})), (kind,) if missing else ()
        case "tool_choice":
            return replace(request, tool_choice=ToolChoice(parallel=request.tool_choice.parallel)), (kind,)
        case "budget" | "thinking":
            return replace(request, effort="none"), () if request.effort is None else ("reasoning_effort",)
        case "effort":
            return replace(request, effort=None), ("reasoning_effort",)
        case "strict":
            tools = tuple(replace(tool, format=None) for tool in request.tools)
            return replace(request, tools=tools), ("tools.function.strict",)
        case "format":
            return replace(request, output=request.output and replace(request.output, format=None)), ()


def _thinking_blocks(request: RunRequest) -> Iterator[ThinkingBlock]:
    for turn in request.turns:
        if turn.role == "assistant":
            yield from (piece for piece in turn.content if isinstance(piece, ThinkingBlock))


def _forgetting(request: RunRequest, value: str) -> RunRequest:
    """Return the request without a block and those before it; which of them is refused is not always told."""
    blocks = list(_thinking_blocks(request))
    forgotten = set(blocks[: [_digest(block) for block in blocks].index(value) + 1])
    return replace(request, turns=tuple(_turn_without(turn, forgotten) for turn in request.turns))


def _turn_without(turn: Turn, blocks: Collection[ThinkingBlock]) -> Turn:
    if turn.role == "user":
        return turn
    kept = tuple(piece for piece in turn.content if not (isinstance(piece, ThinkingBlock) and piece in blocks))
    return replace(turn, content=kept)


def _digest(schemas: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(schemas)).hexdigest()
