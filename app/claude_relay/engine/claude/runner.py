"""Joins the rooms of this package into a ``ClaudeRunner``."""

import asyncio
import logging
import tempfile
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import msgspec

from claude_relay.engine.claude import command, process
from claude_relay.engine.claude.discovery import REMEDY, Installation, discover
from claude_relay.engine.claude.pool import Pool
from claude_relay.engine.claude.session import Session
from claude_relay.engine.claude.translate import Translator
from claude_relay.engine.runner import RunnerHealth
from claude_relay.engine.vocabulary import Event, RunEnd, RunRequest
from claude_relay.errors import UnavailableError
from claude_relay.settings import Personality, Settings

_log = logging.getLogger(__name__)


class ClaudeCodeRunner:
    """Answers with the user's own Claude Code.

    Args:
        settings: The operator's choices.
        environ: The environment that the CLI inherits.
    """

    name = "claude"
    models: tuple[str, ...] = ("opus", "sonnet", "haiku")

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._installation: Installation | None = None
        self._missing: str | None = None
        self._pool = Pool(self._open, settings.warm)
        self._nowhere: tempfile.TemporaryDirectory[str] | None = None

    async def start(self) -> None:
        """Look for the CLI and begin to keep processes ready; without a CLI the relay runs, degraded."""
        self._nowhere = tempfile.TemporaryDirectory(prefix="claude-relay-")
        try:
            await self._installed()
        except UnavailableError as error:
            _log.warning("%s", error.message)

    async def stop(self) -> None:
        """End every process and remove the private directory."""
        await self._pool.stop()
        if self._nowhere is not None:
            self._nowhere.cleanup()

    def health(self) -> RunnerHealth:
        """Tell the CLI's version and how many processes there are."""
        if self._installation is None:
            return RunnerHealth("degraded", reason=self._missing or "not started yet", remedy=REMEDY)
        return RunnerHealth(
            "ok",
            {
                "claude_version": self._installation.version_text,
                "personality": self._settings.personality,
                "processes": msgspec.structs.asdict(self._pool.counts),
            },
        )

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        """Answer a request on a process of its own.

        Raises:
            RelayError: No process can be had, or the run fails.
        """
        await self._installed()
        session = await self._pool.checkout(request.personality)
        try:
            await session.ask(request)
            translator = Translator()
            while True:
                for event in translator.feed(await session.receive()):
                    if isinstance(event, RunEnd):
                        await session.cut_short()
                        yield event
                        return
                    yield event
        finally:
            self._pool.retire(session)

    async def _installed(self) -> Installation:
        """Find the CLI once; while there is none, look again each time."""
        if self._installation is not None:
            return self._installation
        try:
            found = await asyncio.to_thread(discover, self._settings.claude_path, self._environ)
        except UnavailableError as error:
            self._missing = error.message
            raise
        if self._installation is None:
            self._installation = found
            self._pool.start(self._settings.personality)
        return found

    async def _open(self, personality: Personality) -> Session:
        installation = await self._installed()
        settings = self._settings
        child = await process.spawn(
            command.argv(installation, personality, settings.model, settings.permission_mode),
            command.environment(self._environ, installation, personality, settings.port),
            self._directory(personality),
        )
        return Session(child, personality, settings.model, client_composed=command.takes_client_composed(installation))

    def _directory(self, personality: Personality) -> str:
        """Return where a process works: ``chat`` in an empty place that nobody else has."""
        if personality == "agent" or self._nowhere is None:
            return self._settings.cwd or str(Path.cwd())
        return self._nowhere.name
