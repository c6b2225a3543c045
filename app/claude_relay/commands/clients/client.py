"""What is known of one client. Pure."""

import json
import re
import shlex
from collections.abc import Callable, Mapping

from msgspec import Struct

SERVER = "http://localhost:8082"
"""Stands in all settings where the relay's own URL goes."""
KEY = "unused"
"""Stands in all settings where a key goes."""
ACTS_ITSELF = "It acts itself, so it needs a model that does not: `:chat`."
ELSEWHERE = "It calls from another machine or container, so the relay needs a key: `--api-key NAME=KEY`."


def _in_double_quotes(text: str) -> str:
    """Return a text as it stands between double quotes in JSON, and so in JavaScript, Python, TOML and YAML too."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


_ESCAPES: Mapping[str, Callable[[str], str]] = {"text": str, "sh": shlex.quote}
"""How a text is written in languages whose settings have no double quotes around it."""


class Client(Struct, frozen=True):
    """One client. Its settings are those for a user on the relay's own machine, without a key.

    Attributes:
        name: What the command calls it.
        title: What its makers call it.
        where: Where its settings go.
        settings: The settings.
        language: What they are written in.
        notes: What else a user has to know.
        tested: Which version was tested, and after ``, by `` how; empty if none was.
        speaks: The API that it uses.
    """

    name: str
    title: str
    where: str
    settings: str
    language: str = "text"
    notes: tuple[str, ...] = ()
    tested: str = ""
    speaks: str = "chat completions"

    def settings_for(self, server: str = SERVER, key: str = KEY) -> str:
        """Return the settings for a relay, in which a URL and a key of any characters are read as they are.

        Args:
            server: The URL of the relay, without ``/v1``.
            key: A key of the relay.
        """
        escaped = _ESCAPES.get(self.language, _in_double_quotes)
        values = {SERVER: escaped(server), KEY: escaped(key)}
        return re.sub("|".join(map(re.escape, values)), lambda found: values[found[0]], self.settings.strip())

    def remarks(self) -> tuple[str, ...]:
        """Return what a user has to know besides: the notes, and whether it was tested."""
        return (*self.notes, f"Tested: {self.tested}." if self.tested else "Not tested.")
