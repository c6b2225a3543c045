"""What is known of one client. Pure."""

from msgspec import Struct

SERVER = "http://localhost:8082"
"""Stands in all settings where the relay's own URL goes."""
KEY = "unused"
"""Stands in all settings where a key goes."""
ACTS_ITSELF = "It acts itself, so it needs a model that does not: `:chat`."
ELSEWHERE = "It calls from another machine or container, so the relay needs a key: `--api-key NAME=KEY`."


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
        """Return the settings for a relay.

        Args:
            server: The URL of the relay, without ``/v1``.
            key: A key of the relay.
        """
        return self.settings.strip().replace(KEY, key).replace(SERVER, server)

    def remarks(self) -> tuple[str, ...]:
        """Return what a user has to know besides: the notes, and whether it was tested."""
        return (*self.notes, f"Tested: {self.tested}." if self.tested else "Not tested.")
