"""The neutral language between endpoint families and runners: a request, and the events that answer it."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from claude_relay.engine.profiles import Profile
from claude_relay.settings import Personality

Role = Literal["user", "assistant"]

StopReason = Literal["end", "stop_sequence", "length", "context_window", "refusal", "tool_calls", "approval"]
"""Why an answer ended: the model was done, met a stop sequence, a token limit or the end of its context window,
declined, or waits for tools of the client, or for permission to use one of the agent's own."""


Effort = Literal["none", "low", "medium", "high", "xhigh", "max"]
"""How much the model may think; ``none`` switches thinking off."""


class Text(Struct, frozen=True):
    """A piece of text inside a turn."""

    text: str


class Base64(Struct, frozen=True):
    """Data that stands in the request itself.

    Attributes:
        media_type: Its MIME type.
        data: The data, base64-encoded.
    """

    media_type: str
    data: str


class Link(Struct, frozen=True):
    """Data that the upstream fetches; the relay does not."""

    url: str


class Image(Struct, frozen=True):
    """An image inside a turn of the user."""

    source: Base64 | Link


class Document(Struct, frozen=True):
    """A file inside a turn of the user.

    Attributes:
        source: A PDF as data or link, or the text of a text file.
        name: The file's name, if it has one.
    """

    source: Base64 | Link | Text
    name: str | None = None


class ToolCall(Struct, frozen=True):
    """The assistant called a tool of the client.

    Attributes:
        id: The call's id, unique in the conversation.
        name: The tool.
        arguments: What it was called with: an object, or the text where the tool takes text or the model wrote no
            object.
    """

    id: str
    name: str
    arguments: dict[str, Any] | str


class AgentToolUse(Struct, frozen=True):
    """The assistant, an agent then, used a tool of its own.

    Attributes:
        id: The call's id, unique in the conversation.
        name: The tool.
        arguments: What it was called with.
        output: What it returned, as text.
        is_error: Whether it failed.
    """

    id: str
    name: str
    arguments: dict[str, Any]
    output: str
    is_error: bool = False


class ToolResult(Struct, frozen=True):
    """What a tool of the client returned.

    Attributes:
        call_id: The ``ToolCall`` it answers.
        content: What was returned; may be empty.
        is_error: Whether the tool failed, as far as the client says.
    """

    call_id: str
    content: tuple[Text | Image, ...]
    is_error: bool = False


class Thinking(Struct, frozen=True):
    """A block of the model's reasoning in a past turn; it goes back to the model as it came, or not at all.

    Attributes:
        text: The reasoning; empty where the upstream does not show it.
        signature: The upstream's proof that the block is its own, byte for byte.
    """

    text: str
    signature: str


class RedactedThinking(Struct, frozen=True):
    """A whole block of reasoning that only the upstream can read: in a past turn, and an event when it comes.

    Attributes:
        data: What the upstream wrote, byte for byte.
    """

    data: str


ThinkingBlock = Thinking | RedactedThinking
"""A block of the model's reasoning in a past turn."""

Piece = Text | Image | Document | ToolCall | ToolResult | AgentToolUse | ThinkingBlock


class Turn(Struct, frozen=True):
    """What one side said, in order.

    Attributes:
        role: Who said it.
        content: Its pieces; never empty.
    """

    role: Role
    content: tuple[Piece, ...]


