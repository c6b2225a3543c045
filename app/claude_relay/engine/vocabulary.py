"""The neutral language between endpoint families and runners: a request, and the events that answer it."""

from typing import Literal

from msgspec import Struct

from claude_relay.settings import Personality

Role = Literal["user", "assistant"]

StopReason = Literal["end", "length", "refusal"]
"""Why an answer ended: the model was done, a token limit was met, or the model declined."""


class Text(Struct, frozen=True):
    """A piece of text inside a turn."""

    text: str


class Turn(Struct, frozen=True):
    """What one side said, in order.

    Attributes:
        role: Who said it.
        content: Its pieces; never empty.
    """

    role: Role
    content: tuple[Text, ...]


class RunRequest(Struct, frozen=True):
    """One question with everything that came before it.

    Attributes:
        model: Model name as the CLI takes it.
        personality: What answers.
        system: The caller's own instructions, or None.
        turns: The conversation: roles alternate, and the last turn is the user's.
    """

    model: str
    personality: Personality
    system: str | None
    turns: tuple[Turn, ...]


class Usage(Struct, frozen=True):
    """Token counts of one run, summed over its model calls.

    Attributes:
        input_tokens: Prompt tokens that no cache held.
        cache_read_tokens: Prompt tokens read from the prompt cache.
        cache_creation_tokens: Prompt tokens written to the prompt cache.
        output_tokens: Tokens the model wrote, thinking included.
    """

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_creation_tokens: int = 0
    output_tokens: int = 0

    @property
    def prompt_tokens(self) -> int:
        """All tokens of the prompt, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_creation_tokens

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum, field by field."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_creation_tokens + other.cache_creation_tokens,
            self.output_tokens + other.output_tokens,
        )


class TextDelta(Struct, frozen=True):
    """The next piece of the answer."""

    text: str


class ThinkingDelta(Struct, frozen=True):
    """The next piece of the model's reasoning."""

    text: str


class ToolActivity(Struct, frozen=True):
    """The agent starts to use one of its own tools."""

    tool: str


class RunEnd(Struct, frozen=True):
    """The last event of every run that did not fail."""

    stop: StopReason
    usage: Usage


Event = TextDelta | ThinkingDelta | ToolActivity | RunEnd
