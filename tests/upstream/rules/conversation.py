"""Rules about messages: roles, texts, tool calls with their results, thinking in tool loops, the end."""

import re
from itertools import groupby, pairwise

from .blocks import Json, Placed, Turn, messages_of, turns
from .models import refuses_prefill, refuses_system_role

TOOL_ID = r"^[a-zA-Z0-9_-]+$"
_TOOL_ID = re.compile(TOOL_ID.strip("^$"))

_SYSTEM_ELSEWHERE = "the directive-only form (content: [] with output_config) is accepted at any position"
_THINKING_FIRST = (
    "When `thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the "
    "lastmost set of `tool_use` and `tool_result` blocks). We recommend you include thinking blocks from previous "
    "turns. To avoid this requirement, disable `thinking`. Please consult our documentation at "
    "https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
)


def has_known_roles(body: Json) -> str | None:
    """User and assistant; new models take system messages between a user's message and an assistant's.

    Seen in anthropics/claude-code#61412 and #73821; the words for other roles are ours.
    """
    messages = messages_of(body)
    roles = [message["role"] for message in messages]
    for index, role in enumerate(roles):
        if role not in {"user", "assistant", "system"}:
            return f"messages.{index}.role: Input should be 'user' or 'assistant'"
    if "system" in roles and refuses_system_role(body["model"]):
        return "role 'system' is not supported on this model"
    # a system message without words sets options, and may stand anywhere
    return _misplaced_system_message(
        [(index, role) for index, role in enumerate(roles) if messages[index]["content"] != []]
    )


def has_content(body: Json) -> str | None:
    """No message, and no text in a message or in the system prompt, is empty or white space.

    Seen in HKUDS/nanobot#949 and anthropics/claude-code#23440.
    """
    for index, message in enumerate(messages_of(body)):
        is_last = index == len(messages_of(body)) - 1
        if not message["content"] and (message["role"] == "user" or (message["role"] == "assistant" and not is_last)):
            return (
                f"messages.{index}: all messages must have non-empty content except for the optional final "
                "assistant message"
            )
    texts = [placed.block["text"] for turn in turns(body) for placed in turn.of_type("text")]
    prompt = body.get("system") or []
    instructions = [prompt] if isinstance(prompt, str) else [block["text"] for block in prompt]
    return _blank("messages", texts) or _blank("system", instructions)


def has_tool_ids(body: Json) -> str | None:
    """The ids of calls are words of letters, digits, `_` and `-`, and none is given twice.

    Seen in RooCodeInc/Roo-Code#10649 and anthropics/anthropic-sdk-csharp#53.
    """
    seen: set[str] = set()
    for found in (placed for turn in turns(body) for placed in turn.of_type("tool_use", "tool_result")):
        field = "id" if found.block["type"] == "tool_use" else "tool_use_id"
        if _TOOL_ID.fullmatch(found.block[field]) is None:
            return f"{found.path}.{found.block['type']}.{field}: String should match pattern '{TOOL_ID}'"
        if field == "id":
            if found.block["id"] in seen:
                return f"{found.path}: `tool_use` ids must be unique"
            seen.add(found.block["id"])
    return None


def has_tool_pairs(body: Json) -> str | None:
    """Each result follows its call in the very next message, and each call has its result there.

    Seen in anthropics/claude-code#5989 and router-for-me/CLIProxyAPI#497.
    """
    nothing = Turn(0, "", [])
    for before, turn, after in zip([nothing, *turns(body)], turns(body), [*turns(body)[1:], nothing], strict=False):
        called = {placed.block["id"] for placed in before.of_type("tool_use")}
        for result in turn.of_type("tool_result"):
            if result.block["tool_use_id"] not in called:
                return (
                    f"{result.path}: unexpected `tool_use_id` found in `tool_result` blocks: "
                    f"{result.block['tool_use_id']}. Each `tool_result` block must have a corresponding `tool_use` "
                    "block in the previous message."
                )
        answered = {placed.block["tool_use_id"] for placed in after.of_type("tool_result")}
        open_calls = [call.block["id"] for call in turn.of_type("tool_use") if call.block["id"] not in answered]
        if open_calls:
            return (
                f"messages.{turn.index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(open_calls)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )
    return None


def has_thinking_in_tool_loops(body: Json) -> str | None:
    """With a thinking budget, the tool loop that goes on began with thinking.

    Only the first message of the loop counts: the API itself writes later ones without thinking.

    Seen in anomalyco/opencode#3077 and deepset-ai/haystack-core-integrations#2146.
    """
    first = _begin_of_the_open_loop(body)
    if body.get("thinking", {}).get("type") != "enabled" or first is None:
        return None
    kind = first.block["type"]
    if kind in {"thinking", "redacted_thinking"}:
        return None
    return f"{first.path}.type: Expected `thinking` or `redacted_thinking`, but found `{kind}`. {_THINKING_FIRST}"


def ends_where_the_model_can_go_on(body: Json) -> str | None:
    """The last message is the user's, or the model takes the beginning of its answer, without white space after it.

    Seen in Coneja-Chibi/TunnelVision#5 and cortexkit/magic-context#511.
    """
    spoken = [turn for turn in turns(body) if turn.role != "system"]
    if not spoken or spoken[-1].role != "assistant":
        return None
    if refuses_prefill(body["model"]):
        return "This model does not support assistant message prefill. The conversation must end with a user message."
    last = spoken[-1].blocks[-1].block if spoken[-1].blocks else {}
    if last.get("text", "") != last.get("text", "").rstrip():
        return "messages: final assistant content cannot end with trailing whitespace"
    return None


def _misplaced_system_message(roles: list[tuple[int, str]]) -> str | None:
    """Look at system messages that follow each other as one."""
    groups = [(role, [index for index, _ in group]) for role, group in groupby(roles, lambda pair: pair[1])]
    for (before, _), (role, indexes) in pairwise([("", []), *groups]):
        if role == "system" and before != "user":
            return (
                f"messages.{indexes[0]}: role 'system' must follow a 'user' message or an 'assistant' message ending "
                f"in a server tool result; {_SYSTEM_ELSEWHERE}"
            )
    for (role, indexes), (after, _) in pairwise(groups):
        if role == "system" and after != "assistant":
            return (
                f"messages.{indexes[-1]}: role 'system' must precede an 'assistant' message or end the array; "
                f"{_SYSTEM_ELSEWHERE}"
            )
    return None


def _blank(path: str, texts: list[str]) -> str | None:
    if "" in texts:
        return f"{path}: text content blocks must be non-empty"
    if any(not text.strip() for text in texts):
        return f"{path}: text content blocks must contain non-whitespace text"
    return None


def _begin_of_the_open_loop(body: Json) -> Placed | None:
    """Return the first block of the tool loop whose results are the last thing said."""
    first: Placed | None = None
    is_open = False
    for turn in turns(body):
        if turn.role == "user":
            is_open = bool(turn.of_type("tool_result"))
            first = first if is_open else None
        elif turn.role == "assistant":
            is_open = False
            first = first or turn.blocks[0]
    return first if is_open else None
