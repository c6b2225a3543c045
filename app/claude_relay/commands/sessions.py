"""Conversations of ``claude-relay ask --session``: one file for each, which only its user can read."""

import os
import re
from pathlib import Path

import msgspec

from claude_relay.commands.questions import Item
from claude_relay.errors import SettingsError

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")


class Session:
    """A conversation that is gone on with.

    Args:
        directory: Where conversations are.
        name: Its name.

    Raises:
        SettingsError: The name is none.
    """

    def __init__(self, directory: Path, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise SettingsError(f"--session: expected 1 to 64 letters, digits and . _ -; got {name!r}")
        self._path = directory / "ask" / f"{name}.json"

    def read(self) -> tuple[Item, ...]:
        """Return what was said so far.

        Raises:
            SettingsError: Its file cannot be read.
        """
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=tuple[Item, ...])
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.DecodeError) as error:
            raise SettingsError(f"--session: {self._path} cannot be read: {error}") from None

    def write(self, items: tuple[Item, ...]) -> None:
        """Keep what was said so far, all of it or nothing.

        Raises:
            SettingsError: Its file cannot be written.
        """
        new = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(new, "wb", opener=_private) as file:
                file.write(msgspec.json.encode(items))
            new.replace(self._path)
        except OSError as error:
            raise SettingsError(f"--session: {self._path} cannot be written: {error}") from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
