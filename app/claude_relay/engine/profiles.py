"""Profiles: what the operator lets callers have under a model's name, and how it is written down. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import msgspec
from msgspec import Struct

from claude_relay.errors import SettingsError, quoted
from claude_relay.settings import PermissionMode, Personality

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOOL = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_MODELS = re.compile(r"opus|sonnet|haiku|opusplan|best|default|echo|.*claude-.*|.*anthropic.*", re.IGNORECASE)
"""Names that are models of Claude Code or of an upstream, or look like one."""
_OF_AGENTS = ("cwd", "permission", "tools", "mcp", "worktree")
_YES_OR_NO = {"yes": True, "no": False}


class Profile(Struct, frozen=True, kw_only=True):
    """What answers under a name that the operator made up.

    Attributes:
        name: The name, which is a model's to clients.
        target: The model that a request for it asks for, as a client would write it: with the personality.
        model: That model as the CLI takes it.
        personality: What answers.
        cwd: Where an agent works; None where all agents do.
        permission: An agent's permission mode; None for that of all agents.
        tools: The tools of Claude Code that an agent has; None for all.
        mcp: The file that names an agent's MCP servers; None for those of the user.
        system: Instructions that stand before the caller's own.
        keys: The names of the keys whose holders may use it; if there are none, every caller may.
        worktree: Whether each process of an agent works in a git worktree of its own.
    """

    name: str
    target: str
    model: str
    personality: Personality
    cwd: str | None = None
    permission: PermissionMode | None = None
    tools: tuple[str, ...] | None = None
    mcp: str | None = None
    system: str | None = None
    keys: tuple[str, ...] = ()
    worktree: bool = False


class Entry(Struct, frozen=True, kw_only=True):
    """A profile as it was written down; files are named, and not read yet.

    Attributes:
        where: What to call its place in a message.
        name: Its name.
        model: The model, with or without a personality.
        cwd: The directory.
        permission: The permission mode.
        tools: The tools.
        mcp: The file of the MCP configuration.
        system: The file of the instructions.
        key: The names of keys.
        worktree: Whether each process gets a worktree.
    """

    where: str
    name: str
    model: str
    cwd: str | None = None
    permission: PermissionMode | None = None
    tools: tuple[str, ...] | None = None
    mcp: str | None = None
    system: str | None = None
    key: tuple[str, ...] = ()
    worktree: bool = False


_FIELDS = tuple(field for field in Entry.__struct_fields__ if field not in {"where", "name"})


def parse_line(text: str, option: str) -> Entry:
    """Return the profile that a text such as ``docs=sonnet:agent,cwd=~/docs,tools=Read+Grep,key=team`` stands for.

    Args:
        text: ``NAME=MODEL``, and ``FIELD=VALUE`` for each field, with commas between them.
        option: What the operator wrote it in, for messages.

    Raises:
        SettingsError: It is none.
    """
    first, *others = text.split(",")
    name, _, model = (part.strip() for part in first.partition("="))
    where = f"{option}: {quoted(name)}"
    if not name or not model:
        raise SettingsError(f"{option}: expected NAME=MODEL,FIELD=VALUE,...; got {quoted(text)}")
    found: dict[str, Any] = {"model": model}
    for part in others:
        field, given, value = (piece.strip() for piece in part.partition("="))
        if not given:
            raise SettingsError(f"{where}: expected FIELD=VALUE; got {quoted(part.strip())}")
        if field == "key":
            found.setdefault("key", []).append(value)
            continue
        if field in found:
            raise SettingsError(f"{where}: expected {field} once")
        found[field] = _value_of(field, value, where)
    return parse_table(name, found, where)


def parse_table(name: str, table: object, where: str) -> Entry:
    """Return the profile that a table of a TOML file stands for.

    Args:
        name: The table's name.
        table: Its fields.
        where: What to call its place in messages.

    Raises:
        SettingsError: It is none.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{where}: expected a name of letters, digits and . _ -, 64 at most")
    if _MODELS.fullmatch(name):
        raise SettingsError(f"{where}: expected a name that is not that of a model")
    if not isinstance(table, Mapping):
        raise SettingsError(f"{where}: expected a table such as [{name}]")
    if unknown := sorted(table.keys() - set(_FIELDS)):
        raise SettingsError(f"{where}: expected fields of {', '.join(_FIELDS)}; got {quoted(unknown[0])}")
    modes = get_args(PermissionMode)
    if "permission" in table and table["permission"] not in modes:
        raise SettingsError(
            f"{where}: expected a permission of {', '.join(modes)}; got {quoted(str(table['permission']))}"
        )
    try:
        entry = msgspec.convert({**table, "where": where, "name": name}, Entry)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: {str(error)[:1].lower()}{str(error)[1:]}") from None
    _require_values(entry)
    return entry


def require_fitting(entry: Entry, personality: Personality) -> None:
    """Check that a profile says nothing that what answers does not have.

    Raises:
        SettingsError: It does.
    """
    given = [field for field in _OF_AGENTS if getattr(entry, field) not in {None, False}]
    if personality == "chat" and given:
        raise SettingsError(
            f"{entry.where}: {', '.join(given)}: only an agent has that, and this is chat; expected a model such as "
            f"{entry.model.removesuffix(':chat')}:agent"
        )


def require_distinct(entries: Iterable[Entry], model: str, aliases: Mapping[str, str]) -> None:
    """Check that each name is that of one profile, and of nothing else.

    Args:
        entries: All profiles.
        model: The operator's usual model.
        aliases: Models by the other names they have.

    Raises:
        SettingsError: A name has another meaning too, or is that of something which cannot be a profile.
    """
    places: dict[str, str] = {}
    for entry in entries:
        if entry.name in places:
            raise SettingsError(f"{entry.where}: expected another name than that of {places[entry.name]}")
        if entry.name in aliases:
            raise SettingsError(f"{entry.where}: expected a name that is no alias (--alias)")
        if entry.name == model:
            raise SettingsError(f"{entry.where}: expected a name that is not that of the model (--model)")
        if entry.name in aliases.values():
            raise SettingsError(f"{entry.where}: expected a profile without another name (--alias)")
        places[entry.name] = entry.where


def of_holder(profiles: Iterable[Profile], key: str) -> dict[str, Profile]:
    """Return the profiles that a caller may use, by their names.

    Args:
        profiles: All profiles.
        key: The name of the caller's key.
    """
    return {profile.name: profile for profile in profiles if not profile.keys or key in profile.keys}


def _require_values(entry: Entry) -> None:
    for field in ("model", "cwd", "mcp", "system"):
        if getattr(entry, field) == "":
            raise SettingsError(f"{entry.where}: expected a value of {field}")
    for tool in entry.tools or ():
        if not _TOOL.fullmatch(tool):
            raise SettingsError(
                f"{entry.where}: expected names of Claude Code's tools, such as Read; got {quoted(tool)}"
            )


def _value_of(field: str, value: str, where: str) -> Any:
    match field:
        case "tools":
            return [tool.strip() for tool in value.split("+")] if value else []
        case "worktree" if value in _YES_OR_NO:
            return _YES_OR_NO[value]
        case "worktree":
            raise SettingsError(f"{where}: expected worktree=yes or worktree=no; got {quoted(value)}")
    return value
