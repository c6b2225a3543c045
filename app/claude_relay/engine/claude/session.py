"""One Claude Code process as a conversation partner: get it ready, configure, ask, interrupt and reset it."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Literal

from msgspec.structs import replace

from claude_relay.engine.claude import command, configuration, history, outgoing, tools, wire
from claude_relay.engine.claude.capabilities import Current
from claude_relay.engine.claude.control import ControlChannel, ProcessGoneError
from claude_relay.engine.claude.guard import SingleRequestGuard
from claude_relay.engine.claude.matching import Binding, Conversation, Kind
from claude_relay.engine.claude.models import Models
from claude_relay.engine.claude.ownership import TurnOwnership
from claude_relay.engine.claude.process import ChildProcess
from claude_relay.engine.profiles import Profile
from claude_relay.engine.runner import Spend
from claude_relay.engine.vocabulary import Decision, RunRequest, Turn
from claude_relay.errors import UnavailableError, UpstreamError
from claude_relay.settings import Personality

_log = logging.getLogger(__name__)

_LOOP = (
    "Claude Code would ask this relay, and the relay Claude Code: the user's settings.json sets ANTHROPIC_BASE_URL to "
    "the relay's address. Remove it there, and set it where a client of the relay is started."
)
_INTERRUPT_TIMEOUT = 0.5
"""Seconds that a process gets to take notice of an interrupt, and to end its turn."""
REPLY_TIMEOUT = 0.5
"""Seconds within which a process that was idle answers a control request; one that does not hangs."""
_GRACE = 0.05
"""Seconds for what has come already to be read."""
_ONE_EXCHANGE = 2
"""Turns of a question and its answer."""
_MANY = 500
"""Turns that take longer to be handed over than others may wait for the event loop."""
Origin = Literal["reused", "reset", "prewarmed", "started"]
"""How a request got its process: with its conversation in it, reset, ready, or started for it."""


class UnresponsiveError(ProcessGoneError):
    """The process runs, but does not answer."""

    default_code = "claude_unresponsive"


class UnsolicitedTurnError(ProcessGoneError):
    """The process began a turn that the relay did not ask for, so its conversation is no longer the client's."""


class NotEmptyError(ProcessGoneError):
    """The process could not prove that it has forgotten its last conversation, so its answer is not used."""


Fault = UnresponsiveError | UnsolicitedTurnError | NotEmptyError


