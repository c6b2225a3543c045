"""The single-request guard: keeps the CLI from asking its upstream again in the same turn. Pure."""

from collections.abc import Collection

from claude_relay.engine.claude import wire
from claude_relay.engine.claude.tools import ANSWER
from claude_relay.engine.vocabulary import RunRequest


class SingleRequestGuard:
    """The state of the guard for one turn.

    Args:
        limited: Whether the answer may end at a token limit or a stop sequence, where the CLI would go on by itself.
        thinks: Whether it would also go on after thinking or white space alone.
        tools: The tools there are, if a call of any other would be answered by the CLI itself.

    Attributes:
        awaits_words: Whether nothing has come yet that is an answer to the CLI.
        engaging: Id of the control request that closes the guard, once it was sent.
        holds: Whether the model has stopped, and the CLI asks nothing more.
        missed: Whether the model has stopped, and nothing keeps the CLI from asking again.
    """

    def __init__(self, *, limited: bool = False, thinks: bool = False, tools: Collection[str] = ()) -> None:
        self._limited = limited
        self._thinks = thinks
        self._tools = frozenset(tools)
        self._engaged = False
        self.awaits_words = thinks
        self.engaging: str | None = None
        self.holds = False
        self.missed = False

    @classmethod
    def for_request(cls, request: RunRequest) -> "SingleRequestGuard":
        """Return the guard for a question. An agent has none; an answer that a tool takes has none for token limits."""
        if request.personality == "agent":
            return cls()
        sampling, is_text = request.sampling, not request.answers_by_tool
        limited = is_text and (sampling.max_tokens is not None or bool(sampling.stop))
        names = [tool.name for tool in request.tools]
        return cls(limited=limited, thinks=is_text, tools=[*names, ANSWER] if names else [])

    def should_engage(self, line: wire.Line) -> bool:
        """Whether the guard must be engaged at a line that was observed; the request that is sent is not affected."""
        if self.engaging is not None:
            return False
        match line:
            case wire.System("status", status="requesting"):
                return self._limited
            case wire.StreamEvent(wire.ContentBlockStart(wire.StartedBlock("thinking" | "redacted_thinking"))):
                return self._thinks
            case wire.StreamEvent(wire.ContentBlockDelta()):
                # white space, as long as words are awaited
                return self.awaits_words
            case wire.StreamEvent(wire.ContentBlockStart(wire.StartedBlock("tool_use", _, name))):
                return bool(self._tools) and name not in self._tools
        return False

    def observe(self, line: wire.Line) -> None:
        """Update the state from a line. The order of lines shows whether the guard engaged before the model stopped."""
        match line:
            case wire.StreamEvent(wire.ContentBlockDelta(delta)):
                self.awaits_words = isinstance(delta, wire.TextPiece) and not delta.text.strip()
            case wire.ControlResponse(wire.ControlReply(request_id)) if request_id == self.engaging:
                self._engaged = True
            case wire.StreamEvent(wire.MessageDelta(wire.MessageEnd(str(reason)))):
                # a refusal is not asked again
                self.holds = self._engaged or reason == "refusal"
                self.missed = not self.holds
