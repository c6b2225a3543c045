"""The page of clients, whose sections are what ``claude-relay clients`` prints: ``python -m tests.docs.clients``."""

from claude_relay.commands.clients import markdown
from tests.docs.pages import ROOT

PAGE = ROOT / "docs/clients.md"
SECTIONS = "\n## "


def written() -> str:
    """Return the page as it should be: its own introduction, and a section for each client."""
    introduction = PAGE.read_text().partition(SECTIONS)[0]
    return f"{introduction}\n{markdown()}"


if __name__ == "__main__":
    PAGE.write_text(written())
