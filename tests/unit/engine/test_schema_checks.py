"""An answer is checked without holding up the loop, whatever it is and whatever its schema is."""

import asyncio
import io
import logging
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from claude_relay.engine import schema_checks
from claude_relay.engine.schema_checks import answer, check
from claude_relay.engine.vocabulary import JsonOutput
from claude_relay.errors import UpstreamError

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Schema = dict[str, Any]
RECURSIVE: Schema = {
    "anyOf": [
        {"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"not": {"required": ["a"]}}]},
        {"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"type": "object"}]},
        {"type": "null"},
    ]
}
"""Each level of an answer has two ways to fit, and the first is found wrong only at its end."""


def output(schema: Schema) -> JsonOutput:
    return JsonOutput(schema, schema)


def nested(depth: int, innermost: str) -> str:
    return '{"a":' * depth + innermost + "}" * depth


async def refusal(text: str, schema: Schema, seconds: int = 5) -> str:
    with pytest.raises(UpstreamError) as raised:
        await check(text, output(schema), seconds)
    assert raised.value.code == "invalid_structured_output"
    return raised.value.message


async def largest_gap(done: asyncio.Task[Any]) -> float:
    """Return the most that this process worked between two turns of the loop until a task is done, in seconds."""
    gap, last = 0.0, time.process_time()
    while not done.done():
        await asyncio.sleep(0.005)
        gap, last = max(gap, time.process_time() - last), time.process_time()
    return gap


GOOD: dict[str, tuple[str, Schema]] = {
    "small": ('{"name":"Bob"}', {"type": "object", "required": ["name"]}),
    "a pattern": ('"aaa"', {"pattern": "^a+$"}),
    "recursive": (nested(30, "null"), RECURSIVE),
    "recursive and deep": (nested(500, "null"), RECURSIVE),
    "a megabyte": ("[" + "5," * 500_000 + "5]", {"type": "array", "items": {"type": "integer"}}),
    "many alternatives": ("[" + "5," * 5000 + "5]", {"items": {"anyOf": [*[{"const": "a"}] * 999, {}]}}),
    "half a character": (r'{"a":"\ud83d","b":"\uD83D\uDE00"}', {"properties": {"b": {"maxLength": 1}}}),
    "any": ("{}", {"type": "object"}),
}


@pytest.mark.parametrize(("text", "schema"), GOOD.values(), ids=GOOD.keys())
async def test_what_fits_passes(text: str, schema: Schema) -> None:
    checked = asyncio.create_task(check(text, output(schema)))

    assert await largest_gap(checked) < 0.5
    await checked


BAD: dict[str, tuple[str, Schema, str]] = {
    "words": ("Sure! Here it is:", {}, "it is not JSON"),
    "words for a pattern": ("Sure!", {"pattern": "a"}, "it is not JSON"),
    "nested too deeply": (nested(10_000, "null"), RECURSIVE, "nested too deeply"),
    "a megabyte of depth": ("[" * 1_000_000, {}, "nested too deeply"),
    "a wrong type": ('{"name":5}', {"properties": {"name": {"type": "string"}}}, "$.name: 5 is not"),
    "a missing field": ("{}", {"required": ["name"]}, "name"),
    "a pattern": ('"' + "a" * 100_000 + '!"', {"pattern": "^(a+)+$"}, "does not match its 'pattern'"),
    "a long list": ('{"name":[' + '"x",' * 10_000 + '"x"]}', {"properties": {"name": {"type": "string"}}}, "$.name"),
    "recursive": (nested(40, "5"), RECURSIVE, "a part of it does not fit"),
}


@pytest.mark.parametrize(("text", "schema", "words"), BAD.values(), ids=BAD.keys())
async def test_what_does_not_fit_is_an_error_that_says_what_is_known(text: str, schema: Schema, words: str) -> None:
    checked = asyncio.create_task(refusal(text, schema, 1))

    assert await largest_gap(checked) < 0.5
    assert words in await checked
    assert len(await checked) < 600


ENDLESS = ("[" + "1e300," * 200_000 + "1]", {"items": {"allOf": [{"multipleOf": 0.01}] * 9}})


async def test_a_check_that_does_not_end_is_ended() -> None:
    assert "more than 1 s of computing" in await refusal(*ENDLESS, seconds=1)


async def test_a_check_that_nobody_waits_for_leaves_no_process() -> None:
    checked = asyncio.create_task(check(ENDLESS[0], output(ENDLESS[1])))
    await asyncio.sleep(0.5)
    children = _children()
    checked.cancel()
    await asyncio.gather(checked, return_exceptions=True)

    assert children
    assert not children & _children()


async def test_a_process_that_cannot_be_started_loses_no_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(schema_checks, "_COMMAND", ("/nowhere/python",))
    with caplog.at_level(logging.WARNING):
        await check('"a"', output({"pattern": "a"}))

    assert "not checked" in caplog.text


async def test_the_working_directory_has_no_say_in_what_the_check_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("jsonschema_rs", "msgspec", "json", "claude_relay"):
        (tmp_path / f"{module}.py").write_text("open('run', 'w')")
    monkeypatch.chdir(tmp_path)
    await check('"a"', output({"pattern": "a"}))

    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "last"), [('"a"', None), ("5", "$: 5 is not"), ("?", "it is not JSON")], ids=["good", "bad", "no JSON"]
)
async def test_the_last_line_of_a_check_is_its_verdict(text: str, last: str | None) -> None:
    out = io.BytesIO()
    answer(msgspec.json.encode({"schema": {"type": "string"}, "text": text}), out)

    verdict = msgspec.json.decode(out.getvalue().splitlines()[-1])
    assert verdict is None if last is None else last in verdict


async def test_a_check_limits_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, tuple[int, int]]] = []
    out = io.BytesIO()
    monkeypatch.setattr(resource, "setrlimit", lambda *limit: limits.append(limit))
    monkeypatch.setattr(os, "nice", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["check", "7"])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"schema":{},"text":"5"}')))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out))
    schema_checks.main()

    assert (resource.RLIMIT_CPU, (7, 8)) in limits
    assert out.getvalue() == b"null\n"


def _children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}
