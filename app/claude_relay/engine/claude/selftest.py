"""Tests at start, offline, whether this CLI has the undocumented behaviour that the relay relies on.

The real sessions are driven against an upstream on this machine, with a dummy key and an empty home. What fails is
not used: the relay then still answers everything, only slower.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from claude_relay.engine.claude import command, history, outgoing, private, process, wire
from claude_relay.engine.claude.capabilities import Capabilities, Current, SelfTestResult, by_version
from claude_relay.engine.claude.configuration import TITLE
from claude_relay.engine.claude.discovery import Installation
from claude_relay.engine.claude.loopback import LIMIT, Loopback, loopback
from claude_relay.engine.claude.matching import answered
from claude_relay.engine.claude.session import Session
from claude_relay.engine.claude.translate import Translator
from claude_relay.engine.vocabulary import RunEnd, RunRequest, Sampling, Text, Tool, Turn
from claude_relay.settings import Personality, Settings

_log = logging.getLogger(__name__)

_TIMEOUT = 30.0
"""Seconds that each part may take, start-up of its process included."""
_MODEL = "sonnet"
_TRAPS = ("@/etc/hostname", "/clear")
_TEXT = {"type": "text", "text": "go"}


async def run_self_test(
    installation: Installation, environ: Mapping[str, str], let_others_go_first: Callable[[], Awaitable[None]]
) -> SelfTestResult:
    """Test each behaviour once.

    Args:
        installation: The CLI.
        environ: Where its PATH comes from; nothing else of it is used.
        let_others_go_first: Is awaited before each test.
    """
    passed: dict[str, bool] = {}
    async with _harness(installation, environ) as harness:
        for name, check in harness.checks().items():
            await let_others_go_first()
            passed[name] = await _passes(name, check)
    return SelfTestResult(**passed)


async def _passes(name: str, check: Callable[[], Awaitable[bool]]) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT):
            passed = await check()
    except Exception as error:  # noqa: BLE001 - whatever it is, it does not hold
        _log.info("self-test %r ended with %r", name, error)
        passed = False
    return passed


class _Harness:
    """A CLI, an upstream, and the checks."""

    def __init__(
        self,
        upstream: Loopback,
        capabilities: Capabilities,
        spawn: Callable[[Personality, Current], Awaitable[Session]],
    ) -> None:
        self._upstream = upstream
        self._capabilities = capabilities
        self._spawn = spawn

    def checks(self) -> dict[str, Callable[[], Awaitable[bool]]]:
        return {
            "text": self.texts_arrive,
            "reuse": self.a_conversation_goes_on,
            "reset": self.a_reset_process_is_empty,
            "tools": self.calls_end_the_run,
            "interrupt": self.an_interrupt_reaches_the_upstream,
            "single_request": self.a_limit_ends_the_turn,
            "tied": self.turns_are_tied_to_lines,
            "peers": self.words_of_other_sessions_are_refused,
        }

    async def texts_arrive(self) -> bool:
        async with self._session() as session:
            for trap in _TRAPS:
                await _ask(session, _request(trap))
                session.settle(None)
            sent = self._upstream.bodies
            return (
                [_last_text(body) for body in sent[-2:]] == list(_TRAPS)
                and sent[-1]["temperature"] == 0.5  # noqa: PLR2004 - as asked
                and sent[-1]["system"][-1]["text"] == "Be brief."
            )

    async def a_conversation_goes_on(self) -> bool:
        async with self._session() as session:
            first = _request("one")
            await _ask(session, first)
            turns = (*first.turns, Turn("assistant", (Text("ok"),)), Turn("user", (Text("two"),)))
            await _ask(session, _request("two", turns))
            return _turns(self._upstream.bodies[-1]) == ["one", "ok", "two"]

    async def a_reset_process_is_empty(self) -> bool:
        async with self._session() as session:
            await _ask(session, _request("SECRET"))
            session.forget()
            await _ask(session, _request("afresh"))
            return _turns(self._upstream.bodies[-1]) == ["afresh"]

    async def calls_end_the_run(self) -> bool:
        calls = [
            {"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": {"x": 1}} for name in ("one", "two")
        ]
        self._upstream.answers.append(calls)
        before = len(self._upstream.bodies)
        async with self._session() as session:
            tools = tuple(Tool(name, "", {"type": "object"}) for name in ("one", "two"))
            await _ask(session, RunRequest(_MODEL, "chat", None, (_user("go"),), tools=tools))
            return len(self._upstream.bodies) == before + 1 and not session.in_turn

    async def an_interrupt_reaches_the_upstream(self) -> bool:
        self._upstream.answers.append([{}])
        async with self._session() as session:
            await session.ask(_request("go"), history.native)
            while not isinstance(await session.receive(), wire.StreamEvent):
                pass
            await session.interrupt()
            await self._upstream.left.wait()
            return True

    async def a_limit_ends_the_turn(self) -> bool:
        self._upstream.answers.append([{"type": "text", "text": "so far"}, LIMIT])
        before = len(self._upstream.bodies)
        async with self._session() as session:
            limited = Sampling(max_tokens=5)
            await _ask(session, RunRequest(_MODEL, "chat", None, (_user("go"),), limited))
            await session.abort()
            return not session.in_turn and len(self._upstream.bodies) == before + 1

    async def turns_are_tied_to_lines(self) -> bool:
        async with self._session(tied_turns=True) as session:
            turns = (_user("one"), Turn("assistant", (Text("ok"),)), Turn("user", (Text("two"),)))
            await _ask(session, _request("two", turns))
            return True

    async def words_of_other_sessions_are_refused(self) -> bool:
        async with self._session() as session:
            first = _request("one")
            await _ask(session, first)
            words = {"to": TITLE, "message": "SECRET", "summary": "words"}
            call = {"type": "tool_use", "id": "toolu_1", "name": "SendMessage", "input": words}
            self._upstream.answers.append([call])
            async with self._session("agent") as agent:
                await agent.process.write(outgoing.encode([outgoing.user([_TEXT], asks=True, client_composed=False)]))
                while not isinstance(await agent.receive(), wire.Result):
                    pass
            turns = (*first.turns, Turn("assistant", (Text("ok"),)), Turn("user", (Text("two"),)))
            await _ask(session, _request("two", turns))
            sent = _turns(self._upstream.bodies[-1])
            return sent[-1] == "two" and not any("SECRET" in text for text in sent)

    @asynccontextmanager
    async def _session(self, personality: Personality = "chat", *, tied_turns: bool = False) -> AsyncIterator[Session]:
        capabilities = replace(self._capabilities, tied_turns=tied_turns)
        session = await self._spawn(personality, lambda: capabilities)
        try:
            await session.ready()
            yield session
        finally:
            session.process.kill()
            await session.process.close()


@asynccontextmanager
async def _harness(installation: Installation, environ: Mapping[str, str]) -> AsyncIterator[_Harness]:
    place = private.PrivateDirectory(environ)
    try:
        home = place.folder("home")
        async with loopback() as upstream:
            base = {
                "PATH": environ.get("PATH", ""),
                "HOME": home,
                private.TMPDIR: home,
                "ANTHROPIC_API_KEY": "self-test",
                "ANTHROPIC_BASE_URL": upstream.url,
            }

            async def spawn(personality: Personality, capabilities: Current) -> Session:
                child = await process.spawn(
                    command.argv(installation, personality, Settings(model=_MODEL)),
                    command.environment(base, installation, personality, 0),
                    home,
                )
                return Session(child, personality, _MODEL, capabilities)

            yield _Harness(upstream, by_version(installation, reuse=False), spawn)
    finally:
        await asyncio.to_thread(place.remove)


async def _ask(session: Session, request: RunRequest) -> None:
    translator = Translator(None, [tool.name for tool in request.tools])
    await session.ask(request, history.native)
    events = []
    while True:
        for event in translator.feed(await session.receive()):
            events.append(event)
            if isinstance(event, RunEnd):
                session.settle(answered(events))
                return


def _request(text: str, turns: tuple[Turn, ...] = ()) -> RunRequest:
    asked = turns or (_user(text),)
    return RunRequest(_MODEL, "chat", "Be brief.", asked, Sampling(temperature=0.5), effort="none")


def _user(text: str) -> Turn:
    return Turn("user", (Text(text),))


def _turns(body: dict[str, Any]) -> list[str]:
    return [_text_of(message) for message in body["messages"] if message["role"] != "system"]


def _last_text(body: dict[str, Any]) -> str:
    return _turns(body)[-1]


def _text_of(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else str(content[-1]["text"])
