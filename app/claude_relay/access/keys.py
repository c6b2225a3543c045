"""API keys: how an operator writes them down, and whose key a client sends. Pure; no message ever shows a key."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from claude_relay.errors import SettingsError

SHORTEST = 8
"""Characters that a key has at least."""

_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_SENDABLE = re.compile(r"[!-~]*")


class Entry(Struct, frozen=True):
    """A key as it was written down.

    Attributes:
        where: What to call the place in a message, such as ``--api-key: key 2``.
        text: ``NAME=KEY``, or the key alone.
    """

    where: str
    text: str

    def __repr__(self) -> str:
        """Show where it is, never what it says."""
        return f"Entry({self.where!r})"


class Key(Struct, frozen=True):
    """A key that lets its holder in.

    Attributes:
        name: Who its holder is, for logs and for keeping callers apart.
        digest: What tells whether a key is this one; the key itself is not kept.
    """

    name: str
    digest: bytes


def parse_keys(entries: Sequence[Entry]) -> tuple[Key, ...]:
    """Return the keys that were written down; one without a name is called after its place.

    Raises:
        SettingsError: One is no key, or two are the same or have the same name.
    """
    keys = tuple(_key(place, entry) for place, entry in enumerate(entries, 1))
    _require_different("name", entries, [key.name for key in keys])
    _require_different("key", entries, [key.digest for key in keys])
    return keys


def owner(keys: Iterable[Key], sent: Sequence[bytes]) -> str | None:
    """Return whose key was sent, or None.

    Every key is compared with everything that was sent, whatever was found before, so the time it takes tells nothing.
    """
    found = None
    for digest in map(_digest, sent):
        for key in keys:
            if hmac.compare_digest(key.digest, digest):
                found = key.name
    return found


def parts(text: str) -> tuple[str | None, str]:
    """Return the name of a key, if it has one, and the key, which may have a ``=`` itself."""
    name, named, key = text.partition("=")
    return (name.strip(), key.strip()) if named else (None, text.strip())


def is_sendable(key: str) -> bool:
    """Whether a key can stand in a header: ASCII without spaces."""
    return _SENDABLE.fullmatch(key) is not None


def _key(place: int, entry: Entry) -> Key:
    name, text = parts(entry.text)
    name = f"key-{place}" if name is None else name
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{entry.where}: expected NAME=KEY with a name of letters, digits and . _ @ -, or a KEY without '='"
        )
    if len(text) < SHORTEST:
        raise SettingsError(f"{entry.where}: expected a key of {SHORTEST} characters or more; got {len(text)}")
    if not is_sendable(text):
        raise SettingsError(f"{entry.where}: expected a key of ASCII characters without spaces")
    return Key(name, _digest(text.encode()))


def _require_different(what: str, entries: Sequence[Entry], values: Sequence[object]) -> None:
    for place, value in enumerate(values):
        if value in values[:place]:
            earlier = entries[values.index(value)].where
            raise SettingsError(f"{entries[place].where}: expected another {what} than that of {earlier}")


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