class Sampling(Struct, frozen=True):
    """The sampling parameters that the caller set.

    Attributes:
        temperature: 0 to 1.
        top_p: 0 to 1.
        top_k: Number of candidates for each token.
        max_tokens: Most tokens of the answer.
        stop: Texts that end the answer; they are not part of it.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
"""The schema of an object of which nothing more is known."""


class JsonOutput(Struct, frozen=True):
    """The answer must be JSON.

    Attributes:
        schema: The JSON schema it must fit.
        format: What the upstream is asked to hold the model to; None if a tool takes the answer instead.
        tool_schema: What such a tool takes: an object that is the answer, or has it in a field.
    """

    schema: dict[str, Any]
    format: dict[str, Any] | None = None
    tool_schema: dict[str, Any] = field(default_factory=lambda: dict(ANY_OBJECT))


class Tool(Struct, frozen=True):
    """A tool of the client, which the client itself runs.

    Attributes:
        name: Its name, as the model sees it.
        description: What it does.
        schema: JSON schema of its arguments, by names that the upstream takes.
        strict: Whether the upstream must hold the model to the schema.
        format: What the upstream is asked to hold the model to; None if to nothing.
        takes_text: Whether it takes text: its schema has one argument then, and its calls are told as the text in it.
        client_names: The client's names of arguments that have another one here, by that.
    """

    name: str
    description: str
    schema: dict[str, Any]
    strict: bool = False
    format: dict[str, Any] | None = None
    takes_text: bool = False
    client_names: dict[str, str] = {}


class ToolChoice(Struct, frozen=True):
    """Whether the model may, must or must not call a tool.

    Attributes:
        mode: ``required`` means any tool, or the one that is named.
        name: The one tool to call.
        parallel: Whether it may make several calls at once.
    """

    mode: Literal["auto", "none", "required"] = "auto"
    name: str | None = None
    parallel: bool = True


class Decision(Struct, frozen=True):
    """Whether an agent may use a tool that waits for permission.

    Attributes:
        approval_id: What waits.
        approve: Whether it may.
        reason: Why, for the model; may be empty.
    """

    approval_id: str
    approve: bool
    reason: str = ""


class RunRequest(Struct, frozen=True):
    """One question with everything that came before it.

    Attributes:
        model: Model name as the CLI takes it.
        personality: What answers.
        system: The caller's own instructions, or None.
        turns: The conversation: it begins with the user and roles alternate. The last turn is the user's, or the
            beginning of the answer if the assistant's.
        sampling: How the model chooses its words.
        effort: How much it may think; None leaves it to the CLI.
        output: The form of the answer, if it must have one.
        tools: The client's tools.
        tool_choice: What the model may do with them.
        caller: Who asks; requests of different callers never share a process.
        account: Whose use this is; the operator's limits count by it. All requests of a caller have the same.
        charge: How many requests it counts as in those limits; several answers to one question are counted together.
        traceparent: The span of a trace that it belongs to, as W3C's Trace Context writes it; empty if it has none.
        profile: What the operator set for the name that was asked for; requests of different profiles never share a
            process.
        pauses: Whether the answer may end where a tool waits for permission, to go on with a request that decides.
        decisions: What it decides about tools that wait: then it goes on with their answer, and asks nothing.
        undecided: The approvals that its conversation has asked for, if it goes on without deciding: none of them is
            waited for any more.
    """

    model: str
    personality: Personality
    system: str | None
    turns: tuple[Turn, ...]
    sampling: Sampling = Sampling()
    effort: Effort | None = None
    output: JsonOutput | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    caller: str = ""
    account: str = ""
    charge: int = 1
    traceparent: str = ""
    profile: Profile | None = None
    pauses: bool = False
    decisions: tuple[Decision, ...] = ()
    undecided: tuple[str, ...] = ()

    @property
    def instructions(self) -> str | None:
        """The operator's instructions, if its profile has any, and then the caller's own."""
        own = None if self.profile is None else self.profile.system
        return f"{own}\n\n{self.system}" if own and self.system else own or self.system

    @property
    def answers_by_tool(self) -> bool:
        """Whether the answer is the input of a tool, not what the model says."""
        return self.output is not None and self.output.format is None


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

    def __sub__(self, other: "Usage") -> "Usage":
        """Return what was counted since, field by field."""
        return Usage(
            max(0, self.input_tokens - other.input_tokens),
            max(0, self.cache_read_tokens - other.cache_read_tokens),
            max(0, self.cache_creation_tokens - other.cache_creation_tokens),
            max(0, self.output_tokens - other.output_tokens),
        )


class TextDelta(Struct, frozen=True):
    """The next piece of the answer."""

    text: str


class ThinkingDelta(Struct, frozen=True):
    """The next piece of the model's reasoning; the first one, or one after a ``ThinkingEnd``, begins a block."""

    text: str


