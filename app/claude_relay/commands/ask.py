"""``claude-relay ask``: one question, to a relay that runs or, without one, to an engine of this process."""

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import rich_click as click
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console

from claude_relay import settings_loading
from claude_relay.access.policy import Caller
from claude_relay.commands import relays
from claude_relay.commands.display import display
from claude_relay.commands.questions import Question, continued, events_of, refusal, request_body
from claude_relay.commands.sessions import Session
from claude_relay.engine.approvals import Approvals
from claude_relay.engine.limits.quotas import quotas
from claude_relay.engine.vocabulary import Event, RunEnd, StopReason, TextDelta
from claude_relay.errors import NotFoundError, SettingsError, UpstreamError
from claude_relay.plugin import create_runner
from claude_relay.responses import controller, inbound
from claude_relay.settings import ASK, Settings
from claude_relay.store.counters import MemoryCounters

_CUT = "The answer is longer than the model may write, and ends here."
_DATA = "data: "


class Arguments(Struct, frozen=True):
    """What the command was given.

    Attributes:
        text: The question.
        model: The model.
        images: Files of images.
        schema: A file with the JSON schema of the answer.
        session: The name of the conversation.
        url: The relay to ask; if none is named, any that runs where the settings say, or else this process answers.
        key: A key of the relay.
    """

    text: str
    model: str | None = None
    images: tuple[Path, ...] = ()
    schema: Path | None = None
    session: str | None = None
    url: str | None = None
    key: str | None = None


def run(arguments: Arguments) -> None:
    """Ask, and show the answer as it comes.

    Raises:
        SettingsError: An argument, a setting or a file is not what is expected.
        RelayError: There is no relay where one is named, or no answer.
        CancelledError: A signal came.
    """
    relays.require_key(arguments.key or "")
    chosen = settings_loading.load()
    session = None
    if arguments.session is not None:
        directory = settings_loading.state_directory(chosen, settings_loading.environment())
        session = Session(directory, arguments.session)
    question = Question(
        arguments.text,
        arguments.model,
        tuple(_contents(path, "--image") for path in arguments.images),
        None if arguments.schema is None else _schema(arguments.schema),
        () if session is None else session.read(),
    )
    answer = asyncio.run(_shown(question, chosen, arguments))
    if session is not None:
        session.write(continued(question, answer))


async def _shown(question: Question, chosen: Settings, arguments: Arguments) -> str:
    texts: list[str] = []
    stop: StopReason = "end"
    async with _interruptible(), aclosing(_events(question, chosen, arguments)) as events:
        with display(Console(), is_json=question.schema is not None) as show:
            async for event in events:
                show(event)
                match event:
                    case TextDelta(text):
                        texts.append(text)
                    case RunEnd(reason):
                        stop = reason
    if stop == "length":
        click.echo(f"claude-relay: {_CUT}", err=True)
    return "".join(texts)


@asynccontextmanager
async def _interruptible() -> AsyncIterator[None]:
    """Have signals cancel what is done, so that nothing is left behind; what is cancelled knows by itself."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in one
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    for number in numbers:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


async def _events(question: Question, chosen: Settings, arguments: Arguments) -> AsyncGenerator[Event, None]:
    place = relays.own(chosen) if arguments.url is None else relays.Place(relays.server(arguments.url))
    async with relays.client(replace(place, key=arguments.key or place.key)) as http:
        if await relays.answers(http):
            async with aclosing(_over_http(question, http)) as events:
                async for event in events:
                    yield event
            return
    if arguments.url is not None:
        raise NotFoundError(f"No relay answers at {place.url}.")
    async with aclosing(_in_process(question, chosen)) as events:
        async for event in events:
            yield event


async def _over_http(question: Question, http: httpx.AsyncClient) -> AsyncGenerator[Event, None]:
    try:
        async with http.stream("POST", "/v1/responses", json=request_body(question)) as response:
            if response.is_error:
                raise refusal(response.status_code, _json(await response.aread()))
            async for line in response.aiter_lines():
                if line.startswith(_DATA):
                    for event in events_of(msgspec.json.decode(line.removeprefix(_DATA))):
                        yield event
    except httpx.HTTPError as error:
        raise UpstreamError(f"The connection to the relay broke: {error or type(error).__name__}.") from None


async def _in_process(question: Question, settings: Settings) -> AsyncGenerator[Event, None]:
    """One question needs no process that is kept ready, and no self-test."""
    # what the engine logs is told by its errors too
    logging.getLogger("claude_relay").addHandler(logging.NullHandler())
    settings = replace(settings, warm=0, self_test=False)
    if settings.permission_mode == ASK:
        # nobody would be asked
        settings = replace(settings, permission_mode="default")
    body = controller.read(msgspec.json.encode(request_body(question)))
    asked = inbound.to_question(body, settings, Caller("local", "local", "local"))
    runner = create_runner(settings, quotas(settings, MemoryCounters()), Approvals(settings.approval_timeout))
    await runner.start()
    try:
        async with aclosing(runner.run(asked.run)) as events:
            async for event in events:
                yield event
    finally:
        await runner.stop()


def _json(body: bytes) -> Mapping[str, object] | None:
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except msgspec.DecodeError:
        return None


def _schema(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(_contents(path, "--json-schema"), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"--json-schema: {path} is no JSON object: {error}") from None


def _contents(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{option}: {path} cannot be read: {error.strerror}") from None
