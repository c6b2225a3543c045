"""What the page is told. These are the page's own: they may change with it."""

from typing import Any, Literal

from msgspec import Raw, Struct

from claude_relay.console.activity import Bucket, Finished, Running


class Introduction(Struct, frozen=True, kw_only=True):
    """The relay, to whoever asks for ``/`` and wants no page.

    Attributes:
        name: What this is.
        version: The relay's version.
        needs_key: Whether callers need a key.
        documentation: Where the API is described.
    """

    name: Literal["claude-relay"] = "claude-relay"
    version: str
    needs_key: bool
    documentation: str = "/schema/swagger"


class Served(Struct, frozen=True, kw_only=True):
    """What does not change while the relay runs.

    Attributes:
        version: The relay's version.
        runner: The engine.
        caller: What the log calls who looks.
        model: The operator's usual model.
        paths: The paths below which something is served.
        keeps_responses: Whether there is a store.
        workers: How many workers there are; all that is told is of one of them.
    """

    version: str
    runner: str
    caller: str
    model: str
    paths: list[str]
    keeps_responses: bool
    workers: int


class Waiting(Struct, frozen=True, kw_only=True):
    """A tool that waits for the viewer's permission.

    Attributes:
        id: Its id.
        name: The tool.
        arguments: What it is called with.
        model: The model that calls it.
        created_at: Since when it waits, in seconds since the epoch.
        is_held: Whether only its client can decide, since the response it belongs to has ended.
    """

    id: str
    name: str
    arguments: dict[str, Any]
    model: str
    created_at: int
    is_held: bool


class Decision(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a tool may be used."""

    approve: bool


class State(Struct, frozen=True, kw_only=True):
    """What is true now.

    Attributes:
        status: ``ok`` or ``degraded``.
        reason: Why it is degraded.
        remedy: What to do about it.
        claude_version: The version of the CLI.
        waiting: Requests of all callers that wait for their turn.
        processes: Processes by what they do.
        limits: How many answers at once, and how many processes, there may be.
        running: The viewer's requests that are being answered.
        approvals: What waits for the viewer's permission, the oldest first.
    """

    status: str
    reason: str | None
    remedy: str | None
    claude_version: str | None
    waiting: int
    processes: dict[str, int] | None
    limits: dict[str, Any] | None
    running: list[Running]
    approvals: list[Waiting]


class Usage(Struct, frozen=True, kw_only=True):
    """Stretches of time, each told again when it has changed.

    Attributes:
        now: The time, in seconds since the epoch.
        minutes: Of the last hour.
        quarters: Quarters of an hour, of the last day.
    """

    now: float
    minutes: list[Bucket]
    quarters: list[Bucket]


class Requests(Struct, frozen=True):
    """Requests that were over since the last such event, the oldest first."""

    requests: list[Finished]


class StoredResponse(Struct, frozen=True, kw_only=True):
    """A response that is kept, in a list.

    Attributes:
        id: Its id.
        created_at: When it was asked for, in seconds since the epoch.
        status: Its status.
        model: The model's name, as the client wrote it.
        previous_response_id: The response that it goes on from.
        title: How its text begins.
    """

    id: str
    created_at: int
    status: str
    model: str
    previous_response_id: str | None
    title: str


class StoredResponses(Struct, frozen=True):
    """The latest responses that are kept, the newest first."""

    data: list[StoredResponse]


class WholeResponse(Struct, frozen=True, kw_only=True):
    """A response that is kept, and the items of its request.

    Attributes:
        response: The response.
        input: The first items of its request.
        has_more: Whether there are more of them.
    """

    response: Raw
    input: list[Raw]
    has_more: bool
