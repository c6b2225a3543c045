"""The parts of a conversation, with the paths by which the API names them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Placed:
    """A content block and its path, such as ``messages.1.content.0``."""

    path: str
    block: Json


@dataclass(frozen=True, slots=True)
class Turn:
    """Messages of one role that follow each other: the API joins them. ``index`` is that of the first."""

    index: int
    role: str
    blocks: list[Placed]

    def of_type(self, *types: str) -> list[Placed]:
        """Return the blocks of these types."""
        return [placed for placed in self.blocks if placed.block["type"] in types]


def messages_of(body: Json) -> list[Json]:
    """Return the messages."""
    found: list[Json] = body["messages"]
    return found


def turns(body: Json) -> list[Turn]:
    """Return the conversation turn by turn."""
    found: list[Turn] = []
    for index, message in enumerate(messages_of(body)):
        if not found or found[-1].role != message["role"]:
            found.append(Turn(index, message["role"], []))
        found[-1].blocks.extend(placed(f"messages.{index}", message["content"]))
    return found


def placed(path: str, content: str | list[Json]) -> list[Placed]:
    """Return the blocks of a content, which may be a mere string."""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [Placed(f"{path}.content.{index}", block) for index, block in enumerate(blocks)]


def all_blocks(body: Json) -> Iterator[Placed]:
    """Yield each block of the conversation, and after a tool result the blocks within."""
    for index, message in enumerate(messages_of(body)):
        for outer in placed(f"messages.{index}", message["content"]):
            yield outer
            if outer.block["type"] == "tool_result":
                yield from placed(f"{outer.path}.tool_result", outer.block.get("content", []))
