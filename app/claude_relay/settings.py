"""What the operator chooses: one frozen Struct.

Each field is at once a flag of ``claude-relay serve``, a variable ``CLAUDE_RELAY_*`` and a line of ``.env``;
``claude_relay.settings_loading`` reads them.
"""

from collections.abc import Mapping
from functools import cache, cached_property
from types import MappingProxyType
from typing import Annotated, Any, Literal, cast, get_args

import msgspec
from msgspec import Meta

from claude_relay.errors import SettingsError

PREFIX = "CLAUDE_RELAY_"

Personality = Literal["agent", "chat"]
PermissionMode = Literal["default", "acceptEdits", "auto", "dontAsk", "plan", "bypassPermissions", "ask"]
ASK: PermissionMode = "ask"
"""The permission mode in which callers are asked."""
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]


def restricted(description: str, **traits: Any) -> Meta:
    """Describe a setting that a ``.env`` file sets only if the operator has named that file.

    It decides who gets in, what is executed or with which permissions, or where what callers say is kept; and a file
    may just happen to lie in the current directory, such as that of a repository somebody cloned.

    Args:
        description: What it means.
        traits: What else ``Option`` tells of it: ``flag``, ``secret``, ``separator``.
    """
    return Meta(description=description, extra={"restricted": True, **traits})


def unrestricted(description: str, **bounds: Any) -> Meta:
    """Describe any other setting.

    Args:
        description: What it means.
        bounds: What its values must be, as ``msgspec.Meta`` has it.
    """
    return Meta(description=description, extra={"restricted": False}, **bounds)