class ThinkingEnd(Struct, frozen=True):
    """A block of the model's reasoning is whole. One whose text is not shown has this event alone.

    Attributes:
        signature: The upstream's proof that the block is its own; empty if it gave none.
    """

    signature: str


class ToolActivity(Struct, frozen=True):
    """The agent uses one of its own tools.

    Attributes:
        tool: The tool's name.
        summary: What it does, in one line; may be empty.
        arguments: What it is called with.
        id: The call's id, unique in the run.
        approval_id: What had to be decided first, if that was in an earlier answer.
    """

    tool: str
    summary: str = ""
    arguments: dict[str, Any] = {}
    id: str = ""
    approval_id: str | None = None


class ToolOutcome(Struct, frozen=True):
    """A tool of the agent's own has returned.

    Attributes:
        id: The ``ToolActivity`` it belongs to.
        output: What it returned, as text, cut off where it is long.
        is_error: Whether it failed, or was not permitted.
    """

    id: str
    output: str
    is_error: bool = False


class ApprovalRequested(Struct, frozen=True):
    """A tool of the agent's own waits for permission.

    Attributes:
        id: What a decision refers to.
        call_id: The ``ToolActivity`` it belongs to; that of a subagent is not told.
        tool: The tool's name.
        arguments: What it is called with.
    """

    id: str
    call_id: str
    tool: str
    arguments: dict[str, Any] = {}


class RunPaused(Struct, frozen=True):
    """Tools wait for permission, and the model has said all that it says before.

    Attributes:
        usage: Token counts so far.
    """

    usage: Usage


class ToolCallStart(Struct, frozen=True):
    """The model begins to call a tool of the client."""

    id: str
    name: str


class ToolCallDelta(Struct, frozen=True):
    """The next piece of the arguments of the call that began last: of a JSON text, or of what a text tool gets."""

    arguments: str


class RunAccepted(Struct, frozen=True):
    """The operator's limits let the run in: it begins, or waits in the queue until it does."""


class RunStarted(Struct, frozen=True):
    """The run has begun; nothing of the answer has come yet.

    Attributes:
        origin: How it got what it runs on, in the runner's words, such as ``reused``.
        waited: Seconds that it waited in the queue.
        prepared: Seconds from there until it had that.
    """

    origin: str
    waited: float = 0.0
    prepared: float = 0.0


class PromptCounted(Struct, frozen=True):
    """The answer begins with the next event.

    Attributes:
        usage: The token counts so far: those of the prompt.
    """

    usage: Usage


class ParameterDropped(Struct, frozen=True):
    """The upstream refuses an option, and the question is asked without it.

    Attributes:
        field: What clients call the option.
    """

    field: str


class RunEnd(Struct, frozen=True):
    """The last event of every run that did not fail.

    Attributes:
        stop: Why it ended.
        usage: Its token counts.
        thinking_tokens: How many of the output tokens were thinking, if the CLI tells.
        cost: US dollars, by the CLI's own estimate from list prices, if it tells.
        upstream_requests: How often the upstream was asked, as far as is known; without what subagents asked.
        stop_sequence: The stop sequence that ended it, if one did and it is known.
    """

    stop: StopReason
    usage: Usage
    thinking_tokens: int | None = None
    cost: float | None = None
    upstream_requests: int | None = None
    stop_sequence: str | None = None


Event = (
    TextDelta
    | ThinkingDelta
    | ThinkingEnd
    | RedactedThinking
    | ToolCallStart
    | ToolCallDelta
    | ToolActivity
    | ToolOutcome
    | ApprovalRequested
    | RunPaused
    | RunAccepted
    | RunStarted
    | PromptCounted
    | ParameterDropped
    | RunEnd
)
