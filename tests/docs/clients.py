"""The pages of clients: what ``claude-relay clients`` prints is a section of each, and the index has a table of all.

``python -m tests.docs.clients`` renews these parts.
"""

from pathlib import Path

from claude_relay.commands.clients.catalog import CLIENTS, KINDS
from claude_relay.commands.clients.client import Client
from tests.docs.pages import ROOT

DIRECTORY = ROOT / "docs/clients"
INDEX = DIRECTORY / "README.md"


def page_of(client: Client) -> Path:
    """Return the page of a client."""
    return DIRECTORY / f"{client.name}.md"


def settings_section(client: Client) -> str:
    """Return the section of a client's page that has its settings."""
    settings = f"```{client.language}\n{client.settings_for()}\n```"
    notes = "\n".join(f"- {line}" for line in client.remarks())
    where = f"In {client.where}, as `claude-relay clients {client.name}` prints them:"
    return f"\n## Settings\n\n{where}\n\n{settings}\n\n{notes}\n"


def table_section() -> str:
    """Return the section of the index that has all clients."""
    tables = [
        f"### {kind}\n\n| client | uses | tested |\n|---|---|---|\n{''.join(map(_row, clients))}"
        for kind, clients in KINDS.items()
    ]
    return "\n## All clients\n\n" + "\n".join(tables)


def _row(client: Client) -> str:
    version, _, how = client.tested.partition(", by ")
    tested = f"{version}, by hand" if how == "hand" else version or "no"
    return f"| [{client.title}]({page_of(client).name}) | {client.speaks} | {tested} |\n"


def renewed(text: str, section: str) -> str:
    """Return a page with a section in place of the one that has the same heading.

    Raises:
        ValueError: The page has no such heading, or more than one.
    """
    heading = section.split("\n", maxsplit=2)[1]
    before, rest = text.split(f"\n{heading}\n")
    _, following, after = rest.partition("\n## ")
    return before + section + following + after


def sections() -> dict[Path, str]:
    """Return the section of each page that the code makes."""
    return {INDEX: table_section()} | {page_of(client): settings_section(client) for client in CLIENTS}


if __name__ == "__main__":
    for path, section in sections().items():
        path.write_text(renewed(path.read_text(), section))
