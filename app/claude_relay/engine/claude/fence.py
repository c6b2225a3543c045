"""One question, one request: when the CLI must be kept from asking its upstream again in the same turn. Pure."""

from collections.abc import Collection

from claude_relay.engine.claude import wire
from claude_relay.engine.claude.tools import ANSWER
from claude_relay.engine.vocabulary import RunRequest


class Fence:
    """What is known of the fence around one turn.

    Args:
        limited: Whether the answer may end at a token limit, where the CLI would go on by itself.
        tools: The tools there are, if a call of any other would be answered by the CLI itself.

    Attributes:
        closing: Id of the control request that closes the fence, once it was sent.
        contains: Whether the model has stopped, and the CLI asks nothing more.
        breached: Whether the model has stopped, and nothing keeps the CLI from asking again.
    """

    def __init__(self, *, limited: bool = False, tools: Collection[str] = ()) -> None:
        self._limited = limited
        self._tools = frozenset(tools)
        self._closed = False
        self.closing: str | None = None
        self.contains = False
        self.breached = False

    @classmethod
    def around(cls, request: RunRequest) -> "Fence":
        """Return the fence for a question. An agent goes on for good reasons, and so does an answer taken by a tool."""
        if request.personality == "agent":
            return cls()
        limited = request.sampling.max_tokens is not None and not request.answers_by_tool
        names = [tool.name for tool in request.tools]
        return cls(limited=limited, tools=[*names, ANSWER] if names else [])

    def is_due(self, line: wire.Line) -> bool:
        """Whether the fence must be closed now: what is being asked already is not touched by it."""
        if self.closing is not None:
            return False
        match line:
            case wire.System("status", status="requesting"):
                return self._limited
            case wire.StreamEvent(wire.ContentBlockStart(wire.StartedBlock("tool_use", _, name))):
                return bool(self._tools) and name not in self._tools
        return False

    def note(self, line: wire.Line) -> None:
        """Learn from a line. Their order tells whether the fence was closed before the model stopped."""
        match line:
            case wire.ControlResponse(wire.ControlReply(request_id)) if request_id == self.closing:
                self._closed = True
            case wire.StreamEvent(wire.MessageDelta(wire.MessageEnd(str(reason)))):
                # a refusal is not asked again
                self.contains = self._closed or reason == "refusal"
                self.breached = not self.contains
