"""What the operator chooses: one frozen Struct, and the only reader of the environment.

Each field is at once a flag of ``claude-relay serve``, a variable ``CLAUDE_RELAY_*`` and a line of ``.env``.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from dotenv import dotenv_values
from msgspec import Meta

from claude_relay import addresses, keys
from claude_relay.errors import SettingsError

PREFIX = "CLAUDE_RELAY_"

Personality = Literal["agent", "chat"]
PermissionMode = Literal["default", "acceptEdits", "auto", "dontAsk", "plan", "bypassPermissions"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's choices, checked."""

    host: Annotated[str, Meta(description="Address to listen on.")] = "0.0.0.0"  # noqa: S104 - as documented
    port: Annotated[int, Meta(ge=1, le=65535, description="Port to listen on.")] = 8082
    api_keys: Annotated[
        tuple[str, ...],
        Meta(
            description="A key that lets its holder in, from anywhere: NAME=KEY, or KEY. Without any, only programs of "
            "this machine are served. Several: repeat the flag, or use commas.",
            extra={"flag": "--api-key", "secret": True},
        ),
    ] = ()
    api_key_file: Annotated[
        str | None, Meta(description="A file of further keys, one on each line; lines that begin with # do not count.")
    ] = None
    allow_origin: Annotated[
        tuple[str, ...],
        Meta(
            description="Origin of a web page that may call without a key, such as https://app.example, or * for all. "
            "Pages of this machine always may. Several: repeat the flag, or use commas."
        ),
    ] = ()
    trusted_proxy: Annotated[
        tuple[str, ...],
        Meta(
            description="Address or network of a proxy whose X-Forwarded-For tells who really calls. "
            "Several: repeat the flag, or use commas."
        ),
    ] = ()
    max_body_size: Annotated[
        int, Meta(ge=1, le=2048, description="Megabytes that the body of a request may have; larger ones get 413.")
    ] = 32
    max_connections: Annotated[
        int,
        Meta(
            ge=0,
            description="Connections at once, for each of --workers; further ones are refused. 0 means half of the "
            "file descriptors that a process may have (ulimit -n), and 10000 at most.",
        ),
    ] = 0
    max_per_address: Annotated[
        int,
        Meta(
            ge=0,
            description="Connections at once from one address, or one IPv6 network of 64 bits. 0 means half of "
            "--max-connections. This machine and trusted proxies are not limited by it.",
        ),
    ] = 0
    personality: Annotated[
        Personality,
        Meta(
            description="What answers: 'agent' is your own Claude Code with its tools, settings and MCP servers, "
            "'chat' a plain isolated model."
        ),
    ] = "agent"
    runner: Annotated[
        Literal["claude", "echo"],
        Meta(description="The engine: Claude Code, or the offline 'echo' for testing clients."),
    ] = "claude"
    model: Annotated[
        str, Meta(min_length=1, description="Model for which processes are kept ready; any other works too.")
    ] = "sonnet"
    cwd: Annotated[
        str | None,
        Meta(description="Directory the 'agent' personality works in.  [default: the current one]"),
    ] = None
    claude_path: Annotated[
        str | None,
        Meta(
            description="The Claude Code executable.  "
            "[default: 'claude' on PATH, then the one bundled with claude-agent-sdk]"
        ),
    ] = None
    permission_mode: Annotated[
        PermissionMode | None,
        Meta(description="Claude Code's permission mode for 'agent'.  [default: what your Claude Code settings say]"),
    ] = None
    history: Annotated[
        Literal["native", "verbatim"],
        Meta(
            description="How 'chat' hands a conversation to Claude Code: as turns of its own, or as the upstream's "
            "messages, word for word (for API keys and gateways of your own)."
        ),
    ] = "native"
    alias: Annotated[
        tuple[str, ...],
        Meta(description="Another name for a model, such as gpt-4o=sonnet. Several: repeat the flag, or use commas."),
    ] = ()
    strict: Annotated[
        bool, Meta(description="Refuse requests with parameters that have no effect, instead of naming them.")
    ] = False
    reasoning: Annotated[bool, Meta(description="Show the model's thinking as reasoning_content.")] = True
    show_activity: Annotated[
        bool, Meta(description="Show what tools an agent uses, one line each, as reasoning_content.")
    ] = False
    warm: Annotated[int, Meta(ge=0, le=64, description="Processes kept ready for each personality in use.")] = 1
    reuse: Annotated[
        bool, Meta(description="Use processes again: for the next turn of their conversation, or emptied for another.")
    ] = True
    self_test: Annotated[
        bool, Meta(description="Try at start, offline, whether processes of this Claude Code can be used again.")
    ] = True
    idle_timeout: Annotated[
        float, Meta(gt=0, description="Seconds that a process waits for its next question before it is ended.")
    ] = 600.0
    max_concurrent: Annotated[
        int,
        Meta(
            ge=0,
            le=1024,
            description="Answers at once; 0 means four for each core, or what memory allows. Further ones wait.",
        ),
    ] = 0
    max_queue: Annotated[int, Meta(ge=0, description="Requests that may wait in line; further ones get 429.")] = 256
    queue_timeout: Annotated[
        float, Meta(gt=0, description="Seconds that a request waits in line at most; then it gets 429.")
    ] = 300.0
    max_per_caller: Annotated[
        int, Meta(ge=0, description="Answers at once for one key; 0 means no limit of its own. Further ones wait.")
    ] = 0
    max_per_minute: Annotated[
        int, Meta(ge=0, description="Answers that one key may ask for within a minute; 0 means no limit.")
    ] = 0
    max_usd_per_day: Annotated[
        float, Meta(ge=0, description="US dollars that one key may spend between midnights, UTC; 0 means no limit.")
    ] = 0.0
    first_event_timeout: Annotated[
        float, Meta(gt=0, description="Seconds until an answer must have begun; then it is stopped, with 504.")
    ] = 300.0
    silence_timeout: Annotated[
        float, Meta(gt=0, description="Seconds that an answer may pause, as while a tool of an agent runs.")
    ] = 900.0
    total_timeout: Annotated[float, Meta(gt=0, description="Seconds that an answer may take in all.")] = 14400.0
    max_turns: Annotated[
        int, Meta(ge=0, description="Rounds of tool use in one answer of an agent; 0 means no limit.")
    ] = 0
    max_budget_usd: Annotated[
        float,
        Meta(
            ge=0,
            description="US dollars that one answer of an agent may cost; 0 means no limit. With one, each answer gets "
            "a process of its own.",
        ),
    ] = 0.0
    max_processes: Annotated[
        int, Meta(ge=0, le=4096, description="Claude processes in all, idle ones included; 0 means what memory allows.")
    ] = 0
    max_process_turns: Annotated[
        int, Meta(ge=1, description="Questions that one process answers before a fresh one takes over.")
    ] = 500
    max_process_memory: Annotated[
        int, Meta(ge=1, description="Megabytes of memory beyond which a process is not used again.")
    ] = 1024
    workers: Annotated[
        int, Meta(ge=1, le=64, description="Server processes; each keeps Claude processes of its own.")
    ] = 1
    reload: Annotated[bool, Meta(description="Restart the server when its code changes (for development).")] = False
    drain_timeout: Annotated[
        int, Meta(ge=0, description="Seconds that running answers get to finish when the server stops.")
    ] = 5
    log_level: Annotated[LogLevel, Meta(description="The least important messages that are logged.")] = "info"
    log_format: Annotated[
        LogFormat, Meta(description="How messages are logged: lines for people, or JSON for programs.")
    ] = "text"

    @property
    def aliases(self) -> dict[str, str]:
        """Models by the other names they have."""
        return dict(_pair(alias) for alias in self.alias)

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
        flag: The command line flag, such as ``--log-level``.
        secret: Whether its values are nobody's business, and never shown.
    """

    name: str
    description: str
    default: object
    choices: tuple[str, ...]
    switch: bool
    many: bool
    flag: str
    secret: bool

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


def options() -> tuple[Option, ...]:
    """Return all settings, in the order of their fields."""
    return tuple(map(_option, msgspec.structs.fields(Settings)))


def _option(field: msgspec.structs.FieldInfo) -> Option:
    info = msgspec.inspect.type_info(field.type)
    assert isinstance(info, msgspec.inspect.Metadata)  # noqa: S101 - every field has a description
    members = info.type.types if isinstance(info.type, msgspec.inspect.UnionType) else (info.type,)
    literals = [member for member in members if isinstance(member, msgspec.inspect.LiteralType)]
    extra = info.extra or {}
    return Option(
        field.name,
        (info.extra_json_schema or {})["description"],
        field.default,
        tuple(str(value) for literal in literals for value in literal.values),
        switch=isinstance(info.type, msgspec.inspect.BoolType),
        many=isinstance(info.type, msgspec.inspect.VarTupleType),
        flag=extra.get("flag", "--" + field.name.replace("_", "-")),
        secret=extra.get("secret", False),
    )


def load(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    dotenv: Path = Path(".env"),
) -> Settings:
    """Gather the settings: flag over environment over ``.env`` over default.

    Args:
        flags: Values by field name, as given on the command line; None means not given.
        environ: The environment; the process's own when not given.
        dotenv: The ``.env`` file; it need not exist.

    Raises:
        SettingsError: A value is not what its setting expects; the message names the flag or variable.
    """
    environ = environment() if environ is None else environ
    variables = {**_read_dotenv(dotenv), **environ}
    chosen: dict[str, Any] = {}
    for option, field in zip(options(), msgspec.structs.fields(Settings), strict=True):
        name, given = option.flag, (flags or {}).get(option.name)
        if given is None or given == ():
            name, given = option.variable, variables.get(option.variable) or None
        if option.many and given is not None:
            # of secrets an empty one is a mistake, such as a variable of the shell that is not set
            given = [part for part in _listed(given) if part or option.secret]
        if given is not None:
            chosen[option.name] = _converted(given, field.type, option.choices, name)
    return _checked(Settings(**chosen), environ)


def export(settings: Settings) -> dict[str, str]:
    """Return the settings as variables, for the worker processes that load them again."""
    values = {option.variable: getattr(settings, option.name) for option in options()}
    return {name: _written(value) for name, value in values.items() if value is not None}


def keyring(settings: Settings) -> tuple[keys.Key, ...]:
    """Return the keys that let callers in, those of the file included.

    Raises:
        SettingsError: One is no key, or the file cannot be read.
    """
    given = [
        keys.Entry(f"{PREFIX}API_KEYS (--api-key): key {place}", text)
        for place, text in enumerate(settings.api_keys, 1)
    ]
    return keys.understand([*given, *_of_file(settings.api_key_file)])


def is_exposed(path: str) -> bool:
    """Whether other users of this machine may read a file."""
    return os.name == "posix" and bool(Path(path).stat().st_mode & 0o044)


def environment() -> dict[str, str]:
    """Return a copy of the environment the relay was started in."""
    return dict(os.environ)


def publish(variables: Mapping[str, str]) -> None:
    """Put variables into the process's environment, where its workers find them."""
    os.environ.update(variables)


