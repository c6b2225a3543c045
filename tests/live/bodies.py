"""What the upstream was sent, without what the CLI adds of its own."""

from typing import Any


def conversation(body: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return role and texts of each turn, less the CLI's reminders and environment blocks."""
    turns = [(message["role"], _texts(message["content"])) for message in body["messages"]]
    return [(role, texts) for role, texts in turns if role != "system"]


def system_text(body: dict[str, Any]) -> str:
    """Return all system blocks as one text."""
    return "\n".join(block["text"] for block in body["system"])


def _texts(content: str | list[dict[str, Any]]) -> list[str]:
    texts = [content] if isinstance(content, str) else [block.get("text", block["type"]) for block in content]
    return [text for text in texts if not text.startswith("<system-reminder>")]
