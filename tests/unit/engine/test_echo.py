"""The echo runner does what its ``!echo`` line says."""

import time
from typing import Any

import pytest

from claude_relay import errors
from claude_relay.engine.echo import EchoRunner, Script, count_tokens, last_text, parse
from claude_relay.engine.vocabulary import (
    Event,
    Image,
    JsonOutput,
    Link,
    PromptCounted,
    RunEnd,
    RunStarted,
    Sampling,
    StopReason,
    Text,
    TextDelta,
    Turn,
    Usage,
)
from tests.unit.factories import RunRequestFactory, conversation


async def echoed(text: str) -> list[Event]:
    return [event async for event in EchoRunner().run(RunRequestFactory.build(turns=conversation(text)))]


def spoken(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text", ["Hello there", "  two\n\nparagraphs \t", "x", "äöü 😀 漢字", "", "echo !echo delay=1"]
)
async def test_an_answer_repeats_the_question_to_the_letter(text: str) -> None:
    events = await echoed(text)

    assert spoken(events) == text
    assert [event for event in events if isinstance(event, RunEnd)] == events[-1:]


@pytest.mark.anyio
async def test_an_answer_comes_word_by_word_and_counts_words_as_tokens() -> None:
    assert await echoed("one two") == [
        RunStarted("echo"),
        PromptCounted(Usage(2)),
        TextDelta("one "),
        TextDelta("two"),
        RunEnd("end", Usage(2, 0, 0, 2)),
    ]


@pytest.mark.anyio
async def test_only_the_last_message_is_repeated() -> None:
    request = RunRequestFactory.build(turns=conversation("a", "b", "c"))

    assert spoken([event async for event in EchoRunner().run(request)]) == "c"


@pytest.mark.anyio
async def test_the_whole_prompt_is_counted() -> None:
    request = RunRequestFactory.build(system="be brief", turns=conversation("one two", "three", "four"))

    assert await count_tokens(request) == 6


def test_pieces_of_a_message_are_lines() -> None:
    turn = Turn("user", (Text("one"), Text("two")))

    assert last_text(RunRequestFactory.build(turns=(turn,))) == "one\ntwo"


@pytest.mark.anyio
async def test_repeat_says_the_text_again() -> None:
    assert spoken(await echoed("!echo repeat=3\nha ")) == "ha ha ha "


@pytest.mark.anyio
@pytest.mark.parametrize("stop", ["end", "length", "refusal"])
async def test_stop_says_why_the_answer_ends(stop: StopReason) -> None:
    end = (await echoed(f"!echo stop={stop}\nhi"))[-1]

    assert isinstance(end, RunEnd)
    assert end.stop == stop


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("script", ["delay=0.05", "interval=0.05"])
async def test_waiting_takes_as_long_as_it_was_told(script: str) -> None:
    began = time.monotonic()

    await echoed(f"!echo {script}\nhi")

    assert time.monotonic() - began >= 0.05


@pytest.mark.anyio
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 502, 503])
async def test_error_fails_with_that_status_before_anything_is_said(status: int) -> None:
    with pytest.raises(errors.RelayError) as raised:
        await echoed(f"!echo error={status}\nhi")

    assert raised.value.status == status


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("after", "said"), [(0, []), (1, ["one "]), (2, ["one ", "two "]), (99, ["one ", "two ", "three"])]
)
async def test_after_says_how_much_comes_before_the_failure(after: int, said: list[str]) -> None:
    turns = conversation(f"!echo error=502 after={after}\none two three")
    events = []

    with pytest.raises(errors.UpstreamError):
        async for event in EchoRunner().run(RunRequestFactory.build(turns=turns)):
            events.append(event)  # noqa: PERF401 - what came before the failure counts

    assert [event for event in events if not isinstance(event, PromptCounted)] == [
        RunStarted("echo"),
        *map(TextDelta, said),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello", (Script(), "hello")),
        ("!echo", (Script(), "")),
        ("!echo\nhello\nyou", (Script(), "hello\nyou")),
        ("!echoes are nice", (Script(), "!echoes are nice")),
        ("!echo delay=1 interval=0.5 after=2\nx", (Script(delay=1, interval=0.5, after=2), "x")),
    ],
)
def test_a_message_is_a_script_and_a_text(text: str, expected: tuple[Script, str]) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("colour=red", "colour"),
        ("delay=soon", "delay"),
        ("repeat=1.5", "repeat"),
        ("stop=never", "stop"),
        ("delay", "delay"),
        ("error=418", "418"),
        ("error=200", "200"),
    ],
)
def test_a_script_that_cannot_be_understood_is_refused_by_name(line: str, words: str) -> None:
    with pytest.raises(errors.InvalidRequestError, match=words) as raised:
        parse(f"!echo {line}\nhi")

    assert raised.value.param == errors.CONVERSATION


@pytest.mark.anyio
async def test_it_is_always_well_and_says_that_it_is_no_model() -> None:
    runner = EchoRunner()
    await runner.start()

    assert runner.health().status == "ok"
    assert "no model" in str(runner.health().detail)
    await runner.stop()


async def wished(text: str, **fields: Any) -> list[Event]:
    request = RunRequestFactory.build(turns=conversation(text), **fields)
    return [event async for event in EchoRunner().run(request)]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("most", "expected"), [(1, ("one ", "length")), (3, ("one two three", "end")), (9, ("one two three", "end"))]
)
async def test_a_limit_ends_the_answer_after_as_many_words(most: int, expected: tuple[str, str]) -> None:
    events = await wished("one two three", sampling=Sampling(max_tokens=most))

    assert (spoken(events), getattr(events[-1], "stop", None)) == expected
    assert [event for event in events if isinstance(event, RunEnd)] == events[-1:]


@pytest.mark.anyio
async def test_a_limit_counts_only_the_words_that_were_said() -> None:
    end = (await wished("one two three", sampling=Sampling(max_tokens=2)))[-1]

    assert isinstance(end, RunEnd)
    assert end.usage == Usage(3, 0, 0, 2)


@pytest.mark.anyio
@pytest.mark.parametrize(("stop", "expected"), [("two", "one "), ("ne t", "o"), ("never", "one two three")])
async def test_a_stop_sequence_ends_the_answer_even_across_words(stop: str, expected: str) -> None:
    events = await wished("one two three", sampling=Sampling(stop=(stop,)))

    assert spoken(events) == expected
    assert getattr(events[-1], "stop", None) == ("end" if stop == "never" else "stop_sequence")


@pytest.mark.anyio
async def test_json_is_checked_like_any_runners() -> None:
    output = JsonOutput({"type": "object"}, {"type": "object"})

    assert spoken(await wished('{"a": 1}', output=output)) == '{"a": 1}'
    with pytest.raises(errors.UpstreamError, match="fits the schema"):
        await wished("words", output=output)


@pytest.mark.anyio
async def test_pictures_are_not_seen() -> None:
    turn = Turn("user", (Image(Link("https://a")), Text("hi")))
    request = RunRequestFactory.build(turns=(turn,))

    assert spoken([event async for event in EchoRunner().run(request)]) == "hi"


def test_clients_get_a_number_for_its_context() -> None:
    assert EchoRunner().context_window("anything") > 0