class Session:
    """A child process, and what is known of it.

    Args:
        process: The child, just started.
        personality: What it was started as.
        model: The model it was started with.
        capabilities: Tells what is used of the CLI; asked at each question.
        spend: Is told what each turn has cost, as soon as that is known.
        models: The models that the CLI has told of; it learns of those that this process tells of.
        is_relay: Whether an upstream is the relay itself.
        asks: Whether the process asks for permissions.
        profile: The profile that it was started with.

    Attributes:
        kind: What it was started as.
        binding: What it was configured for; None as long as it is a spare.
        history: The conversation it holds, if that is known exactly.
        in_turn: Whether it was asked and has not ended its turn.
        turns: How many questions it was asked.
        cost: US dollars that its last turn has cost; None if that is not known, or not yet.
        origin: How its present request got it.
        request_sent: Whether the CLI has asked the upstream its present question, as far as is known.
        has_output: Whether anything of the present answer has come.
        aborted: Whether the present answer was cut short: the process then holds more than the client knows of.
        fault: Why the process must end, where it is neither its end nor the end of its answer.
    """

    def __init__(
        self,
        process: ChildProcess,
        personality: Personality,
        model: str,
        capabilities: Current,
        spend: Spend | None = None,
        *,
        models: Models | None = None,
        is_relay: Callable[[str], bool] = lambda _: False,
        asks: bool = False,
        profile: Profile | None = None,
    ) -> None:
        self.process = process
        self.personality: Personality = personality
        self.kind = Kind(personality, profile)
        self.binding: Binding | None = None
        self.history: Conversation | None = None
        self.in_turn = False
        self.turns = 0
        self.cost: float | None = None
        self.origin: Origin = "started"
        self.request_sent = False
        self.has_output = False
        self.aborted = False
        self.fault: Fault | None = None
        self._current = capabilities
        self._capabilities = capabilities()
        self._asked: tuple[Conversation | None, tuple[Turn, ...]] | None = None
        self._settings = configuration.defaults(model, personality)
        self._spend = spend
        self._models = models or Models()
        self._is_relay = is_relay
        self._spent = 0.0
        self._turns = TurnOwnership()
        self._told: tuple[str, str] | None = None
        self._rewind: outgoing.ControlLine | None = None
        self._options: configuration.Options | None = None
        self._early: deque[wire.Line] = deque()
        self._answers_by_tool = False
        self._watching: asyncio.Task[None] | None = None
        self._probe: str | None = None
        self._responded = asyncio.Event()
        self._guard = SingleRequestGuard()
        self._channel = ControlChannel(process, asks=asks)

    @property
    def alive(self) -> bool:
        """Whether the process still runs, as far as is known."""
        return self.process.returncode is None

    @property
    def model(self) -> str:
        """The model that would answer now."""
        return str(self._settings["model"])

    @property
    def is_continued(self) -> bool:
        """Whether it holds a conversation of more than one question and its answer."""
        return self.history is not None and len(self.history.turns) > _ONE_EXCHANGE

    async def ready(self) -> None:
        """Wait until the CLI answers control requests, that is, until it has started.

        Raises:
            UnavailableError: The user's settings make the relay itself its upstream.
            UpstreamError: It ended instead.
        """
        asked = [self._channel.request(subtype) for subtype in ("get_settings", "list_models")]
        await self._channel.write(*asked)
        waiting = {line.request_id for line in asked}
        while waiting:
            # where the CLI does not know a request, its refusal is an answer too
            if isinstance(line := await self._next(), wire.ControlResponse):
                waiting.discard(line.response.request_id)
                upstream = wire.settings_env(line.response.response).get(command.BASE_URL)
                if isinstance(upstream, str) and self._is_relay(upstream):
                    raise UnavailableError(_LOOP, code="upstream_is_relay")

    def assign(self, origin: Origin) -> None:
        """Learn that a request got this process, and how."""
        self.origin = origin

    def watch(self, ended: Callable[["Session"], None]) -> None:
        """Read the output of the idle process until it is used again.

        Args:
            ended: Is told when the process ends, or takes a turn that nobody asked for.
        """
        self._watching = asyncio.create_task(self._watch(ended))

    @property
    def is_watched(self) -> bool:
        """Whether the process is idle and its output is read."""
        return self._watching is not None and not self._watching.done()

    async def responds(self, within: float) -> bool:
        """Whether the watched process answers within some seconds, or is wanted by somebody meanwhile."""
        asked = self._channel.request("get_binary_version")
        self._probe = asked.request_id
        self._responded.clear()
        with contextlib.suppress(UpstreamError):
            async with self._answering(within):
                await self._channel.write(asked)
                await self._responded.wait()
        return self.fault is None

    async def ask(self, request: RunRequest, hand_over: history.Strategy) -> None:
        """Ask a question: on a fresh process, on one that was reset, or where the conversation is held already.

        The answer is what ``receive`` returns from here on, up to a ``Result``.

        Args:
            request: What to ask.
            hand_over: How the conversation gets into the process.

        Raises:
            ProcessGoneError: The process hangs, or holds another conversation than was thought.
            UpstreamError: The process refused, or ended.
        """
        await self._stop_watching()
        self._capabilities = self._current()
        self.request_sent = self.has_output = False
        goes_on = self.history is not None
        if goes_on and self.personality == "agent" and not self._capabilities.tied_turns:
            await self._require_quiet()
        turns = request.turns[-1:] if goes_on else request.turns
        # the CLI drops the reasoning of what another model has said, and knows each by its full id
        wanted = replace(request, turns=turns, model=self._models.full_id(request.model))
        make_plan = partial(hand_over, wanted, client_composed=self._capabilities.client_composed)
        plan = await asyncio.to_thread(make_plan) if len(wanted.turns) > _MANY else make_plan()
        keeps_words = hand_over is history.native and not request.answers_by_tool
        self._asked = (self.history, request.turns) if keeps_words else None
        self.history = None
        self.aborted = False
        self._answers_by_tool = request.answers_by_tool
        self._channel.tools = request.tools
        self._guard = (
            SingleRequestGuard.for_request(request) if self._capabilities.single_request else SingleRequestGuard()
        )
        told = [
            line.uuid for batch in (*plan.past, plan.question) for line in batch if isinstance(line, outgoing.UserLine)
        ]
        self._turns.expect(told)
        self._told = (self._told[0] if self._told else told[0], told[-1])
        lines = [*self._sign_of_life(), *self._initial(request), *self._changes(request, plan, goes_on=goes_on)]
        write = self._write
        for batch in plan.past:
            await write(*lines, *batch)
            await self._turn_over()
            # it has just answered, and is not idle
            lines, write = [], self._channel.write
        self.in_turn, self.cost = True, None
        self.turns += 1
        await write(*lines, *plan.question)

    def settle(self, answer: Turn | None) -> None:
        """Learn which conversation the process holds, now that its turn is over.

        Args:
            answer: The answer, in the words that the client will repeat; None if they are not known exactly.
        """
        asked, self._asked = self._asked, None
        if answer is None or asked is None or self.aborted:
            self.history = None
            return
        before, turns = asked
        self.history = (before or Conversation.of(turns[:-1])).followed_by(turns[-1], answer)

    def forget(self) -> None:
        """Have the process forget its conversation before its next question, and prove it before anything is read.

        The CLI goes back to before the first line that it was told, and says what is left before that: it must be
        nothing. All is written at once, and whoever waits for the answer does not wait for the proof.
        """
        self.history = None
        if self._told is not None:
            first, last = self._told
            self._rewind = self._channel.request(
                "rewind_conversation", target_message_uuid=first, last_seen_user_message_uuid=last
            )
            self._told = None

    def is_set_for(self, request: RunRequest) -> bool:
        """Whether a request needs no other settings than those that are set."""
        return self._options == configuration.options(request)

    async def receive(self) -> wire.Line:
        """Return the next line of the CLI; what it asks of the relay is answered on the way, but for permissions.

        Raises:
            UpstreamError: The process ended, or refused its configuration.
        """
        match line := await self._next():
            case wire.StreamEvent(wire.ContentBlockDelta()) if not self._guard.awaits_words:
                # by far the most, and nothing else is to be done for them
                self.request_sent = self.has_output = True
                return line
            case wire.ControlResponse(wire.ControlReply(subtype="error", error=error)):
                raise UpstreamError(f"Claude Code refused its configuration: {error}", code="claude_refused")
            case wire.Other("result", reason):
                raise UpstreamError(f"Claude Code's result could not be read: {reason}", code="claude_unreadable")
            case wire.Result(terminal_reason="blocking_limit") if self._guard.engaging and not self.has_output:
                self.request_sent = False
                raise ProcessGoneError("Claude Code ended the turn without asking the upstream.")
            case wire.System("init", tools=tuple(listed)) if self._answers_by_tool and tools.ANSWER not in listed:
                # before anything is asked, and paid for
                self.process.kill()
                raise UpstreamError("Claude Code does not take the schema of the answer.", code="claude_refused")
            case wire.System("status", status="requesting"):
                self.request_sent = True
            case wire.StreamEvent():
                self.request_sent = self.has_output = True
            case wire.Result(total_cost_usd=total):
                self._turn_ended(total)
        self._guard.observe(line)
        if self._guard.should_engage(line):
            await self._engage_guard()
        return line

    async def permit(self, asked: wire.ControlRequest, decision: Decision) -> None:
        """Tell the CLI whether it may use a tool that it asked about.

        Raises:
            ProcessGoneError: It has ended.
        """
        reply = tools.permission_reply(decision, asked.request.input)
        await self._channel.write(outgoing.answer(asked.request_id, reply))

    async def abort(self) -> None:
        """See to it that nothing more is asked upstream, where the answer ended before the CLI's own turn did."""
        self.aborted = self.in_turn
        may_be_killed = self.personality == "chat"
        # where the model has stopped and nothing keeps the CLI from going on, only a kill is quick enough
        if not (may_be_killed and self._guard.missed):
            await self.end_turn()
        if self.in_turn and may_be_killed:
            self.process.kill()

    async def end_turn(self) -> None:
        """End the turn that goes on, if one does, so that its tools end too and what it has cost is known.

        Behind the guard a turn ends by itself at once; another one is interrupted.
        """
        await self._stop_watching()
        if not self.in_turn or not self.alive:
            return
        if not self._guard.holds:
            await self.interrupt()
        # whoever reads the answer still, while the relay stops, hears of the end instead
        with contextlib.suppress(TimeoutError, UpstreamError, RuntimeError):
            async with asyncio.timeout(_INTERRUPT_TIMEOUT):
                await self._turn_over()

    async def interrupt(self) -> None:
        """Ask the CLI to stop its work, upstream and in tools; nothing happens if it is gone already."""
        with contextlib.suppress(UpstreamError, TimeoutError):
            async with asyncio.timeout(_INTERRUPT_TIMEOUT):
                await self._channel.write(self._channel.request("interrupt"))

    def _sign_of_life(self) -> list[outgoing.Line]:
        """Return a control request that is answered at once, unless the CLI confirms each line by itself."""
        tells = self._capabilities.tied_turns and self.binding is not None
        return [] if tells else [self._channel.request("get_binary_version")]

    def _initial(self, request: RunRequest) -> list[outgoing.Line]:
        """The first ``initialize`` of a process is the only one that counts."""
        if self.binding is not None:
            return []
        self.binding = Binding.of(request)
        self._channel.is_bound = True
        return [self._channel.request("initialize", **configuration.initial(request))]

    def _changes(self, request: RunRequest, plan: history.Plan, *, goes_on: bool) -> list[outgoing.Line]:
        """Only what differs from what is set already is set: it costs the CLI some 20 ms."""
        self._options = configuration.options(request)
        wanted = configuration.settings(request, plan)
        if wanted == self._settings:
            return []
        same_model, self._settings = wanted["model"] == self.model, wanted
        change = self._channel.request("apply_flag_settings", settings=wanted)
        # a boundary hides what a change of model leaves in the conversation, and with it the conversation
        return [change] if goes_on or same_model else [change, outgoing.boundary()]

    async def _next(self) -> wire.Line:
        line = self._early.popleft() if self._early else await self._channel.read()
        while isinstance(line, wire.ControlRequest) and not self.in_turn:
            # what an agent does in the background nobody has asked for, and nobody is there to be asked
            await self.permit(line, Decision("", approve=False, reason="Nobody is there to be asked."))
            line = await self._channel.read()
        if isinstance(line, wire.ControlResponse):
            self._models.learn_listed(wire.listed_models(line.response.response))
        # no look at deltas, which are by far the most
        if self._capabilities.tied_turns and not isinstance(line, wire.StreamEvent) and not self._turns.is_ours(line):
            # a turn goes on, so that whoever ends the process interrupts it first
            self.in_turn = True
            raise self._failed(UnsolicitedTurnError("Claude Code began a turn that the relay did not ask for."))
        return line

    async def _require_quiet(self) -> None:
        """Where the CLI does not tie its turns to lines: see whether an agent said anything since its last answer."""
        asked = self._channel.request("get_binary_version")
        async with self._answering():
            await self._channel.write(asked)
            while True:
                match await self._next():
                    case wire.ControlResponse(reply) if reply.request_id == asked.request_id:
                        return
                    case wire.StreamEvent() | wire.Assistant() | wire.Result():
                        raise self._failed(
                            UnsolicitedTurnError("The agent began a turn that the relay did not ask for.")
                        )

    async def _watch(self, ended: Callable[["Session"], None]) -> None:
        try:
            while True:
                match await self._next():
                    case wire.ControlResponse(reply) if reply.request_id == self._probe:
                        self._responded.set()
        except UpstreamError:
            ended(self)
        finally:
            # whoever waits for an answer need not: it has ended, or is wanted
            self._responded.set()

    async def _stop_watching(self) -> None:
        """Become the only reader again; what was not read yet is not lost."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None

    async def _write(self, *lines: outgoing.Line) -> None:
        """Write lines, and see that the process hears them: before all others the one to forget, if it must."""
        rewind, self._rewind = self._rewind, None
        await self._channel.write(*([rewind] if rewind else []), *lines)
        await self._hear()
        if rewind is not None:
            await self._require_forgotten(rewind.request_id)

    async def _hear(self) -> None:
        """Wait for the first line if the process was idle; a new process has just answered and is not probed."""
        if self.origin == "started":
            return
        try:
            async with asyncio.timeout(REPLY_TIMEOUT):
                await self.process.readable()
        except TimeoutError:
            # where the relay itself was late, the answer may have come: then the question may be asked already
            async with self._answering(_GRACE):
                await self.process.readable()

    async def _require_forgotten(self, rewind_id: str) -> None:
        """Read nothing of an answer before the process has proved that nothing is left of its last conversation."""
        async with self._answering():
            while not _replies(line := await self._channel.read(), rewind_id):
                self._early.append(line)
        if not (isinstance(line, wire.ControlResponse) and wire.is_empty_before(line.response)):
            self.process.kill()
            raise self._failed(NotEmptyError("Claude Code could not prove that it has forgotten its conversation."))

    @contextlib.asynccontextmanager
    async def _answering(self, within: float = REPLY_TIMEOUT) -> AsyncIterator[None]:
        """Wait for an answer within some seconds.

        Raises:
            UnresponsiveError: None came; the process is killed, so that it does nothing of what it was told.
        """
        try:
            async with asyncio.timeout(within):
                yield
        except TimeoutError:
            self.process.kill()
            raise self._failed(UnresponsiveError(f"Claude Code did not answer within {within:g} seconds.")) from None

    def _failed(self, fault: Fault) -> ProcessGoneError:
        if self.fault is None:
            _log.warning("claude[%d] is ended: %s", self.process.pid, fault.message)
        self.fault = self.fault or fault
        return fault

    def _turn_ended(self, total: float | None) -> None:
        """Learn that a turn is over, and what it has cost; the CLI reports the sum of all turns so far."""
        if self.in_turn:
            # unlike a past turn that was handed over, which ends before the question
            self._turns.expect(())
        self.in_turn = False
        if total is None:
            return
        # a billionth of a dollar is exact enough, and what binary fractions add looks odd
        self.cost, self._spent = round(total - self._spent, 9), total
        if self._spend and self.binding:
            self._spend(self.binding.account, self.cost)

    async def _engage_guard(self) -> None:
        """Have the CLI refuse to ask anything more in this turn."""
        self._settings = configuration.blocked(self._settings)
        engaging = self._channel.request("apply_flag_settings", settings={"env": configuration.BLOCKED})
        self._guard.engaging = engaging.request_id
        await self._channel.write(engaging)

    async def _turn_over(self) -> wire.Result:
        while not isinstance(line := await self.receive(), wire.Result):
            pass
        return line


def _replies(line: wire.Line, request_id: str) -> bool:
    return isinstance(line, wire.ControlResponse) and line.response.request_id == request_id
