"""All clients, by kind. Pure."""

from claude_relay.commands.clients.applications import APPLICATIONS
from claude_relay.commands.clients.client import Client
from claude_relay.commands.clients.coding_agents import CODING_AGENTS
from claude_relay.commands.clients.frameworks import FRAMEWORKS
from claude_relay.commands.clients.sdks import SDKS

KINDS = {"SDKs": SDKS, "Coding agents": CODING_AGENTS, "Frameworks": FRAMEWORKS, "Applications": APPLICATIONS}
CLIENTS: tuple[Client, ...] = tuple(client for kind in KINDS.values() for client in kind)


def find(name: str) -> Client | None:
    """Return the client of a name, in capital letters or not."""
    return next((client for client in CLIENTS if client.name == name.lower()), None)
