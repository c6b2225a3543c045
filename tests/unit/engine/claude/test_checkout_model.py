"""Random requests against the pool, and an oracle for what the upstream must be asked.

Whatever is reused, emptied, evicted or dies: each request's body is its own conversation, and nothing else.
"""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from claude_relay.engine.claude import history
from claude_relay.engine.claude import spares as spares_module
from claude_relay.engine.claude.capabilities import Capabilities
from claude_relay.engine.claude.control import ProcessGoneError
from claude_relay.engine.claude.matching import Kind, answered
from claude_relay.engine.claude.pace import Pace
from claude_relay.engine.claude.pool import Limits, Pool
from claude_relay.engine.claude.session import Session
from claude_relay.engine.claude.tools import definition
from claude_relay.engine.claude.translate import Translator
from claude_relay.engine.vocabulary import (
    Event,
    Piece,
    RunEnd,
    RunRequest,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from claude_relay.settings import Personality
from tests.unit.engine.claude.composer import OWN_TOOL, Block, Body, Composer, Ending, Reply
from tests.unit.engine.claude.fakes import CAPABLE

pytestmark = pytest.mark.slow

WEATHER = Tool("weather", "Tells the weather.", {"type": "object", "properties": {"a": {}, "b": {}}})
TIME = Tool("time", "Tells the time.", {"type": "object"}, strict=True)
_SETTLED = 12
"""Turns of the event loop after which nothing goes on by itself any more."""


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count on no process to be given back soon: nobody could tell when one is started instead."""
    monkeypatch.setattr(Pace, "served_soon", lambda *_: 0)


class Profile(Struct, frozen=True):
    """What a process is bound to."""

    caller: str
    personality: Personality = "chat"
    system: str | None = None
    tools: tuple[Tool, ...] = ()


PROFILES = (
    Profile("ann"),
    Profile("bob"),
    Profile("ann", system="Be brief."),
    Profile("ann", tools=(WEATHER,)),
    Profile("ann", tools=(WEATHER, TIME)),
    Profile("ann", "agent"),
    Profile("bob", "agent", tools=(WEATHER,)),
)

Origin = Literal["new", "continued", "respelled", "repeated", "edited", "forked", "taken", "other model"]
Saying = Literal["text", "call", "calls", "nothing", "broken call", "own work"]


class Ask(Struct, frozen=True):
    """A request, made of what was said before, and what becomes of it."""

    origin: Origin
    which: int
    profile: int
    wish: bool
    saying: Saying
    ending: Ending
    waits: bool
    alone: bool


class Finish(Struct, frozen=True):
    """A waiting answer comes, or its client leaves."""

    which: int
    leaves: bool


class Break(Struct, frozen=True):
    """Something happens to a process."""

    which: int
    how: Literal["dies seen", "dies unseen", "leaks"]


Step = Ask | Finish | Break

_continuing = st.sampled_from(["continued"] * 4 + ["respelled"])
_changing = st.sampled_from(["new", "new", "repeated", "edited", "forked", "taken", "other model"])
_usual: tuple[Ending, ...] = ("result",) * 8
_endings: Sequence[Ending] = (*_usual, "cut", "dies early", "dies late")
_asks = st.builds(
    Ask,
    origin=_continuing | _changing,
    which=st.integers(0, 9),
    profile=st.integers(0, len(PROFILES) - 1),
    wish=st.booleans(),
    saying=st.sampled_from(["text", "text", "call", "calls", "nothing", "broken call", "own work"]),
    ending=st.sampled_from(_endings),
    waits=st.sampled_from([False, False, True]),
    alone=st.sampled_from([True, False, False, False]),
)
_finishes = st.builds(Finish, which=st.integers(0, 9), leaves=st.sampled_from([False, False, False, True]))
_breaks = st.builds(Break, which=st.integers(0, 9), how=st.sampled_from(["dies seen", "dies unseen", "leaks", "leaks"]))
_steps = st.lists(_asks | _asks | _asks | _finishes | _breaks, min_size=25, max_size=40)
_limits = st.builds(
    Limits,
    warm=st.integers(0, 1),
    processes=st.integers(4, 6),
    starts=st.integers(1, 3),
    idle_seconds=st.just(600.0),
    turns=st.integers(2, 6),
    memory=st.just(1),
)
_capabilities = st.builds(
    lambda reuse, reset: replace(CAPABLE, reuse=reuse, reset=reset),
    st.sampled_from([True, True, True, False]),
    st.sampled_from([True, True, True, False]),
)


# --- words -----------------------------------------------------------------------------------------------------------


def words(text: str) -> tuple[str, ...]:
    """Return a text as far as it counts: white space does not."""
    return tuple(text.split())


def said(messages: Iterable[tuple[str, list[Block]]]) -> list[tuple[Any, ...]]:
    """Return who said what in a body, without what an agent did by itself."""
    turns: list[tuple[Any, ...]] = []
    for role, blocks in messages:
        own = [block for block in blocks if str(block.get("id", block.get("tool_use_id", ""))).startswith("own")]
        between = "" if role == "assistant" else " "
        texts = words(between.join(block["text"] for block in blocks if block["type"] == "text"))
        others = tuple(plain(block) for block in blocks if block["type"] != "text" and block not in own)
        if not texts and not others:
            continue
        if turns and turns[-1][0] == role:
            _, before, earlier = turns.pop()
            texts, others = before + texts, earlier + others
        turns.append((role, texts, others))
    return turns


def plain(block: Block) -> tuple[Any, ...]:
    if block["type"] == "tool_use":
        return ("call", block["id"], block["name"], tuple(sorted(block["input"].items())))
    return ("result", block["tool_use_id"], tuple(words(part["text"]) for part in block["content"]))


def meant(turns: Iterable[Turn]) -> list[tuple[Any, ...]]:
    """Return who said what in a request."""
    return said((turn.role, history.blocks(turn)) for turn in turns)


# --- the world -------------------------------------------------------------------------------------------------------


class Known(Struct, frozen=True):
    """A conversation that a client has seen.

    Attributes:
        profile: Whose.
        model: Who answered last.
        turns: All turns, the answer included.
    """

    profile: Profile
    model: str
    turns: tuple[Turn, ...]


class Bound(Composer):
    """A stand-in that remembers for whom it worked."""

    def __init__(self, personality: Personality) -> None:
        super().__init__()
        self.personality = personality
        self.profiles: list[Profile] = []
        self.known = False
        self.left = False


class World:
    """A pool, its processes, the clients, and what must be true of all.

    Attributes:
        conversations: What clients have seen and may go on with.
        running: Requests that are not answered yet, each with what it waits for.
        served: How requests got their processes.
        crowded: Whether several requests come at once, so that nobody can tell who gets what.
    """

    def __init__(self, limits: Limits, capabilities: Capabilities) -> None:
        self.limits = limits
        self.capabilities = capabilities
        self.pool = Pool(self._open, limits, lambda _: 0, lambda: capabilities)
        self.processes: list[Bound] = []
        self.conversations: list[Known] = []
        self.running: dict[asyncio.Task[None], tuple[Bound | None, asyncio.Event]] = {}
        self.served: Counter[str] = Counter()
        self.crowded = False
        self._numbers = itertools.count()
        self._out: set[Session] = set()

    async def _open(self, kind: Kind) -> Session:
        await asyncio.sleep(0)
        self.processes.append(Bound(kind.personality))
        return Session(self.processes[-1], kind.personality, "sonnet", lambda: self.capabilities)

    def word(self) -> str:
        return f"w{next(self._numbers)}"

    # --- requests ----------------------------------------------------------------------------------------------------

    def request(self, step: Ask) -> RunRequest:
        known = self.conversations[step.which % len(self.conversations)] if self.conversations else None
        if known is None or step.origin == "new":
            turns: tuple[Turn, ...] = (Turn("user", (Text(f"{self.word()} {self.word()}"),)),)
            return self._asked(step, PROFILES[step.profile], "sonnet", turns)
        profile, model, turns = known.profile, known.model, known.turns
        match step.origin:
            case "respelled":
                turns = tuple(map(respelled, turns))
            case "repeated":
                return self._asked(step, profile, model, turns[:-1])
            case "edited":
                place = step.profile % len(turns)
                turns = (*turns[:place], self._edited(turns[place]), *turns[place + 1 :])
            case "forked":
                turns = turns[: 2 * (1 + step.profile % (len(turns) // 2))]
            case "taken":
                profile = replace(PROFILES[step.profile], tools=profile.tools)
            case "other model":
                model = "opus" if model == "sonnet" else "sonnet"
        return self._asked(step, profile, model, (*turns, self._next(turns[-1])))

    def _asked(self, step: Ask, profile: Profile, model: str, turns: tuple[Turn, ...]) -> RunRequest:
        sampling = Sampling(temperature=0.5) if step.wish else Sampling()
        personality, system, tools = profile.personality, profile.system, profile.tools
        return RunRequest(model, personality, system, turns, sampling, tools=tools, caller=profile.caller)

    def _next(self, last: Turn) -> Turn:
        """Answer all calls, the last one first, or go on."""
        calls = [piece for piece in last.content if isinstance(piece, ToolCall)]
        results: list[Piece] = [ToolResult(call.id, (Text(self.word()),)) for call in reversed(calls)]
        return Turn("user", (*results, Text(self.word())) if len(results) != 1 else tuple(results))

    def _edited(self, turn: Turn) -> Turn:
        """Say something else, or call the same with other arguments."""
        calls = [piece for piece in turn.content if isinstance(piece, ToolCall)]
        if calls:
            others = [replace(call, arguments={"b": self.word()}) for call in calls]
            return replace(turn, content=(*(piece for piece in turn.content if piece not in calls), *others))
        return replace(turn, content=(*turn.content, Text(self.word())))

    def reply(self, step: Ask, request: RunRequest) -> Reply:
        text = {"type": "text", "text": f" {self.word()} {self.word()}\n"}
        if step.saying == "nothing":
            return Reply((), step.ending)
        if step.saying == "own work" and request.personality == "agent":
            own = {"type": "tool_use", "id": f"own_{self.word()}", "name": OWN_TOOL, "input": {}}
            return Reply((text, own, {"type": "text", "text": self.word()}), step.ending)
        if step.saying in {"call", "calls", "broken call"} and request.tools:
            calls = [
                {"type": "tool_use", "id": f"id_{self.word()}", "name": tool.name, "input": {"a": self.word(), "b": ""}}
                for tool in (request.tools * 2)[: 1 if step.saying == "call" else 2]
            ]
            broken = {"raw": '{"a'} if step.saying == "broken call" else {}
            return Reply(((text,) if step.wish else ()) + tuple({**call, **broken} for call in calls), step.ending)
        return Reply((text,), step.ending)

    # --- serving -----------------------------------------------------------------------------------------------------

    async def serve(self, step: Ask, request: RunRequest, gate: asyncio.Event) -> None:
        """Serve a request as the runner does: a process that is found dead only costs another try."""
        reply = self.reply(step, request)
        for last_try in (False, False, True):
            wanted = None if self.crowded else self.expected(request)
            session = await self.pool.checkout(request)
            self._check_out(session, request, wanted)
            process = composer(session)
            process.reply, process.gate = reply, gate
            self.running[own_task()] = (process, gate)
            events: list[Event] = []
            try:
                await self._ask(session, request, events)
            except ProcessGoneError:
                if last_try or events or session.origin == "started":
                    return
                reply = replace(reply, ending="result")
            else:
                return
            finally:
                self._out.discard(session)

    async def _ask(self, session: Session, request: RunRequest, events: list[Event]) -> None:
        process, before = composer(session), len(composer(session).ledger.bodies)
        returned = False
        try:
            translator = Translator(None, [tool.name for tool in request.tools])
            await session.ask(request, history.native)
            if profile_of(request) not in process.profiles:
                process.profiles.append(profile_of(request))
            while not events or not isinstance(events[-1], RunEnd):
                events.extend(translator.feed(await session.receive()))
            await session.abort()
            answer = answered(events)
            session.settle(answer)
            process.known = session.history is not None
            self.pool.release(session)
            returned = True
            if answer is not None:
                turns = (*request.turns, answer)
                self.conversations.append(Known(profile_of(request), request.model, turns))
        finally:
            if not returned:
                self.pool.retire(session)
                process.left = True
            for body in process.ledger.bodies[before:]:
                self._check_body(body, request, session)

    # --- what must be true -------------------------------------------------------------------------------------------

    def expected(self, request: RunRequest) -> str:
        """Return how a request gets its process, by what is true of the processes themselves."""
        idle = [composer(session) for session in self.pool._idle]
        own = [process for process in idle if process.seems_alive and process.profiles == [profile_of(request)]]
        past = meant(request.turns[:-1])
        if any(
            past and process.known and said(process.history) == past and process.model == request.model
            for process in own
        ):
            return "reused"
        all_kept = all(process.known and len(said(process.history)) > 2 for process in own)
        others = any(composer(busy).profiles == [profile_of(request)] for busy in self.pool._busy)
        all_kept = all_kept and others and self.pool._total < self.limits.processes
        if request.personality == "chat" and self.capabilities.reset and own and not all_kept:
            return "reset"
        spares = self.pool._spares._ready[Kind.of(request)]
        return "prewarmed" if any(spare.alive for spare in spares) else "started"

    def _check_out(self, session: Session, request: RunRequest, wanted: str | None) -> None:
        process = composer(session)
        assert session not in self._out, "handed out twice"
        self._out.add(session)
        assert wanted in {None, session.origin}
        assert process.personality == request.personality
        assert not process.left, "it was retired"
        assert process.profiles in ([], [profile_of(request)]), "two callers share a process"
        self.served[session.origin] += 1

    def _check_body(self, body: Body, request: RunRequest, session: Session) -> None:
        assert said(body.messages) == meant(request.turns)
        assert all(role == wanted for (role, _), wanted in zip(body.messages, itertools.cycle(("user", "assistant"))))
        assert (body.system, body.model) == (request.system, request.model)
        assert body.listed == sorted(tool.name for tool in request.tools)
        if request.personality == "agent":
            assert body.extra == {}
        else:
            assert body.extra.get("tools", []) == [definition(tool) for tool in request.tools]
            assert body.extra.get("temperature") == request.sampling.temperature
        if session.origin != "reused":
            assert OWN_TOOL not in str(body.messages)

    def check(self) -> None:
        """Look at everything, when nothing goes on but what waits for an answer."""
        pool, counts = self.pool, self.pool.counts
        alive = {composer(session) for session in pool._alive}
        assert pool._busy == self._out
        assert not pool._busy & pool._idle.keys()
        assert counts.busy == len(self.running)
        assert len(alive) == counts.spare + counts.idle + counts.busy
        assert len(alive) <= self.limits.processes or not pool._idle
        assert self.served == Counter({how: getattr(counts, how) for how in self.served})
        assert counts.ending == 0
        assert {process for process in self.processes if not process.ledger.closed} == alive
        for process in self.processes:
            assert process.ledger.wrongs == []
            assert len(process.profiles) <= 1
            assert len(process.ledger.bodies) <= self.limits.turns
            if process.personality == "agent":
                assert (process.ledger.proofs, process.ledger.boundaries) == (0, 0)

    # --- steps -------------------------------------------------------------------------------------------------------

    async def take(self, step: Step) -> None:
        match step:
            case Ask():
                if len(self.running) < self.limits.processes - 2 * self.limits.warm:
                    gate = asyncio.Event()
                    if not step.waits:
                        gate.set()
                    task = asyncio.create_task(self.serve(step, self.request(step), gate))
                    self.running[task] = (None, gate)
                if not step.alone:
                    self.crowded = True
                    return
            case Finish(which, leaves) if self.running:
                task = tuple(self.running)[which % len(self.running)]
                if leaves:
                    task.cancel()
                self.running[task][1].set()
            case Break(which, how) if self.pool._alive:
                self._break(composer(sorted(self.pool._alive, key=pid)[which % len(self.pool._alive)]), how)
        await self.settle()
        self.check()

    def _break(self, process: Bound, how: str) -> None:
        if how == "leaks":
            # that a fresh process can be told of another model is the self-test's business
            process.leaks = bool(process.profiles)
        else:
            process.die(seen=how == "dies seen")

    async def settle(self) -> None:
        """Wait until everybody has done what can be done."""
        quiet = 0
        while quiet < _SETTLED:
            before = self._state()
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._state() == before else 0
        self.crowded = False
        for task in [task for task in self.running if task.done()]:
            del self.running[task]
            if not task.cancelled():
                task.result()

    def _state(self) -> tuple[Any, ...]:
        done = sum(task.done() for task in self.running)
        out = sum(len(process._out) + len(process._seen) for process in self.processes)
        return (self.pool.counts, done, out, len(self.processes), len(self.pool._opening))

    async def end(self) -> None:
        for task, (_, gate) in self.running.items():
            gate.set()
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        await self.pool.stop()
        assert all(process.ledger.closed for process in self.processes)


def composer(session: Session) -> Bound:
    assert isinstance(session.process, Bound)
    return session.process


def pid(session: Session) -> int:
    return session.process.pid


def own_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task


def profile_of(request: RunRequest) -> Profile:
    return Profile(request.caller, request.personality, request.system, request.tools)


def respelled(turn: Turn) -> Turn:
    """Write a turn as clients do that trim, cut the assistant's text into pieces and write arguments their own way."""
    content: list[Piece] = []
    if turn.role == "assistant":
        text = "".join(piece.text for piece in turn.content if isinstance(piece, Text)).strip()
        content += [Text(piece) for piece in (text[:2], text[2:]) if piece]
    for piece in turn.content:
        match piece:
            case Text() if turn.role == "assistant":
                pass
            case Text(text):
                content.append(Text(f"\n{text.strip()} "))
            case ToolCall(_, _, dict(arguments)):
                content.append(replace(piece, arguments=dict(reversed(arguments.items()))))
            case _:
                content.append(piece)
    return Turn(turn.role, tuple(content))


async def lived(limits: Limits, capabilities: Capabilities, steps: list[Step]) -> Counter[str]:
    world = World(limits, capabilities)
    world.pool.start("chat")
    await world.settle()
    try:
        for step in steps:
            await world.take(step)
        await world.settle()
        world.check()
    finally:
        await world.end()
    return world.served


def explored(*, at_once: bool) -> Counter[str]:
    """Try many histories, and return how requests got their processes in all of them."""
    total: Counter[str] = Counter()

    @settings(
        max_examples=60,
        deadline=None,
        derandomize=True,
        database=None,
        report_multiple_bugs=False,
        phases=(Phase.generate,),  # add Phase.shrink to look for the reason of a failure: it takes minutes
        suppress_health_check=list(HealthCheck),
    )
    @given(_limits, _capabilities, _steps)
    def explore(limits: Limits, capabilities: Capabilities, steps: list[Step]) -> None:
        told = [replace(step, alone=step.alone or not at_once) if isinstance(step, Ask) else step for step in steps]
        total.update(asyncio.run(lived(limits, capabilities, told)))

    explore()
    return total


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "claude_relay")
    monkeypatch.setattr(spares_module, "_REFILL_DELAY", 0)


def test_whatever_happens_each_body_is_the_requests_own_conversation_and_nothing_else() -> None:
    served = explored(at_once=False)

    assert min(served[how] for how in ("reused", "reset", "prewarmed", "started")) > 40


def test_the_same_holds_for_requests_that_come_at_once() -> None:
    explored(at_once=True)
