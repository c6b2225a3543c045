"""An answer ends where it was told to, and is the JSON that it had to be."""

import random
from collections.abc import Iterable
from typing import Any

import anyio
import pytest

from claude_relay.engine.output_checks import OutputChecks
from claude_relay.engine.stop_sequences import StopSequences
from claude_relay.engine.vocabulary import (
    Event,
    JsonOutput,
    RunEnd,
    Sampling,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolActivity,
    Usage,
)
from claude_relay.errors import UpstreamError
from tests.unit.factories import RunRequestFactory

SO_FAR = Usage(5, 0, 0, 2)
END = RunEnd("end", Usage(7, 0, 0, 9), 3, 0.25)
NAMED = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def finished(events: Iterable[Event], *stops: str, output: JsonOutput | None = None) -> list[Event]:
    """Return what remains of a run's events, as a runner hands them on: up to the first end."""
    checks = OutputChecks(RunRequestFactory.build(sampling=Sampling(stop=stops), output=output), (), lambda: SO_FAR)
    kept: list[Event] = []
    for event in events:
        for kept_event in checks.feed(event):
            if isinstance(kept_event, RunEnd):
                anyio.run(checks.check, kept_event)
                return [*kept, kept_event]
            kept.append(kept_event)
    return kept


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def text(*pieces: str) -> list[Event]:
    return [TextDelta(piece) for piece in pieces]


# --- stop sequences --------------------------------------------------------------------------------------------------


def test_without_a_wish_every_event_passes_as_it_is() -> None:
    events = [ThinkingDelta("hm"), *text("a", " b"), ToolActivity("Bash", "x"), END]

    assert finished(events) == events


def test_a_stop_sequence_ends_the_answer_before_it_with_the_counts_so_far() -> None:
    assert finished([*text("one ST", "OP two"), END], "STOP") == [
        *text("one "),
        RunEnd("stop_sequence", SO_FAR, stop_sequence="STOP"),
    ]


def test_a_stop_sequence_at_the_very_beginning_leaves_no_text() -> None:
    assert finished([*text("STOP"), END], "STOP") == [RunEnd("stop_sequence", SO_FAR, stop_sequence="STOP")]


def test_what_only_began_like_a_stop_sequence_is_shown_in_the_end() -> None:
    assert finished([*text("one ST"), END], "STOP") == [*text("one ", "ST"), END]


def test_white_space_can_be_a_stop_sequence() -> None:
    assert said(finished([*text("one", "\n", "\ntwo"), END], "\n\n")) == "one"


def test_thinking_is_never_cut() -> None:
    assert finished([ThinkingDelta("STOP"), *text("a"), END], "STOP") == [ThinkingDelta("STOP"), *text("a"), END]


@pytest.mark.parametrize("stop", ["end", "length", "refusal"])
def test_the_end_itself_is_passed_on_whole(stop: StopReason) -> None:
    end = RunEnd(stop, Usage(1), 2, 0.5)

    assert finished([*text("a"), end], "STOP") == [*text("a"), end]


def cut(text: str, dice: random.Random) -> list[str]:
    """Cut a text at random places."""
    borders = sorted(dice.sample(range(1, len(text)), dice.randint(0, len(text) - 1)))
    return [text[start:end] for start, end in zip([0, *borders], [*borders, len(text)], strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_wherever_deltas_end_a_text_is_shown_up_to_the_first_place_of_a_stop_sequence(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(40):
        whole = "".join(dice.choices("ab ", k=dice.randint(1, 14)))
        stop = "".join(dice.choices("ab ", k=dice.randint(1, 4)))
        found = whole.find(stop)

        events = finished([*text(*cut(whole, dice)), END], stop)

        assert said(events) == (whole if found < 0 else whole[:found])
        assert events[-1] == (END if found < 0 else RunEnd("stop_sequence", SO_FAR, stop_sequence=stop))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_of_several_stop_sequences_of_one_length_the_first_counts(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(40):
        whole = "".join(dice.choices("abc", k=dice.randint(1, 14)))
        stops = ["".join(dice.choices("abc", k=3)) for _ in range(3)]
        found = [place for stop in stops if (place := whole.find(stop)) >= 0]

        assert said(finished([*text(*cut(whole, dice)), END], *stops)) == whole[: min(found, default=len(whole))]


def test_a_stop_sequence_inside_another_gives_the_same_answer_wherever_deltas_end() -> None:
    shown = {said(finished([*text(*pieces), END], "abc", "b")) for pieces in (["abc"], ["ab", "c"], ["a", "b", "c"])}

    assert len(shown) == 1


def test_a_long_answer_with_stop_sequences_is_not_held_back() -> None:
    stops = StopSequences(("STOP",))

    shown = "".join(stops.feed("STO " * 10) for _ in range(100))

    assert len(shown) >= 4 * 10 * 100 - 3


# --- JSON ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", [NAMED, None])
def test_json_that_fits_passes_as_it_was_streamed(format_: dict[str, Any] | None) -> None:
    events = [*text('{"na', 'me":"Bob"}'), END]

    assert finished(events, output=JsonOutput(NAMED, format_)) == events


def test_what_is_not_the_json_it_had_to_be_is_an_error_and_not_an_answer() -> None:
    with pytest.raises(UpstreamError) as raised:
        finished([*text("Sure! ", "Here it is:"), END], output=JsonOutput(NAMED, NAMED))

    assert raised.value.code == "invalid_structured_output"


def test_json_that_a_stop_sequence_cuts_off_is_the_answer_all_the_same() -> None:
    output = JsonOutput(NAMED, NAMED)

    assert said(finished(text('{"name":', '"Bob"} STOP'), "STOP", output=output)) == '{"name":"Bob"} '
    assert said(finished(text('{"name":', 'STOP "Bob"}'), "STOP", output=output)) == '{"name":'


@pytest.mark.parametrize("stop", ["length", "refusal", "stop_sequence"])
def test_an_answer_that_was_cut_off_is_not_held_against_its_schema(stop: StopReason) -> None:
    events = [*text('{"na'), RunEnd(stop, Usage())]

    assert finished(events, output=JsonOutput(NAMED, NAMED)) == events
