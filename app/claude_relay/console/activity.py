"""What the relay does and has done lately, by account: figures in memory, never prompts or answers. Pure.

All of it is bounded: accounts, requests of an account, and stretches of time that figures are summed up over.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from claude_relay.access.policy import Caller
from claude_relay.web.context import RequestContext

_ACCOUNTS = 256
_REQUESTS = 200
"""Of each account."""
_IDENTITIES = 64
"""Of each account."""
_FIRST_ERROR = 400
_NAMES = 100
"""Characters of what clients write that are kept."""
_NOT_SHOWN = ("/console", "/health", "/metrics", "/schema")
"""Paths that are asked for by pages and machines that watch."""


class Finished(Struct, frozen=True, kw_only=True):
    """A request that is over.

    Attributes:
        number: It is higher than those of all that were over before.
        id: The request's id, as the log has it.
        at: When it was over, in seconds since the epoch.
        path: What was asked for.
        model: The model's name, as the client wrote it.
        personality: What answered.
        status: The HTTP status.
        error: The code of the error that it ended with.
        finish: Why the answer ended, in the family's words.
        origin: How it got its process.
        prompt_tokens: Tokens of the prompt, cached ones included.
        cached_tokens: Those of them that a cache held.
        completion_tokens: Tokens of the answer.
        cost_usd: US dollars, if that is known.
        queue_ms: Milliseconds in the queue.
        first_token_ms: Milliseconds until the answer began.
        total_ms: Milliseconds in all.
    """

    number: int
    id: str
    at: float
    path: str
    model: str | None = None
    personality: str | None = None
    status: int | None = None
    error: str | None = None
    finish: str | None = None
    origin: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    queue_ms: int | None = None
    first_token_ms: int | None = None
    total_ms: int = 0


_FIGURES = tuple(name for name in Finished.__struct_fields__ if name not in {"number", "id", "at"})
"""Those that the access log tells."""


class Running(Struct, frozen=True, kw_only=True):
    """A request that is being answered.

    Attributes:
        id: The request's id.
        began_at: When it came, in seconds since the epoch.
        path: What was asked for.
        model: The model's name, as the client wrote it.
        personality: What answers.
        first_token_ms: Milliseconds until the answer began, if it has.
    """

    id: str
    began_at: float
    path: str
    model: str | None
    personality: str
    first_token_ms: int | None


class Bucket(Struct):
    """What was over within one stretch of time.

    Attributes:
        at: When it begins, in seconds since the epoch.
        requests: Requests for answers.
        errors: Requests that failed, whatever they were for.
        prompt_tokens: Tokens of prompts.
        completion_tokens: Tokens of answers.
        cost_usd: US dollars, as far as that is known.
        begun: Answers that began.
        first_token_ms: Milliseconds until they began, all together.
        total_ms: Milliseconds that the requests for answers took, all together.
        slowest_ms: The longest of these times.
    """

    at: int
    requests: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    begun: int = 0
    first_token_ms: int = 0
    total_ms: int = 0
    slowest_ms: int = 0

    def add(self, request: Finished) -> None:
        """Count a request that is over."""
        self.errors += request.error is not None or (request.status or 0) >= _FIRST_ERROR
        if request.personality is None:
            return
        self.requests += 1
        self.prompt_tokens += request.prompt_tokens
        self.completion_tokens += request.completion_tokens
        self.cost_usd += request.cost_usd or 0
        self.total_ms += request.total_ms
        self.slowest_ms = max(self.slowest_ms, request.total_ms)
        if request.first_token_ms is not None:
            self.begun += 1
            self.first_token_ms += request.first_token_ms


class Series:
    """Stretches of time of one length, the latest of them.

    Args:
        seconds: How long each is.
        most: How many there are.
    """

    def __init__(self, seconds: int, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._buckets: deque[Bucket] = deque(maxlen=most)

    def add(self, request: Finished) -> None:
        """Count a request that is over."""
        at = int(request.at // self._seconds) * self._seconds
        # a clock that was set back begins no stretch anew
        if not self._buckets or self._buckets[-1].at < at:
            self._buckets.append(Bucket(at))
        self._buckets[-1].add(request)

    def since(self, at: float) -> list[Bucket]:
        """Return those in which something was over that end after a time, and are not older than all that are kept.

        Args:
            at: The time, in seconds since the epoch.
        """
        return [bucket for bucket in self._buckets if bucket.at + self._seconds > at]

    def latest(self, now: float) -> list[Bucket]:
        """Return those that are not too old to be shown."""
        return self.since(now - self._seconds * (self._most - 1))


class _Account(Struct):
    """What is known of one account."""

    requests: deque[Finished] = field(default_factory=lambda: deque(maxlen=_REQUESTS))
    minutes: Series = field(default_factory=lambda: Series(60, 60))
    quarters: Series = field(default_factory=lambda: Series(900, 96))
    identities: OrderedDict[str, None] = field(default_factory=OrderedDict)


class Activity:
    """What goes on in one server."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[RequestContext, float]] = {}
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._number = 0

    def begin(self, context: RequestContext, at: float) -> None:
        """Take note of a request for which the engine is asked.

        Args:
            context: What is known of it, and will be.
            at: The time, in seconds since the epoch.
        """
        self._running[id(context)] = (context, at)

    def end(self, context: RequestContext, fields: Mapping[str, Any], at: float) -> None:
        """Take note of a request that is over; those that only look at the server are not shown.

        Args:
            context: What is known of it.
            fields: What the access log tells of it.
            at: The time, in seconds since the epoch.
        """
        self._running.pop(id(context), None)
        if context.caller is None or not _is_shown(fields):
            return
        self._number += 1
        request = Finished(number=self._number, id=context.id, at=at, **dict(_figures(fields)))
        account = self._account(context.caller)
        account.requests.append(request)
        account.minutes.add(request)
        account.quarters.add(request)

    def running(self, account: str) -> list[Running]:
        """Return the requests of an account that are being answered, the oldest first."""
        return [
            Running(
                id=context.id,
                began_at=at,
                path=context.fields["path"][:_NAMES],
                model=context.fields.get("model"),
                personality=context.fields["personality"],
                first_token_ms=context.fields.get("first_token_ms"),
            )
            for context, at in self._running.values()
            if context.caller is not None and context.caller.account == account
        ]

    def finished(self, account: str, after: int = 0) -> list[Finished]:
        """Return the latest requests of an account that are over, the oldest first.

        Args:
            account: The account.
            after: The number behind which to begin.
        """
        return [request for request in self._found(account).requests if request.number > after]

    def minutes(self, account: str, now: float) -> list[Bucket]:
        """Return the minutes of the last hour in which something was over."""
        return self._found(account).minutes.latest(now)

    def quarters(self, account: str, now: float) -> list[Bucket]:
        """Return the quarters of the last day's hours in which something was over."""
        return self._found(account).quarters.latest(now)

    def identities(self, account: str) -> tuple[str, ...]:
        """Return the identities that belong to an account, as far as they have called lately."""
        running = (context.caller for context, _ in self._running.values())
        known = [caller.identity for caller in running if caller is not None and caller.account == account]
        return tuple(dict.fromkeys([*known, *self._found(account).identities]))

    def _account(self, caller: Caller) -> _Account:
        account = self._accounts.setdefault(caller.account, _Account())
        self._accounts.move_to_end(caller.account)
        _forget_oldest(self._accounts, _ACCOUNTS)
        account.identities[caller.identity] = None
        account.identities.move_to_end(caller.identity)
        _forget_oldest(account.identities, _IDENTITIES)
        return account

    def _found(self, account: str) -> _Account:
        return self._accounts.get(account) or _Account()


def _is_shown(fields: Mapping[str, Any]) -> bool:
    """Whether a request was for an answer, or failed."""
    is_watching = fields.get("path", "").removeprefix("/v1").startswith(_NOT_SHOWN)
    return "personality" in fields or (not is_watching and fields.get("status", 0) >= _FIRST_ERROR)


def _figures(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in _FIGURES:
        if (value := fields.get(name)) is not None:
            yield name, value[:_NAMES] if isinstance(value, str) else value


def _forget_oldest(known: OrderedDict[str, Any], most: int) -> None:
    while len(known) > most:
        known.popitem(last=False)
