"""The smallest family: an API of its own over the public pieces, with its own words for errors and events."""

from collections.abc import AsyncIterator
from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Struct

from claude_relay.access.policy import Caller
from claude_relay.engine.fanout import Indexed
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.engine.vocabulary import RunRequest, Text, TextDelta, Turn
from claude_relay.errors import RelayError
from claude_relay.settings import Settings
from claude_relay.web import answering, bodies
from claude_relay.web.controller import WireController, failures
from claude_relay.web.dialect import Dialect
from claude_relay.web.family import Family
from claude_relay.web.frames import frame
from claude_relay.web.openapi import streaming
from claude_relay.web.parameters import Question, ignored, names, supported, unsupported


class Shout(Struct, frozen=True):
    words: str
    live: bool = False
    volume: int | None = None


class Echo(Struct, frozen=True):
    echo: str


class Failure(Struct, frozen=True):
    failed: str
    reason: str | None


def failure(error: RelayError) -> Failure:
    return Failure(error.message, error.code)


PARAMETERS = (supported("words", ""), supported("live", ""), ignored("volume", "Nothing is louder."))


def to_question(body: bodies.Body[Shout], settings: Settings, caller: Caller) -> Question:
    turns = (Turn("user", (Text(body.request.words),)),)
    run = RunRequest(settings.model, "chat", None, turns, caller=caller.identity, account=caller.account)
    return Question(run, unsupported(PARAMETERS, body.request, "chat", body.unknown))


async def to_echo(events: AsyncIterator[Indexed]) -> Echo:
    return Echo("".join([event.text async for _, event in events if isinstance(event, TextDelta)]))


async def to_frames(events: AsyncIterator[Indexed]) -> AsyncIterator[bytes]:
    async for _, event in events:
        if isinstance(event, TextDelta):
            yield frame(Echo(event.text), "heard")


class ShoutController(WireController):
    path = "/shouts"
    dto = bodies.BodyDTO[Shout]

    @post(
        status_code=200,
        before_request=bodies.reading(bodies.reader(Shout, names(PARAMETERS)), to_question),
        operation_class=streaming({}, "Events named `heard`.", 'event: heard\ndata: {"echo":"hi"}\n\n'),
        responses=failures(Failure, s400="It cannot be shouted."),
    )
    async def shout(
        self,
        data: JSONBody[Shout],
        request: Request[Any, Any, Any],
        runner: NamedDependency[ClaudeRunner],
    ) -> Response[Echo]:
        question = bodies.question_of(request)
        rendering = answering.Rendering(question.run.model, to_echo, to_frames, str)
        return await answering.answer(request, runner, question, rendering, stream=data.live)


SHOUTS = Family(ShoutController, Dialect(failure, lambda error: frame(failure(error), "failed")))
