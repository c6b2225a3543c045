"""Summaries of conversations, as compaction items carry them. Pure."""

import base64

_MARK = "claude-relay-1:"
"""What the content of the relay's own items begins with: which form it has."""


def sealed(summary: str) -> str:
    """Return what a compaction item has as its content."""
    return _MARK + base64.urlsafe_b64encode(summary.encode()).decode()


def unsealed(content: str) -> str | None:
    """Return the summary that is in a compaction item, or None if the item is not the relay's own."""
    if not content.startswith(_MARK):
        return None
    try:
        return base64.b64decode(content.removeprefix(_MARK), b"-_", validate=True).decode()
    except ValueError:
        return None