def _read_dotenv(path: Path) -> dict[str, str]:
    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def _converted(value: object, type_: Any, choices: tuple[str, ...], name: str) -> Any:
    try:
        return msgspec.convert(value, type_, strict=False)
    except msgspec.ValidationError as error:
        expected = f"Expected one of {', '.join(choices)}" if choices else str(error)
        raise SettingsError(f"{name}: {expected[:1].lower()}{expected[1:]}; got {value!r}") from None


def _listed(given: object) -> list[str]:
    values = given if isinstance(given, list | tuple) else [given]
    return [part.strip() for value in values for part in str(value).split(",")]


def _written(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _pair(alias: str) -> tuple[str, str]:
    name, _, model = (part.strip() for part in alias.partition("="))
    if not name or not model:
        raise SettingsError(f"{PREFIX}ALIAS (--alias): expected NAME=MODEL; got {alias!r}")
    return name, model


def _of_file(path: str | None) -> list[keys.Entry]:
    if path is None:
        return []
    name = f"{PREFIX}API_KEY_FILE (--api-key-file)"
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"{name}: {path!r} cannot be read: {reason}") from None
    numbered = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    found = [keys.Entry(f"{name}: line {number}", line) for number, line in numbered if line and line[0] != "#"]
    if not found:
        raise SettingsError(f"{name}: expected one key on each line; {path!r} has none")
    return found


