"""Personality -> argv and environment of a CLI process. Pure, and the same for every request."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from claude_relay.engine.claude import configuration, tools
from claude_relay.engine.claude.discovery import Installation
from claude_relay.engine.profiles import Profile
from claude_relay.settings import ASK, PREFIX, PermissionMode, Personality, Settings

_STREAMING = (
    *("-p", "--verbose", "--include-partial-messages"),
    *("--input-format", "stream-json", "--output-format", "stream-json"),
    "--no-session-persistence",
    *("--allowedTools", f"mcp__{tools.SERVER}"),
)
_CHAT = (
    *("--tools", ""),
    "--strict-mcp-config",
)
_PEERLESS = {"crossSessionInbound": "refuse"}
"""Every process registers as a session that other sessions of the same user may speak into; these words are nobody's
question here, and their answer must not be taken for that of a client's."""
_SETTINGS: Mapping[Personality, Mapping[str, Any]] = {
    # a tool of the client that is called Bash must not bring Claude Code's advice for its own along
    "chat": {**_PEERLESS, "includeCoAuthoredBy": False},
    "agent": _PEERLESS,
}
TRIED_SINCE = (2, 1, 197)
"""The oldest version that was tried; it knows ``--safe-mode``."""
_ASKING = (
    *("--permission-mode", "default"),
    # the question what is permitted comes as a control request
    *("--permission-prompt-tool", "stdio"),
    # it would ask the user something else, which a permission does not answer
    *("--disallowedTools", "AskUserQuestion"),
)

CLIENT_COMPOSED_SINCE = (2, 1, 330)
"""The oldest version known to take ``client_composed`` lines, which keeps ``@path`` and ``/command`` plain text."""

TRIED_UNTIL = (2, 1, 332)
"""The newest version that was tried."""

BASE_URL = "ANTHROPIC_BASE_URL"
"""The variable that tells the CLI its upstream."""
_NOT_INHERITED = frozenset(
    {
        "CLAUDECODE",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_EXTRA_BODY",
        "CLAUDE_CODE_SESSION_ID",
        "CLAUDE_CODE_SIMPLE",
        "CLAUDE_CODE_SSE_PORT",
        "TRACEPARENT",
        "TRACESTATE",
    }
)
"""Variables of a surrounding Claude Code, or meant for one run of it, that would affect ours."""

_ALWAYS = {
    # a broken stream is an error the client is told of, not a second, hidden request
    "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "1",
    # a refusal is an answer, and the client's to deal with: a second request would be paid for and shown to nobody
    "CLAUDE_CODE_DISABLE_REFUSAL_RETRY": "1",
    # tools of the client keep their names
    "CLAUDE_AGENT_SDK_MCP_NO_PREFIX": "1",
    # saves a garbage collection for every 16 ms of streaming
    "BUN_GC_TIMER_DISABLE": "1",
    # a server must not replace its own executable, nor phone home, in the middle of an answer
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
}
_BY_PERSONALITY: Mapping[Personality, Mapping[str, str]] = {
    # a lone question is asked once: the client's SDK retries, and knows better how long to wait
    "chat": {
        "CLAUDE_CODE_MAX_RETRIES": "0",
        "CLAUDE_CODE_DISABLE_ATTACHMENTS": "1",
        "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
        # a tool of the client that is called Agent must not bring the list of Claude Code's own agents along
        "CLAUDE_AGENT_SDK_DISABLE_BUILTIN_AGENTS": "1",
        # the conversation is the client's: what is too long for the model is refused, not abridged
        "DISABLE_AUTO_COMPACT": "1",
        "CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE": configuration.UNLIMITED,
        # a process that answers many short questions needs a fifth less memory so, and no more time
        "BUN_JSC_gcMaxHeapSize": str(16 * 1024 * 1024),
        "BUN_JSC_useFTLJIT": "0",
    },
    # an agent in the middle of its work is worth a second and a third try
    "agent": {"CLAUDE_CODE_MAX_RETRIES": "2"},
}


