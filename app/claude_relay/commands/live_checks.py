"""``claude-relay doctor --live``: what the real API takes of what requests may ask for, by asking it."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing

from msgspec import Struct
from msgspec.structs import replace

from claude_relay.commands.checklist import Check
from claude_relay.engine.claude.runner import ClaudeCodeRunner
from claude_relay.engine.constraints import constrained
from claude_relay.engine.structured_output import held_to_schema
from claude_relay.engine.vocabulary import RunRequest, Sampling, Text, Tool, ToolChoice, Turn
from claude_relay.errors import RelayError
from claude_relay.settings import Settings

_FEW = 16
"""Tokens of an answer."""
_ASKED = Turn("user", (Text("Reply with OK."),))
_SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


class Probe(Struct, frozen=True):
    """A request that asks for one thing.

    Attributes:
        name: What it asks for.
        request: The request.
        without: What the relay does where a model does not take it.
    """

    name: str
    request: RunRequest
    without: str


async def examined_live(chosen: Settings, environ: Mapping[str, str]) -> AsyncIterator[Check]:
    """Ask the upstream, one small request for each check, and yield what came of it.

    Args:
        chosen: The operator's choices; the usual model is asked.
        environ: The environment that the CLI inherits.
    """
    runner = ClaudeCodeRunner(replace(chosen, warm=0, self_test=False), environ)
    await runner.start()
    try:
        plain = _request(chosen)
        error = await _failure(runner, plain)
        if error is not None:
            yield Check("live: an answer", "failed", error.message, "The other checks say why; the log says more.")
            return
        yield Check("live: an answer", "ok", f"{chosen.model} answers")
        for probe in _probes(plain, chosen):
            yield await _probed(runner, probe)
    finally:
        await runner.stop()


def _request(chosen: Settings) -> RunRequest:
    return RunRequest(chosen.model, "chat", None, (_ASKED,), Sampling(max_tokens=_FEW), effort="none", caller="doctor")


def _probes(plain: RunRequest, chosen: Settings) -> Iterator[Probe]:
    named = "left out, and named in x-claude-relay-ignored"
    for option, value in (("temperature", 0.5), ("top_p", 0.5)):
        sampling = replace(plain.sampling, **{option: value})
        yield Probe(f"live: {option}", replace(plain, sampling=sampling), named)
    held = replace(plain, output=held_to_schema("answer", _SCHEMA, "schema"), sampling=Sampling())
    yield Probe("live: constrained format", held, "JSON is asked for by a tool, and checked")
    tool = Tool("ok", "Says OK.", {"type": "object", "properties": {}})
    choice = ToolChoice("required", "ok")
    calling = replace(plain, tools=(tool,), tool_choice=choice, sampling=Sampling())
    yield Probe("live: forced tool", calling, f"{named}: the model decides whether it calls")
    yield Probe("live: thinking", replace(plain, effort="low", sampling=Sampling()), f"{named}: it does not think")
    if chosen.history == "verbatim":
        begun = replace(plain, turns=(_ASKED, Turn("assistant", (Text("O"),))))
        yield Probe("live: prefill", begun, "a user turn asks to go on")


async def _probed(runner: ClaudeCodeRunner, probe: Probe) -> Check:
    request, _ = constrained(probe.request)
    if runner.takes(request) and (error := await _failure(runner, request)) is not None:
        return Check(probe.name, "warning", error.message)
    if runner.takes(request):
        return Check(probe.name, "ok", "taken")
    return Check(probe.name, "warning", f"the model refuses it: {probe.without}")


async def _failure(runner: ClaudeCodeRunner, request: RunRequest) -> RelayError | None:
    try:
        async with aclosing(runner.run(request)) as events:
            async for _ in events:
                pass
    except RelayError as error:
        return error
    return None
