"""The ``ClaudeRunner`` of this package."""

import asyncio
import itertools
import logging
import resource
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

import msgspec
import psutil
from msgspec.structs import replace

from claude_relay.engine.approvals import Approvals
from claude_relay.engine.claude import command, history, orphans, private, process, tools, wire
from claude_relay.engine.claude.capabilities import Capabilities, by_self_test, by_version
from claude_relay.engine.claude.control import ProcessGoneError
from claude_relay.engine.claude.discovery import REMEDY, Finder, Installation
from claude_relay.engine.claude.fallback import Refusable, refused, without
from claude_relay.engine.claude.matching import Kind, answered
from claude_relay.engine.claude.models import Models
from claude_relay.engine.claude.permissions import Permissions
from claude_relay.engine.claude.pool import Limits, Pool
from claude_relay.engine.claude.refusals import Refusals
from claude_relay.engine.claude.selftest import run_self_test
from claude_relay.engine.claude.session import NotEmptyError, Session, UnresponsiveError
from claude_relay.engine.claude.translate import Translator
from claude_relay.engine.claude.worktrees import Worktrees
from claude_relay.engine.limits.resources import find
from claude_relay.engine.limits.sizing import Size, size
from claude_relay.engine.output_checks import OutputChecks
from claude_relay.engine.property_names import with_upstream_arguments
from claude_relay.engine.runner import RunnerHealth, Spend
from claude_relay.engine.vocabulary import (
    Event,
    ParameterDropped,
    PromptCounted,
    RunEnd,
    RunRequest,
    RunStarted,
    Tool,
    Usage,
)
from claude_relay.errors import InvalidRequestError, RelayError, UnavailableError
from claude_relay.settings import ASK, Personality, Settings
from claude_relay.settings_loading import state_directory

_log = logging.getLogger(__name__)

_SELF_TEST_WAITS = 2.0
"""Seconds that each part of the self-test waits at most while requests wait."""
_SELF_TEST_PAUSE = 0.05
_PAGE = resource.getpagesize()
_MOST_LOST = 2
"""Processes that may be lost before they ask; after them one is started for the request."""
_START_REMEDY = "Run `claude -p hello` as the user and with the environment of the relay; it should say what it lacks."


class _Place(msgspec.Struct, frozen=True):
    """Where a process works, and what removes what it leaves, by its id."""

    directory: str
    sweep: process.Sweep