class Settings(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The operator's choices, checked."""

    host: Annotated[str, restricted("Address to listen on.")] = "0.0.0.0"  # noqa: S104 - as documented
    port: Annotated[int, unrestricted("Port to listen on.", ge=1, le=65535)] = 8082
    uds: Annotated[
        str | None,
        restricted("Path of a Unix socket to listen on, instead of an address; only your user can open it."),
    ] = None
    api_keys: Annotated[
        tuple[str, ...],
        restricted(
            "A key that lets its holder in, from anywhere: NAME=KEY, or KEY. Without any, only programs of "
            "this machine are served. Several: repeat the flag, or use commas.",
            flag="--api-key",
            secret=True,
        ),
    ] = ()
    api_key_file: Annotated[
        str | None,
        restricted("A file of further keys, one on each line; lines that begin with # do not count."),
    ] = None
    metrics_key: Annotated[
        str | None,
        restricted("A key that opens /metrics, from anywhere, and nothing else: for Prometheus.", secret=True),
    ] = None
    allow_origin: Annotated[
        tuple[str, ...],
        restricted(
            "Origin of a web page that may call without a key, such as https://app.example, or * for all. "
            "Pages of this machine always may. Several: repeat the flag, or use commas."
        ),
    ] = ()
    trusted_proxy: Annotated[
        tuple[str, ...],
        restricted(
            "Address or network of a proxy whose X-Forwarded-For tells who really calls, or 'unix' for one "
            "that connects to --uds. Several: repeat the flag, or use commas."
        ),
    ] = ()
    max_body_size: Annotated[
        int,
        unrestricted("Megabytes that the body of a request may have; larger ones get 413.", ge=1, le=2048),
    ] = 32
    max_connections: Annotated[
        int,
        unrestricted(
            "Connections at once, for each of --workers; further ones are refused. 0 means half of the "
            "file descriptors that a process may have (ulimit -n), and 10000 at most.",
            ge=0,
        ),
    ] = 0
    max_per_address: Annotated[
        int,
        unrestricted(
            "Connections at once from one address, or one IPv6 network of 64 bits. 0 means half of "
            "--max-connections. This machine and trusted proxies are not limited by it.",
            ge=0,
        ),
    ] = 0
    personality: Annotated[
        Personality,
        unrestricted(
            "What answers: 'agent' is your own Claude Code with its tools, settings and MCP servers, "
            "'chat' a plain isolated model."
        ),
    ] = "agent"
    personality_for: Annotated[
        tuple[str, ...],
        restricted(
            "What answers the holder of a key, whatever --personality says: the key's name and a "
            "personality, such as webui=chat. Several: repeat the flag, or use commas."
        ),
    ] = ()
    runner: Annotated[
        Literal["claude", "echo"],
        unrestricted("The engine: Claude Code, or the offline 'echo' for testing clients."),
    ] = "claude"
    model: Annotated[
        str,
        unrestricted("Model for which processes are kept ready; any other works too.", min_length=1),
    ] = "sonnet"
    cwd: Annotated[
        str | None,
        restricted("Directory the 'agent' personality works in.  [default: the current one]"),
    ] = None
    claude_path: Annotated[
        str | None,
        restricted(
            "The Claude Code executable.  [default: 'claude' on PATH, then the one bundled with claude-agent-sdk]"
        ),
    ] = None
    permission_mode: Annotated[
        PermissionMode | None,
        restricted(
            "Claude Code's permission mode for 'agent'; with 'ask' the caller is asked before a tool that "
            "needs permission.  [default: what your Claude Code settings say]"
        ),
    ] = None
    approval_timeout: Annotated[
        float,
        unrestricted("Seconds that a tool waits for the caller's permission with --permission-mode ask.", gt=0),
    ] = 300.0
    history: Annotated[
        Literal["native", "verbatim"],
        unrestricted(
            "How 'chat' hands a conversation to Claude Code: as turns of its own, or as the upstream's "
            "messages, word for word (for API keys and gateways of your own)."
        ),
    ] = "native"
    alias: Annotated[
        tuple[str, ...],
        restricted("Another name for a model, such as gpt-4o=sonnet. Several: repeat the flag, or use commas."),
    ] = ()
    profile: Annotated[
        tuple[str, ...],
        restricted(
            "A name that callers may ask for as a model, and what answers them, where, and what it may do: "
            "docs=sonnet:agent,cwd=~/docs,tools=Read+Grep. Several: repeat the flag, or use semicolons.",
            separator=";",
        ),
    ] = ()
    profiles: Annotated[
        str | None,
        restricted("A TOML file of further profiles, each a table of its own."),
    ] = None
    strict: Annotated[
        bool,
        unrestricted("Refuse requests with parameters that have no effect, instead of naming them."),
    ] = False
    reasoning: Annotated[bool, unrestricted("Show the model's thinking as reasoning_content.")] = True
    show_activity: Annotated[
        bool,
        unrestricted("Show what tools an agent uses, one line each, as reasoning_content."),
    ] = False
    warm: Annotated[
        int,
        unrestricted("Processes kept ready for each personality in use, or likely to be.", ge=0, le=64),
    ] = 1
    reuse: Annotated[
        bool,
        unrestricted("Use processes again: for the next turn of their conversation, or reset for another."),
    ] = True
    self_test: Annotated[
        bool,
        restricted("Try at start, offline, whether processes of this Claude Code can be used again."),
    ] = True
    console: Annotated[bool, unrestricted("Serve a page at / that shows what the relay does.")] = True
    store: Annotated[
        bool,
        unrestricted("Keep responses, so that requests can go on from them and refer to their items."),
    ] = True
    state_dir: Annotated[
        str | None,
        restricted(
            "Directory of the file that responses are kept in.  "
            "[default: claude-relay in XDG_STATE_HOME, or in ~/.local/state]"
        ),
    ] = None
    store_url: Annotated[
        str | None,
        restricted(
            "A Valkey or Redis server, 7.0 or newer, that keeps responses for several relays, instead of a "
            "file: valkey://USER:PASSWORD@HOST:PORT/DATABASE; valkeys:// with TLS.",
            secret=True,
        ),
    ] = None
    store_days: Annotated[int, unrestricted("Days that responses are kept.", ge=1, le=3650)] = 30
    resume_timeout: Annotated[
        float,
        unrestricted(
            "Seconds for which a response that is streamed and kept is worked on after its client has "
            "left, so that it can be resumed. Asked for within them, it is worked on to its end. 0 means to stop.",
            ge=0,
        ),
    ] = 30.0
    idle_timeout: Annotated[
        float,
        unrestricted("Seconds that a process waits for its next question before it is ended.", gt=0),
    ] = 600.0
    max_concurrent: Annotated[
        int,
        unrestricted(
            "Answers at once; 0 means four for each core, or what memory allows. Further ones wait.", ge=0, le=1024
        ),
    ] = 0
    max_queue: Annotated[int, unrestricted("Requests that may wait in line; further ones get 429.", ge=0)] = 256
    queue_timeout: Annotated[
        float,
        unrestricted("Seconds that a request waits in line at most; then it gets 429.", gt=0),
    ] = 300.0
    max_per_caller: Annotated[
        int,
        unrestricted(
            "Answers at once for one key, or one user if there are no keys; 0 means no limit. More wait.", ge=0
        ),
    ] = 0
    max_per_minute: Annotated[
        int,
        unrestricted("Answers within a minute for one key, or one user if there are no keys; 0 means no limit.", ge=0),
    ] = 0
    max_usd_per_day: Annotated[
        float,
        unrestricted("US dollars a day (UTC) for one key, or one user if there are no keys; 0 means no limit.", ge=0),
    ] = 0.0
    first_byte: Annotated[
        float,
        unrestricted(
            "Seconds until a response begins even if its status is not known: with 200, and signs of life "
            "from there on, since proxies give up on silence. A later failure is an error inside. 0 means to wait.",
            ge=0,
        ),
    ] = 10.0
    first_event_timeout: Annotated[
        float,
        unrestricted("Seconds until an answer must have begun; then it is stopped, with 504.", gt=0),
    ] = 300.0
    silence_timeout: Annotated[
        float,
        unrestricted("Seconds that an answer may pause, as while a tool of an agent runs.", gt=0),
    ] = 900.0
    total_timeout: Annotated[float, unrestricted("Seconds that an answer may take in all.", gt=0)] = 14400.0
    max_turns: Annotated[
        int,
        unrestricted("Rounds of tool use in one answer of an agent; 0 means no limit.", ge=0),
    ] = 0
    max_budget_usd: Annotated[
        float,
        unrestricted(
            "US dollars that one answer of an agent may cost; 0 means no limit. With one, each answer gets "
            "a process of its own.",
            ge=0,
        ),
    ] = 0.0
    max_processes: Annotated[
        int,
        unrestricted("Claude processes in all, idle ones included; 0 means what memory allows.", ge=0, le=4096),
    ] = 0
    max_process_turns: Annotated[
        int,
        unrestricted("Questions that one process answers before a fresh one takes over; 0 means no limit.", ge=0),
    ] = 0
    max_process_memory: Annotated[
        int, unrestricted("Megabytes of memory beyond which a process is not used again.", ge=1)
    ] = 1024
    workers: Annotated[
        int,
        unrestricted("Server processes; each keeps Claude processes of its own.", ge=1, le=64),
    ] = 1
    reload: Annotated[bool, restricted("Restart the server when its code changes (for development).")] = False
    drain_timeout: Annotated[
        int,
        unrestricted("Seconds that running answers get to finish when the server stops.", ge=0),
    ] = 5
    env_file: Annotated[
        str | None,
        restricted(
            "A file of variables such as these. The .env of the current directory is read too if none is "
            "named, but it does not decide who gets in, what is executed or with which permissions."
        ),
    ] = None
    log_level: Annotated[LogLevel, unrestricted("The least important messages that are logged.")] = "info"
    log_format: Annotated[
        LogFormat,
        unrestricted("How messages are logged: lines for people, or JSON for programs."),
    ] = "text"

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """Models by the other names they have."""
        return MappingProxyType(dict(map(parse_alias, self.alias)))

    @cached_property
    def personalities(self) -> Mapping[str, Personality]:
        """What answers the holders of keys, by the names of their keys, where it is not what answers everybody."""
        return MappingProxyType(dict(map(parse_personality, self.personality_for)))

    def personality_of(self, caller: str) -> Personality:
        """Return what answers a caller whose request does not say it."""
        return self.personalities.get(caller, self.personality)

    def __repr__(self) -> str:
        """Show the settings, but no secret: what is shown may end up in a log."""
        shown = {option.name: "..." if option.secret else getattr(self, option.name) for option in options()}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class Option(msgspec.Struct, frozen=True):
    """One setting as documentation shows it.

    Attributes:
        name: The field.
        description: What it means.
        default: Its default; None where the description tells it.
        choices: The values it takes, where there are few.
        switch: Whether it is on or off.
        many: Whether it takes several values.
        separator: What stands between several values in one text.
        flag: The command line flag, such as ``--log-level``.
        secret: Whether its values are nobody's business, and never shown.
        restricted: Whether a ``.env`` file must have been named by the operator to set it.
    """

    name: str
    description: str
    default: object
    choices: tuple[str, ...]
    switch: bool
    many: bool
    separator: str
    flag: str
    secret: bool
    restricted: bool

    @property
    def default_text(self) -> str:
        """The default as it would be written, empty if there is none."""
        if self.default is None or self.default == ():
            return ""
        return str(self.default).lower() if self.switch else str(self.default)

    @property
    def variable(self) -> str:
        """The environment variable, such as ``CLAUDE_RELAY_PORT``."""
        return PREFIX + self.name.upper()


@cache
def options() -> tuple[Option, ...]:
    """Return all settings, in the order of their fields."""
    return tuple(map(_option, msgspec.structs.fields(Settings)))


def _option(field: msgspec.structs.FieldInfo) -> Option:
    info = msgspec.inspect.type_info(field.type)
    assert isinstance(info, msgspec.inspect.Metadata)  # noqa: S101 - every field has a description
    members = info.type.types if isinstance(info.type, msgspec.inspect.UnionType) else (info.type,)
    literals = [member for member in members if isinstance(member, msgspec.inspect.LiteralType)]
    # every setting says whether it is restricted
    extra = info.extra or {}
    return Option(
        field.name,
        (info.extra_json_schema or {})["description"],
        field.default,
        tuple(str(value) for literal in literals for value in literal.values),
        switch=isinstance(info.type, msgspec.inspect.BoolType),
        many=isinstance(info.type, msgspec.inspect.VarTupleType),
        separator=extra.get("separator", ","),
        flag=extra.get("flag", "--" + field.name.replace("_", "-")),
        secret=extra.get("secret", False),
        restricted=extra["restricted"],
    )


def parse_alias(alias: str) -> tuple[str, str]:
    """Return the name and the model that an alias such as ``gpt-4o=sonnet`` is made of.

    Raises:
        SettingsError: It is no such pair.
    """
    name, _, model = (part.strip() for part in alias.partition("="))
    if not name or not model:
        raise SettingsError(f"{PREFIX}ALIAS (--alias): expected NAME=MODEL; got {alias!r}")
    return name, model


def parse_personality(text: str) -> tuple[str, Personality]:
    """Return the name of a key, and the personality that answers its holder, from ``webui=chat``.

    Raises:
        SettingsError: It is no such pair.
    """
    name, _, personality = (part.strip() for part in text.partition("="))
    if not name or personality not in get_args(Personality):
        raise SettingsError(
            f"{PREFIX}PERSONALITY_FOR (--personality-for): expected NAME=agent or NAME=chat; got {text!r}"
        )
    return name, cast("Personality", personality)