def _checked(settings: Settings, environ: Mapping[str, str]) -> Settings:
    path = settings.claude_path
    for alias in settings.alias:
        _pair(alias)
    for text in settings.allow_origin:
        if text != "*" and addresses.origin(text) is None:
            raise SettingsError(
                f"{PREFIX}ALLOW_ORIGIN (--allow-origin): expected an origin such as https://app.example:8443, without "
                f"a path, or *; got {text!r}"
            )
    for text in settings.trusted_proxy:
        if addresses.network(text) is None:
            raise SettingsError(
                f"{PREFIX}TRUSTED_PROXY (--trusted-proxy): expected an address such as 10.0.0.5, or a network such as "
                f"10.0.0.0/8; got {text!r}"
            )
    _require_few(settings, keyring(settings), environ)
    if settings.cwd is not None and not Path(settings.cwd).is_dir():
        raise SettingsError(f"{PREFIX}CWD (--cwd): expected a directory; got {settings.cwd!r}")
    if path is not None and not (Path(path).is_file() and os.access(path, os.X_OK)):
        raise SettingsError(f"{PREFIX}CLAUDE_PATH (--claude-path): expected an executable file; got {path!r}")
    return settings


def _require_few(settings: Settings, known: tuple[keys.Key, ...], environ: Mapping[str, str]) -> None:
    """Let the agent do anything only for callers that the operator knows, and as a user whom that cannot hurt most."""
    if settings.permission_mode != "bypassPermissions":
        return
    name = f"{PREFIX}PERMISSION_MODE (--permission-mode)"
    if not known and not addresses.is_local(settings.host):
        raise SettingsError(
            f"{name}: bypassPermissions lets whoever can call do anything; it needs an API key (--api-key), or "
            f"--host 127.0.0.1; the host is {settings.host!r} and there is no key"
        )
    if _is_root() and environ.get("IS_SANDBOX") != "1":
        raise SettingsError(
            f"{name}: Claude Code refuses bypassPermissions as root, unless the environment says IS_SANDBOX=1; start "
            "the relay as another user"
        )


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