class ClaudeCodeRunner:
    """Answers with the user's own Claude Code.

    Args:
        settings: The operator's choices.
        environ: The environment that the CLI inherits.
        spend: Is told what is spent.
        approvals: Is told what waits for permission; nobody can give it when not given.
    """

    name = "claude"

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        spend: Spend | None = None,
        approvals: Approvals | None = None,
    ) -> None:
        self._settings = settings
        self._approvals = approvals or Approvals(settings.approval_timeout)
        self._environ = environ
        self._spend = spend
        self._finder = Finder(settings.claude_path, environ)
        self._installation: Installation | None = None
        self._size = size(settings, find())
        self._capabilities = Capabilities()
        self._pool = Pool(self._open, limits(settings, self._size), _memory_of, self._current)
        self._private = private.PrivateDirectory(environ)
        self._worktrees = Worktrees(state_directory(settings, environ) / "worktrees", environ)
        self._models = Models()
        self._refusals = Refusals(self._models.full_id)
        self._self_testing: asyncio.Task[None] | None = None
        self._self_test = "off"

    async def start(self) -> None:
        """Look for the CLI and begin to keep processes ready; without a CLI the relay runs, degraded."""
        made = self._size
        _log.info("up to %d answers at once, %d processes: %s", made.answers, made.processes, made.reason)
        if ended := await asyncio.to_thread(orphans.end_orphans):
            _log.warning("processes that a relay which is gone had left running were ended: %d", ended)
        if removed := await asyncio.to_thread(private.remove_left, self._environ):
            _log.info("directories that relays which are gone had left were removed: %d", removed)
        await asyncio.to_thread(self._worktrees.remove_left)
        try:
            await self._installed()
        except UnavailableError as error:
            _log.warning("%s", error.message)

    async def stop(self) -> None:
        """End every process and remove the private directory."""
        if self._self_testing is not None:
            self._self_testing.cancel()
            await asyncio.gather(self._self_testing, return_exceptions=True)
        await self._pool.stop()
        await asyncio.to_thread(self._private.remove)

    def health(self) -> RunnerHealth:
        """Tell the CLI's version, how many processes there are, and how requests got theirs."""
        if self._installation is None or self._finder.missing is not None:
            return RunnerHealth("degraded", reason=self._finder.missing, remedy=REMEDY)
        failure = self._pool.failure
        return RunnerHealth(
            "degraded" if failure else "ok",
            {
                "claude_version": self._installation.version_text,
                "personality": self._settings.personality,
                "self_test": self._self_test,
                "limits": {
                    "answers": self._size.answers,
                    "processes": self._size.processes,
                    "reason": self._size.reason,
                },
                "processes": msgspec.structs.asdict(self._pool.counts),
            },
            reason=failure and f"Claude Code does not start. {failure}",
            remedy=_START_REMEDY if failure else None,
        )

    @property
    def models(self) -> tuple[str, ...]:
        """The names that always work, and what the CLI has told of."""
        return self._models.names

    def context_window(self, model: str) -> int:
        """Return what the CLI has told of a model; until it was asked once, what all of them have at least."""
        return self._models.context_window(model)

    def takes(self, request: RunRequest) -> bool:
        """Whether the request's model is not known to refuse anything of it."""
        return self._refusals.without_known(request)[0] == request

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        """Answer a request; without the options that the upstream refuses, each of which is named.

        Raises:
            RelayError: No process can be had, or the run fails.
        """
        request = self._prepared(request)
        asked, missing = self._refusals.without_known(with_upstream_arguments(tools.without_clash(request)))
        left_out: list[Refusable] = []
        lost, has_begun = 0, False
        while True:
            for name in missing:
                yield ParameterDropped(name)
            missing = ()
            session = await self._pool.checkout(asked, fresh=lost == _MOST_LOST)
            try:
                async with aclosing(self._run_on(session, asked, request.tools, len(left_out))) as events:
                    async for event in events:
                        if not has_begun and not isinstance(event, RunStarted):
                            has_begun = True
                            self._refusals.learn(asked.model, left_out)
                        yield event
            except ProcessGoneError as error:
                lost += 1
                await self._require_unasked(session, error)
            except InvalidRequestError as error:
                # what has begun is not asked a second time
                found = None if has_begun else refused(asked, error)
                if found is None or found in left_out:
                    raise
                _log.info("the upstream refused an option (%s), asking again without it", found.kind)
                asked, missing = without(asked, found)
                left_out.append(found)
                lost = 0
            else:
                return

    def _prepared(self, request: RunRequest) -> RunRequest:
        """Return a request as this runner takes it."""
        if request.traceparent and not command.traces(self._environ):
            # it would be a change of settings, and nobody would see it
            request = replace(request, traceparent="")
        if self._strategy(request.personality) is history.native:
            request = replace(request, turns=history.ended_by_user(request.turns))
        return request

    async def _require_unasked(self, session: Session, lost: ProcessGoneError) -> None:
        """Try again if the process was lost before it asked the upstream; what has asked is not asked a second time.

        What a process asked that did not forget its last conversation is not the client's question: that is asked anew.
        """
        if isinstance(lost, NotEmptyError):
            return
        if session.request_sent or session.origin == "started":
            raise lost
        if isinstance(lost, UnresponsiveError):
            await self._pool.probe()

    async def _run_on(
        self, session: Session, request: RunRequest, client_tools: tuple[Tool, ...], refused_before: int
    ) -> AsyncGenerator[Event, None]:
        """Answer a request on a session, and give that back or end it, whatever happens."""
        names = [tool.name for tool in request.tools]
        by_tool = request.output if request.answers_by_tool else None
        translator = Translator(by_tool, names, alone=request.personality == "chat")
        checks = OutputChecks(request, client_tools, lambda: translator.usage)
        permissions = Permissions(self._approvals, session, request)
        events: list[Event] = []
        returned = False
        try:
            yield RunStarted(session.origin)
            await self._ask(session, request)
            while True:
                line = await session.receive()
                if isinstance(line, wire.Result):
                    self._models.learn_used(line.modelUsage)
                for event in _checked(line, translator, checks, has_begun=bool(events)):
                    if isinstance(event, RunEnd):
                        await checks.check(event)
                        await session.abort()
                        self._models.learn_context_window(request.model, translator.context_window)
                        upstream_requests = refused_before + translator.upstream_requests or None
                        end = replace(event, cost=session.cost, upstream_requests=upstream_requests)
                        # before the client knows of the end: its next request may come at once
                        session.settle(answered(events, client_tools))
                        self._pool.release(session)
                        returned = True
                        yield end
                        return
                    events.append(event)
                    yield event
                for asked in permissions.feed(line, translator):
                    yield asked
        except RelayError as error:
            if events or translator.usage != Usage():
                # it would be paid for once more, and an agent would do its work again
                error.should_retry = False
            raise
        finally:
            permissions.close()
            if not returned:
                self._pool.retire(session)

    async def _ask(self, session: Session, request: RunRequest) -> None:
        if request.output is not None:
            way = "Claude Code's tool" if request.answers_by_tool else "the upstream's own format"
            _log.info("structured output by %s", way)
        await session.ask(request, self._strategy(request.personality))

    def _strategy(self, personality: Personality) -> history.Strategy:
        """An agent's own turns need a conversation of the CLI's own."""
        return history.verbatim if self._settings.history == "verbatim" and personality == "chat" else history.native

    async def _installed(self) -> Installation:
        """Return the present CLI; if it has changed, processes are used again only after its self-test."""
        found = await self._finder.find()
        if found is not self._installation:
            first, self._installation = self._installation is None, found
            self._refusals = Refusals(self._models.full_id)
            self._capabilities = by_version(found, reuse=False)
            if self._self_testing is not None:
                self._self_testing.cancel()
            self._self_testing = asyncio.create_task(self._test_itself(found))
            if first:
                self._pool.start(*likely(self._settings, self._size))
        return found

    async def _test_itself(self, installation: Installation) -> None:
        """Begin to use processes again once it is known that this works with this CLI."""
        if not self._settings.reuse:
            return
        if not self._settings.self_test:
            self._capabilities = by_version(installation, reuse=True)
            return
        self._self_test = "running"
        for pause in self_test_pauses():
            if not (failed := await self._run_self_test(installation)):
                break
            self._self_test = "failed: " + ", ".join(failed)
            _log.warning("Claude Code %s is not used fully: %s", installation.version_text, ", ".join(failed))
            await asyncio.sleep(pause)
        self._self_test = "passed"

    async def _run_self_test(self, installation: Installation) -> list[str]:
        """Make the self-test, follow what it finds, and return what failed."""
        try:
            result = await run_self_test(installation, self._environ, self._wait_until_quiet)
        except (OSError, UnavailableError) as error:
            _log.warning("The self-test could not be made, so no process is used again: %s", error)
            return ["everything"]
        self._capabilities = by_self_test(installation, result)
        return result.failed

    async def _wait_until_quiet(self) -> None:
        """Let requests go first, but not for ever: without a self-test each of them needs a process of its own."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SELF_TEST_WAITS):
                while not self._pool.is_quiet:  # noqa: ASYNC110 - much has to be true at the same time
                    await asyncio.sleep(_SELF_TEST_PAUSE)

    async def _open(self, kind: Kind) -> Session:
        installation = await self._installed()
        personality, profile = kind.personality, kind.profile
        async with self._place_of(kind) as place:
            environ = {**self._environ, private.TMPDIR: self._private.folder("tmp")}
            child = await process.spawn(
                command.argv(installation, personality, self._settings, profile),
                command.environment(environ, installation, personality, self._settings.port),
                place.directory,
                alone=personality == "chat",
                sweep=place.sweep,
            )
        self._private.record_child(child.pid)
        return Session(
            child,
            personality,
            self._settings.model if profile is None else profile.model,
            self._current,
            self._spend,
            models=self._models,
            is_relay=lambda url: command.points_at_relay(url, self._settings.port),
            profile=profile,
            asks=personality == "agent" and command.permission_mode(self._settings, profile) == ASK,
        )

    def _current(self) -> Capabilities:
        return self._capabilities

    @asynccontextmanager
    async def _place_of(self, kind: Kind) -> AsyncIterator[_Place]:
        """Yield where a process works; a worktree that was made for one which then does not start is removed."""
        if kind.profile is None or not kind.has_worktree:
            yield _Place(self._directory(kind), self._private.sweep)
            return
        tree = await asyncio.to_thread(self._worktrees.make, kind.profile.name, self._directory(kind))

        def sweep(pid: int) -> None:
            self._private.sweep(pid)
            self._worktrees.remove(tree)

        try:
            yield _Place(tree.directory, sweep)
        except BaseException:
            await asyncio.to_thread(self._worktrees.remove, tree)
            raise

    def _directory(self, kind: Kind) -> str:
        """Return where a process works: ``chat`` in an empty place that nobody else has."""
        if kind.personality == "agent":
            return (kind.profile and kind.profile.cwd) or self._settings.cwd or str(Path.cwd())
        return self._private.folder("work")


def _checked(line: wire.Line, translator: Translator, checks: OutputChecks, *, has_begun: bool) -> Iterator[Event]:
    """Yield the events of a line; before the first one of an answer, what its prompt counts."""
    for translated in translator.feed(line):
        if not has_begun and translator.usage != Usage():
            yield PromptCounted(translator.usage)
        has_begun = True
        yield from checks.feed(translated)


def limits(settings: Settings, found: Size) -> Limits:
    """Return the limits that the operator chose, or that suit this machine."""
    return Limits(
        warm=found.warm,
        processes=found.processes,
        starts=found.starts,
        idle_seconds=settings.idle_timeout,
        turns=settings.max_process_turns,
        memory=found.process_memory,
        # the CLI counts what all questions of a process have cost
        agents_once=settings.max_budget_usd > 0,
    )


def likely(settings: Settings, found: Size) -> tuple[Personality, ...]:
    """Return the personalities that will likely be asked, the operator's own choice first.

    Whoever brings tools gets ``chat``. Where there is no room for all of them beside the answers and a conversation
    that waits, only the operator's is likely enough.
    """
    wanted = tuple(dict.fromkeys((settings.personality, *settings.personalities.values(), "chat")))
    has_room = found.processes > found.answers + len(wanted) * found.warm
    return wanted if has_room else wanted[:1]


def self_test_pauses() -> Iterator[float]:
    """Yield the seconds before a self-test that failed is made again: a minute, doubled each time, an hour at most."""
    return (min(60.0 * 2**tries, 3600.0) for tries in itertools.count())


def _memory_of(pid: int) -> int:
    """Return the bytes of memory that a process has. Each answer ends with this look, so on Linux it is a short one."""
    try:
        if sys.platform != "linux":
            return int(psutil.Process(pid).memory_info().rss)
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as statm:  # noqa: PTH123 - without pathlib that is half of it
            return int(statm.read().split()[1]) * _PAGE
    except (psutil.Error, OSError):
        # a look that fails must not cost an answer that is complete
        return 0