def argv(
    installation: Installation, personality: Personality, settings: Settings, profile: Profile | None = None
) -> tuple[str, ...]:
    """Return the command line of a generic process.

    Args:
        installation: The CLI.
        personality: What the process will be.
        settings: The operator's usual model, which a request for another changes over stdin; and for ``agent`` who
            answers Claude Code's permission questions, and how much it may do for one answer.
        profile: What is otherwise for one name.
    """
    model = settings.model if profile is None else profile.model
    flags = _chat_flags(installation) if personality == "chat" else _agent_flags(settings, profile)
    own = msgspec.json.encode(_SETTINGS[personality]).decode()
    return (installation.path, *_STREAMING, "--model", model, "--settings", own, *flags)


def environment(
    base: Mapping[str, str], installation: Installation, personality: Personality, relay_port: int
) -> dict[str, str]:
    """Return the environment of a process: the user's own, less what would affect a run, plus what the relay needs.

    Args:
        base: The environment the relay was started in.
        installation: The CLI.
        personality: What the process will be.
        relay_port: The relay's own port: an upstream that points there would be a loop.
    """
    kept = {name: value for name, value in base.items() if name not in _NOT_INHERITED and not name.startswith(PREFIX)}
    if points_at_relay(kept.get(BASE_URL, ""), relay_port):
        del kept[BASE_URL]
    guard = {} if takes_client_composed(installation) else {"CLAUDE_CODE_DISABLE_ATTACHMENTS": "1"}
    return {**kept, **_ALWAYS, **_BY_PERSONALITY[personality], **guard}


def points_at_relay(url: str, relay_port: int) -> bool:
    """Whether an upstream would be the relay itself.

    Args:
        url: Its address.
        relay_port: The relay's own port.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.hostname in {"localhost", "127.0.0.1", "0.0.0.0", "::1"} and port == relay_port  # noqa: S104


def takes_client_composed(installation: Installation) -> bool:
    """Whether the CLI can be told, line by line, that ``@path`` and ``/command`` are plain text."""
    return installation.version >= CLIENT_COMPOSED_SINCE


def traces(base: Mapping[str, str]) -> bool:
    """Whether the CLI sends spans of its own, by the environment that the relay was started in."""
    return bool(base.get("CLAUDE_CODE_ENABLE_TELEMETRY") and base.get("CLAUDE_CODE_ENHANCED_TELEMETRY_BETA"))


def ties_turns(installation: Installation) -> bool:
    """Whether the CLI is known to name the lines of each turn; for newer versions the self-test finds out."""
    return CLIENT_COMPOSED_SINCE <= installation.version <= TRIED_UNTIL


def proves_reset(installation: Installation) -> bool:
    """Whether the CLI can go back to before a conversation's first line, and tell what stands before that."""
    return installation.version >= CLIENT_COMPOSED_SINCE


def _chat_flags(installation: Installation) -> tuple[str, ...]:
    """Safe mode keeps the user's way of logging in; an older CLI without it is isolated from all settings."""
    if takes_client_composed(installation):
        # commands are never wanted, and looking for them takes time; an older CLI needs them to say what is none
        return (*_CHAT, "--safe-mode", "--disable-slash-commands")
    if installation.version >= TRIED_SINCE:
        return (*_CHAT, "--safe-mode")
    return (*_CHAT, "--setting-sources", "")


def permission_mode(settings: Settings, profile: Profile | None) -> PermissionMode | None:
    """Return how an agent's tools are permitted; None if as the user's own settings of Claude Code say."""
    return (profile and profile.permission) or settings.permission_mode


def _agent_flags(settings: Settings, profile: Profile | None) -> tuple[str, ...]:
    mode = permission_mode(settings, profile)
    asks = mode == ASK
    flags = {
        "--permission-mode": None if asks else mode,
        "--max-turns": str(settings.max_turns) if settings.max_turns else None,
        "--max-budget-usd": f"{settings.max_budget_usd:f}" if settings.max_budget_usd else None,
    }
    given = tuple(part for flag, value in flags.items() if value is not None for part in (flag, value))
    return (*(_ASKING if asks else ()), *given, *(() if profile is None else _profile_flags(profile)))


def _profile_flags(profile: Profile) -> tuple[str, ...]:
    tools = () if profile.tools is None else ("--tools", ",".join(profile.tools))
    servers = () if profile.mcp is None else ("--mcp-config", profile.mcp, "--strict-mcp-config")
    return (*tools, *servers)
