"""CLI lines become engine events, over everything that was recorded and over what was not."""

import json
import logging
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from claude_relay import errors
from claude_relay.engine.claude import failures, wire
from claude_relay.engine.claude.failures import failure
from claude_relay.engine.claude.translate import LONGEST_OUTPUT, Translator, summary
from claude_relay.engine.vocabulary import (
    Event,
    JsonOutput,
    RedactedThinking,
    RunEnd,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolActivity,
    ToolOutcome,
    Usage,
)
from tests.unit import captures


class Told(Struct, frozen=True):
    """What a client is told of one turn: events, and the error's status and code if it failed."""

    events: list[Event]
    error: tuple[int, str | None] | None = None


def told(lines: list[wire.Line], output: JsonOutput | None = None) -> Told:
    """Translate one turn as the runner does: no line after the end is looked at."""
    translator, events = Translator(output), list[Event]()
    try:
        for line in lines:
            for event in translator.feed(line):
                events.append(event)
                if isinstance(event, RunEnd):
                    return Told(events)
    except errors.RelayError as error:
        return Told(events, (error.status, error.code))
    return Told(events)


def without_extras(turn: Told) -> Told:
    """Leave out what only some versions of the CLI tell: cost and thinking tokens have tests of their own."""
    plain = [RunEnd(event.stop, event.usage) if isinstance(event, RunEnd) else event for event in turn.events]
    return Told(plain, turn.error)


def error_of(name: str) -> errors.RelayError:
    """Return the error that the last turn of a recording ends with."""
    *_, lines = captures.turns(name)
    translator = Translator()
    with pytest.raises(errors.RelayError) as raised:
        for line in lines:
            list(translator.feed(line))
    return raised.value


def said(*pieces: str) -> list[Event]:
    return [TextDelta(piece) for piece in pieces]


def calls(number: int, output: int, stop: StopReason = "end") -> RunEnd:
    """Return the end of a turn that made some model calls: each recorded one had this prompt."""
    return RunEnd(stop, Usage(100 * number, 300 * number, 20 * number, output))


def ran(call_id: str, command: str, **others: Any) -> Event:
    return ToolActivity("Bash", command, {"command": command, **others}, call_id)


def written(call_id: str, path: str) -> Event:
    return ToolActivity("Write", path, {"file_path": path, "content": "x"}, call_id)


def created(path: str) -> str:
    return f"File created successfully at: {path} (file state is current in your context — no need to Read it back)"


NO_SLEEP = (
    "<tool_use_error>Blocked: sleep 35 followed by: echo done. To wait for a condition, use Monitor with an until-loop "
    "(e.g. `until <check>; do sleep 2; done`). To wait for a command you started, use run_in_background: true. Do not "
    "chain shorter sleeps to work around this block.</tool_use_error>"
)
NOT_GRANTED = "Claude requested permissions to write to /workspace/project/c.txt, but you haven't granted it yet."


GREETING = said("Hello fr", "om fake ", "upstream.")
GREETED = Told([*GREETING, calls(1, 3)])
NOTHING_ASKED = Told([RunEnd("end", Usage())])
CUT_SHORT = Told([*said("truncate", "d answer"), calls(1, 2, "length")])

RECORDED: dict[str, list[Told]] = {
    "simple-text": [GREETED],
    "simple-text-197": [GREETED],
    "image": [GREETED],
    "max-tokens": [CUT_SHORT],
    "max-tokens-197": [CUT_SHORT],
    "refusal": [Told([*said("I can"), calls(1, 1, "refusal")])],
    "thinking": [
        Told(
            [
                *map(ThinkingDelta, ("Let me thin", "k about thi", "s carefully.")),
                ThinkingEnd("EqQBCkYIBxgCIkBfakeSig=="),
                *said("The answ", "er is 4."),
                calls(1, 5),
            ]
        )
    ],
    "sampling-flags": [GREETED, GREETED],
    "history-injection": [NOTHING_ASKED, NOTHING_ASKED, NOTHING_ASKED, GREETED],
    "reset-reuse": [GREETED, GREETED, NOTHING_ASKED, NOTHING_ASKED, GREETED],
    "rewind": [GREETED] * 4,
    "traps": [GREETED, NOTHING_ASKED, GREETED],
    "interrupt-reuse": [Told(said("ab", "cd", "ef", "gh", "ij"), (502, "upstream_error")), GREETED],
    "agent-bash": [
        Told(
            [
                *said("I will ", "run it."),
                ran("toolu_b1", "sleep 5; echo done", description="Wait a little"),
                ToolOutcome("toolu_b1", "done"),
                *said("\n\nHello fr", "om fake ", "upstream."),
                calls(2, 8),
            ]
        )
    ],
    "agent-bash-heartbeat": [
        Told(
            [
                ran("toolu_b1", "sleep 35; echo done", description="Wait longer", timeout=60000),
                ToolOutcome("toolu_b1", NO_SLEEP, is_error=True),
                *GREETING,
                calls(2, 6),
            ]
        )
    ],
    "agent-permission": [
        Told(
            [
                written("toolu_w1", "/workspace/project/a.txt"),
                ToolOutcome("toolu_w1", created("/workspace/project/a.txt")),
                written("toolu_w2", "/workspace/project/b.txt"),
                ToolOutcome("toolu_w2", "The user said no.", is_error=True),
                *GREETING,
                calls(3, 7),
            ]
        )
    ],
    "agent-permission-denied": [
        Told(
            [
                written("toolu_w1", "/workspace/project/c.txt"),
                ToolOutcome("toolu_w1", NOT_GRANTED, is_error=True),
                *GREETING,
                calls(2, 5),
            ]
        )
    ],
    "api-retry": [GREETED],
    "model-fallback": [GREETED],
    "error-400": [Told([], (400, None))],
    "error-401": [Told([], (401, "invalid_api_key"))],
    "error-403": [Told([], (403, "permission_denied"))],
    "error-404-model": [Told([], (404, "model_not_found"))],
    "error-413": [Told([], (413, "request_too_large"))],
    "error-429": [Told([], (429, "rate_limit_exceeded"))],
    "error-500": [Told([], (502, "upstream_error"))],
    "error-529": [Told([], (503, "overloaded"))],
    "error-prompt-too-long": [Told([], (400, "context_length_exceeded"))],
    "mid-stream-drop-fallback": [Told(said("hel", "lo ", "wor"), (502, "upstream_disconnected"))],
    "mid-stream-error": [Told(said("hel", "lo ", "wor"), (503, "overloaded"))],
    "not-logged-in": [Told([], (401, "not_logged_in"))],
    "rate-limit-event": [Told([*said("ok"), calls(1, 1)]), Told([], (429, "rate_limit_exceeded"))],
}

WITH_TOOLS_OF_THE_CLIENT = {
    "json-schema": ['{"name":"Bob"}'],
    "tool-defer-one": ["Let me check.", "It is mild."],
    "tool-defer-two": ["Let me check.", "It is mild."],
    "tool-mcp-executed": ["It is mild."],
    "verbatim-mode": ["Hello from fake upstream.", "Let me check.", "Hello from fake upstream."],
}


def test_every_recording_is_expected_somewhere() -> None:
    assert {*RECORDED, *WITH_TOOLS_OF_THE_CLIENT} == set(captures.NAMES)


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_run_gives_exactly_these_events(name: str) -> None:
    assert [without_extras(told(lines)) for lines in captures.turns(name)] == RECORDED[name]


@pytest.mark.parametrize("name", WITH_TOOLS_OF_THE_CLIENT)
def test_a_run_with_tools_of_the_client_keeps_its_text(name: str) -> None:
    texts = [
        "".join(event.text for event in told(lines).events if isinstance(event, TextDelta))
        for lines in captures.turns(name)
    ]

    assert texts == WITH_TOOLS_OF_THE_CLIENT[name]


def test_an_answer_that_broke_off_is_never_called_complete() -> None:
    lines: list[wire.Line] = [started(), text("half"), wire.Result("success", result="half an answer, and the rest")]

    assert told(lines) == Told(said("half"), (502, "upstream_disconnected"))


def test_an_answer_that_was_not_streamed_is_given_as_a_whole() -> None:
    lines: list[wire.Line] = [wire.Result("success", result="all of it", usage=wire.Tokens(1, output_tokens=3))]

    assert told(lines) == Told([TextDelta("all of it"), RunEnd("end", Usage(1, 0, 0, 3))])


def test_an_answer_that_was_streamed_is_not_given_twice() -> None:
    lines: list[wire.Line] = [started(), text("all"), stopped("end_turn"), wire.Result("success", result="all")]

    assert told(lines).events[:-1] == said("all")


@pytest.mark.parametrize(
    ("name", "param", "words"),
    [
        ("not-logged-in", None, "/login"),
        ("error-401", None, "/login"),
        ("error-400", None, "messages.0: bad thing"),
        ("error-404-model", "model", "claude-opus-5-5"),
        ("error-prompt-too-long", errors.CONVERSATION, "Prompt is too long"),
        ("error-413", errors.CONVERSATION, "32MB"),
    ],
)
def test_an_error_says_what_to_change(name: str, param: str | None, words: str) -> None:
    error = error_of(name)

    assert error.param == param
    assert words in error.message


@pytest.mark.parametrize("name", [name for name, turns in RECORDED.items() if any(turn.error for turn in turns)])
def test_an_error_does_not_repeat_the_label_that_the_cli_put_before_it(name: str) -> None:
    (failed,) = (lines for lines in captures.turns(name) if told(lines).error)
    translator = Translator()

    with pytest.raises(errors.RelayError, match=r"^(?!API Error)"):
        for line in failed:
            list(translator.feed(line))


@pytest.mark.parametrize(("early", "wait"), [(90.5, 90.5), (0.2, 1.0), (-3600, 1.0)])
def test_a_used_up_subscription_says_when_to_come_back(
    monkeypatch: pytest.MonkeyPatch, early: float, wait: float
) -> None:
    resets_at = 1795351315  # as recorded
    monkeypatch.setattr(failures, "time", SimpleNamespace(time=lambda: resets_at - early))

    assert error_of("rate-limit-event").retry_after == wait


def test_a_limit_that_was_not_hit_does_not_decide_how_long_to_wait() -> None:
    translator = Translator()
    list(translator.feed(wire.RateLimitEvent(wire.RateLimitInfo("allowed", resets_at=4e9))))

    with pytest.raises(errors.RateLimitError) as raised:
        list(translator.feed(failed(429)))

    assert raised.value.retry_after is not None
    assert raised.value.retry_after < 60


def test_retries_are_logged_with_their_status(caplog: pytest.LogCaptureFixture) -> None:
    (lines,) = captures.turns("api-retry")
    told(lines)

    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "529" in caplog.text


# --- lines that were not recorded ------------------------------------------------------------------------------------


def started(**usage: Any) -> wire.StreamEvent:
    return wire.StreamEvent(wire.MessageStart(wire.StartedMessage(wire.Tokens(**usage))))


def text(piece: str, parent: str | None = None) -> wire.StreamEvent:
    return wire.StreamEvent(wire.ContentBlockDelta(wire.TextPiece(piece)), parent)


def stopped(reason: str | None, output: int = 1, parent: str | None = None) -> wire.StreamEvent:
    return wire.StreamEvent(wire.MessageDelta(wire.MessageEnd(reason), wire.Tokens(output_tokens=output)), parent)


def tool(name: str, parent: str | None = None, **arguments: object) -> wire.Assistant:
    block = wire.ContentBlock("tool_use", name, arguments)
    return wire.Assistant(wire.AssistantMessage([block]), parent_tool_use_id=parent)


def succeeded(**usage: Any) -> wire.Result:
    return wire.Result("success", usage=wire.Tokens(**usage))


def failed(status: int | None = None, text: str = "API Error: words", **fields: str) -> wire.Result:
    return wire.Result("success", is_error=True, api_error_status=status, result=text, **fields)  # type: ignore[arg-type]


def test_what_a_subagent_says_and_does_is_not_part_of_the_answer() -> None:
    lines: list[wire.Line] = [
        started(input_tokens=5),
        text("mine"),
        stopped("tool_use", 2),
        text("not mine", "toolu_1"),
        tool("Bash", "toolu_1"),
        stopped("max_tokens", 7, "toolu_1"),
        wire.Assistant(error="authentication_failed", parent_tool_use_id="toolu_1"),
        started(input_tokens=6),
        text("mine too"),
        stopped("end_turn", 3),
        succeeded(input_tokens=11, output_tokens=5),
    ]

    assert told(lines) == Told([*said("mine", "\n\nmine too"), RunEnd("end", Usage(11, 0, 0, 5))])


def test_an_error_of_a_subagent_does_not_name_the_error_of_the_run() -> None:
    lines: list[wire.Line] = [wire.Assistant(error="authentication_failed", parent_tool_use_id="toolu_1"), failed()]

    assert told(lines) == Told([], (502, "upstream_error"))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("One.", "Two.", "One.\n\nTwo."),
        ("One.\n", "Two.", "One.\nTwo."),
        ("", "Two.", "Two."),
    ],
)
def test_texts_of_successive_messages_are_set_apart_once(first: str, second: str, expected: str) -> None:
    before: list[wire.Line] = [started(), text(first), stopped("tool_use")]
    after: list[wire.Line] = [started(), text(second), text(" More."), stopped("end_turn"), succeeded()]
    whole = told([*before, *after])

    assert "".join(event.text for event in whole.events if isinstance(event, TextDelta)) == f"{expected} More."


def test_the_upstream_asked_again_after_half_an_answer_is_an_error_and_not_a_second_beginning() -> None:
    lines: list[wire.Line] = [started(), text("half"), wire.System("api_retry"), started(), text("whole")]

    assert told(lines) == Told(said("half"), (502, "upstream_disconnected"))


def test_each_time_that_the_upstream_was_asked_counts_but_for_subagents() -> None:
    translator = Translator()
    subagent = wire.StreamEvent(wire.MessageStart(wire.StartedMessage(wire.Tokens())), "toolu_1")
    lines: list[wire.Line] = [
        wire.System("api_retry"),
        started(),
        text("one"),
        stopped("tool_use"),
        subagent,
        started(),
    ]
    for line in lines:
        list(translator.feed(line))

    assert translator.upstream_requests == 3


def test_a_message_that_stops_without_a_reason_has_not_ended() -> None:
    lines: list[wire.Line] = [started(), text("half"), stopped(None), started()]

    assert told(lines) == Told(said("half"), (502, "upstream_disconnected"))


def test_the_upstream_asked_again_before_anything_was_said_gives_one_answer() -> None:
    lines: list[wire.Line] = [started(), started(), text("whole"), stopped("end_turn"), succeeded()]

    assert told(lines).events[:-1] == said("whole")


@pytest.mark.parametrize(
    ("reason", "stop"),
    [("max_tokens", "length"), ("model_context_window_exceeded", "context_window"), ("refusal", "refusal")],
)
def test_an_end_that_the_cli_would_not_accept_ends_the_run_at_once(reason: str, stop: StopReason) -> None:
    lines: list[wire.Line] = [started(input_tokens=3), text("cut"), stopped(reason, 9), text("resumed")]

    assert told(lines) == Told([*said("cut"), RunEnd(stop, Usage(3, 0, 0, 9))])


@pytest.mark.parametrize("reason", ["end_turn", "stop_sequence", "pause_turn", "tool_use", "never heard of"])
def test_any_other_end_of_a_message_waits_for_the_result(reason: str) -> None:
    assert told([started(), text("done"), stopped(reason)]) == Told(said("done"))


def test_an_end_at_a_stop_sequence_is_told_from_other_ends() -> None:
    lines: list[wire.Line] = [started(input_tokens=3), text("so far"), stopped("stop_sequence", 9)]

    assert told([*lines, wire.Result("success")]).events[-1] == RunEnd("stop_sequence", Usage(3, 0, 0, 9))


def test_the_stop_sequence_that_ended_an_answer_is_known() -> None:
    end = wire.StreamEvent(wire.MessageDelta(wire.MessageEnd("stop_sequence", "END"), wire.Tokens(output_tokens=9)))

    assert told([started(), text("so far"), end, wire.Result("success")]).events[-1] == RunEnd(
        "stop_sequence", Usage(0, 0, 0, 9), stop_sequence="END"
    )


def test_empty_pieces_are_not_passed_on() -> None:
    empty = wire.StreamEvent(wire.ContentBlockDelta(wire.ThinkingPiece("")))

    assert told([started(), text(""), empty]) == Told([])


def test_counts_of_a_call_are_totals_and_not_increments() -> None:
    lines: list[wire.Line] = [
        started(input_tokens=5, cache_read_input_tokens=2, output_tokens=1),
        stopped("end_turn", 8),
        succeeded(),
    ]

    assert told(lines) == Told([RunEnd("end", Usage(5, 2, 0, 8))])


def test_the_sum_of_the_result_counts_when_there_is_one() -> None:
    lines: list[wire.Line] = [
        started(input_tokens=5),
        stopped("end_turn", 8),
        succeeded(input_tokens=50, cache_creation_input_tokens=1, output_tokens=80),
    ]

    assert told(lines) == Told([RunEnd("end", Usage(50, 0, 1, 80))])


def test_lines_without_a_meaning_for_the_answer_give_nothing() -> None:
    lines: list[wire.Line] = [
        wire.Other("news", "unknown"),
        wire.System("init"),
        wire.Assistant(),
        wire.ControlResponse(wire.ControlReply("relay-1", "success")),
        wire.Assistant(wire.AssistantMessage([wire.ContentBlock("text")])),
    ]

    assert told(lines) == Told([])


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, errors.InvalidRequestError, None),
        (401, errors.AuthenticationError, "invalid_api_key"),
        (403, errors.PermissionDeniedError, "permission_denied"),
        (404, errors.NotFoundError, "model_not_found"),
        (413, errors.RequestTooLargeError, "request_too_large"),
        (429, errors.RateLimitError, "rate_limit_exceeded"),
        (500, errors.UpstreamError, "upstream_error"),
        (502, errors.UpstreamError, "upstream_error"),
        (503, errors.UnavailableError, "overloaded"),
        (504, errors.UpstreamError, "upstream_error"),
        (529, errors.UnavailableError, "overloaded"),
        (418, errors.UpstreamError, "upstream_error"),
    ],
)
def test_the_upstream_status_decides_the_error(status: int, kind: type[errors.RelayError], code: str | None) -> None:
    error = failure(failed(status), "unknown")

    assert (type(error), error.code) == (kind, code)


@pytest.mark.parametrize(
    ("synthetic", "text", "expected"),
    [
        ("authentication_failed", "Not logged in", (401, "not_logged_in")),
        ("model_not_found", "There's an issue with the selected model", (404, "model_not_found")),
        ("rate_limit", "API Error: slow down", (429, "rate_limit_exceeded")),
        ("invalid_request", "API Error: bad", (400, None)),
        ("unknown", "API Error: Overloaded", (503, "overloaded")),
        ("server_error", "API Error: Repeated 529 errors", (503, "overloaded")),
        ("server_error", "API Error: Connection to the API was lost", (502, "upstream_disconnected")),
        ("max_output_tokens", "API Error: Claude's response exceeded", (502, "upstream_error")),
        (None, "", (502, "upstream_error")),
    ],
)
def test_without_a_status_the_code_of_the_cli_decides_and_then_its_words(
    synthetic: str | None, text: str, expected: tuple[int, str | None]
) -> None:
    error = failure(failed(text=text), synthetic)

    assert (error.status, error.code) == expected


@pytest.mark.parametrize("status", [429, 503, 529])
def test_an_overloaded_upstream_is_answered_with_a_time_to_wait(status: int) -> None:
    assert failure(failed(status), None).retry_after == 5


@pytest.mark.parametrize("status", [500, 502, 503, 529])
def test_the_addresses_of_a_failed_upstream_stay_with_the_operator(status: int) -> None:
    error = failure(failed(status, "API Error: 500 from http://10.0.0.7:8443/v1"), "server_error")

    assert "10.0.0.7" not in error.message


@pytest.mark.parametrize("words", ["getaddrinfo ENOTFOUND gateway.corp", "Unable to reach https://gateway.corp:8443"])
def test_the_address_of_an_upstream_that_cannot_be_reached_stays_with_the_operator(words: str) -> None:
    error = failure(failed(text=f"API Error: {words}"), "server_error")

    assert "gateway.corp" not in error.message


def test_the_log_tells_what_a_failure_is_and_nothing_that_the_upstream_says(caplog: pytest.LogCaptureFixture) -> None:
    told([failed(500, "API Error: 500 from CANARY: (ECONNRESET)")])

    assert "status 500, reason success, causes ECONNRESET, characters 40" in caplog.text
    assert "CANARY" not in caplog.text


@pytest.mark.parametrize("subtype", ["error_during_execution", "error_max_turns", "error_max_budget_usd"])
def test_a_failure_without_words_is_named_by_its_kind(subtype: str) -> None:
    error = failure(wire.Result(subtype, is_error=True), None)

    assert error.status == 502
    assert subtype in error.message


def test_a_status_of_the_upstream_makes_a_result_a_failure_even_if_it_calls_itself_a_success() -> None:
    result = wire.Result("success", is_error=False, api_error_status=429)

    assert told([result]) == Told([], (429, "rate_limit_exceeded"))


# --- thinking, context windows ---------------------------------------------------------------------------------


def block(kind: str, *pieces: wire.Delta, data: str = "") -> list[wire.Line]:
    start = wire.StreamEvent(wire.ContentBlockStart(wire.StartedBlock(kind, data=data)))
    return [start, *(wire.StreamEvent(wire.ContentBlockDelta(piece)) for piece in pieces)]


def test_reasoning_ends_with_its_signature_whatever_is_shown_of_it() -> None:
    lines = [
        *block("thinking", wire.ThinkingPiece("a"), wire.SignaturePiece("U1+/=")),
        *block("redacted_thinking", data="ZGF0YQ=="),
        *block("thinking", wire.SignaturePiece(""), wire.SignaturePiece("U2")),
        *block("thinking", wire.ThinkingPiece("b")),
        *block("text", wire.TextPiece("words")),
    ]

    assert told([started(), *lines, stopped("end_turn")]).events == [
        ThinkingDelta("a"),
        ThinkingEnd("U1+/="),
        RedactedThinking("ZGF0YQ=="),
        ThinkingEnd("U2"),
        ThinkingDelta("b"),
        ThinkingEnd(""),
        *said("words"),
    ]


def test_half_a_character_of_reasoning_comes_before_its_signature() -> None:
    lines = block("thinking", wire.ThinkingPiece("a\ud83d"), wire.SignaturePiece("U1"))

    assert told([started(), *lines]).events == [ThinkingDelta("a"), ThinkingDelta("\ufffd"), ThinkingEnd("U1")]


def end_of(name: str) -> RunEnd:
    """Return the end of a recording's last turn."""
    *_, lines = captures.turns(name)
    end = told(lines).events[-1]
    assert isinstance(end, RunEnd)
    return end


@pytest.mark.parametrize(
    ("name", "thinking"),
    [
        ("simple-text", 0),
        ("simple-text-197", None),
        ("thinking", 0),
        ("agent-bash", 0),
        ("json-schema", 0),
        ("max-tokens", None),
        ("refusal", None),
    ],
)
def test_thinking_is_what_the_cli_tells_and_unknown_where_it_was_cut_short(name: str, thinking: int | None) -> None:
    assert end_of(name).thinking_tokens == thinking


def test_thinking_tokens_are_those_of_the_result() -> None:
    tokens = wire.Tokens(5, output_tokens=9, output_tokens_details=wire.TokenDetails(4))

    assert told([wire.Result("success", usage=tokens)]).events == [RunEnd("end", Usage(5, 0, 0, 9), 4)]


@pytest.mark.parametrize(
    ("windows", "expected"), [({}, None), ({"a": None}, None), ({"a": 200_000, "b": 1_000_000, "c": None}, 1_000_000)]
)
def test_the_largest_context_window_of_the_models_that_were_asked_is_remembered(
    windows: dict[str, int | None], expected: int | None
) -> None:
    translator = Translator()
    models = {name: wire.ModelUsage(window) for name, window in windows.items()}

    list(translator.feed(wire.Result("success", modelUsage=models)))

    assert translator.context_window == expected


def test_a_recorded_context_window_is_read() -> None:
    translator = Translator()
    (lines,) = captures.turns("simple-text")
    for line in lines:
        list(translator.feed(line))

    assert translator.context_window is not None
    assert translator.context_window >= 200_000


# --- activity --------------------------------------------------------------------------------------------------------


def activities(name: str, output: JsonOutput | None = None) -> list[Event]:
    turns = [told(lines, output) for lines in captures.turns(name)]
    return [event for turn in turns for event in turn.events if isinstance(event, ToolActivity)]


def test_the_work_of_an_agent_is_told_once_with_what_it_is_for_and_called_with() -> None:
    assert activities("agent-bash") == [ran("toolu_b1", "sleep 5; echo done", description="Wait a little")]


def test_the_tool_that_takes_an_answer_is_no_work() -> None:
    assert activities("json-schema", JsonOutput({"type": "object"})) == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"command": "npm test", "description": "Run tests"}, "npm test"),
        ({"description": "Look around", "prompt": "Find it"}, "Look around"),
        ({"pattern": "TODO", "path": "src"}, "src"),
        ({"file_path": "/a/b.py", "content": "x" * 999}, "/a/b.py"),
        ({"command": "one\n  two\tthree"}, "one two three"),
        ({"command": 5, "url": "https://a"}, "https://a"),
        ({"todos": []}, ""),
        ({}, ""),
        ({"command": "x" * 120}, "x" * 120),
        ({"command": "x" * 121}, "x" * 119 + "…"),
    ],
)
def test_what_a_tool_is_used_for_is_said_in_one_short_line(arguments: dict[str, Any], line: str) -> None:
    assert summary(arguments) == line
    assert told([tool("Bash", **arguments)]) == Told([ToolActivity("Bash", line, arguments)])


def test_several_tools_in_one_message_are_told_one_by_one_and_text_is_not_told_again() -> None:
    content = [
        wire.ContentBlock("text"),
        wire.ContentBlock("tool_use", "A"),
        wire.ContentBlock("tool_use", "B", id="b"),
    ]

    assert told([wire.Assistant(wire.AssistantMessage(content))]) == Told(
        [ToolActivity("A"), ToolActivity("B", id="b")]
    )


def used(call_id: str, name: str = "Bash") -> wire.Assistant:
    return wire.Assistant(wire.AssistantMessage([wire.ContentBlock("tool_use", name, id=call_id)]))


def result_of(call_id: str, content: Any, *, parent: str | None = None, **fields: Any) -> wire.Line:
    block = {"type": "tool_result", "tool_use_id": call_id, "content": content, **fields}
    line = {"type": "user", "message": {"role": "user", "content": [block]}, "parent_tool_use_id": parent}
    return wire.decode(json.dumps(line).encode())


def outcomes(*lines: wire.Line) -> list[ToolOutcome]:
    return [event for event in told(list(lines)).events if isinstance(event, ToolOutcome)]


@pytest.mark.parametrize(
    ("content", "output"),
    [
        ("a\nb", "a\nb"),
        ("", ""),
        (None, ""),
        ([], ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        ([{"type": "text", "text": "a"}, {"type": "image", "source": {"type": "base64"}}], "a\n[image]"),
        ([{"type": "tool_reference", "tool_name": "x"}], "[tool_reference]"),
        ("x" * LONGEST_OUTPUT, "x" * LONGEST_OUTPUT),
        ("x" * (LONGEST_OUTPUT + 3), "x" * LONGEST_OUTPUT + "\n[3 more characters]"),
    ],
)
def test_what_a_tool_returned_is_told_as_text_of_a_limited_length(content: Any, output: str) -> None:
    assert outcomes(used("t1"), result_of("t1", content)) == [ToolOutcome("t1", output)]


def test_an_outcome_is_told_once_and_only_of_calls_that_were_told() -> None:
    assert outcomes(
        result_of("t1", "early"), used("t1"), result_of("t1", "a", is_error=True), result_of("t1", "b")
    ) == [ToolOutcome("t1", "a", is_error=True)]


def test_what_the_tools_of_a_subagent_return_is_not_told() -> None:
    assert outcomes(used("t1"), result_of("t1", "a", parent="toolu_task")) == []


def test_a_line_of_the_user_in_words_is_no_outcome() -> None:
    assert outcomes(used("t1"), wire.decode(b'{"type":"user","message":{"role":"user","content":"t1"}}')) == []


# --- answers that the CLI's tool takes -------------------------------------------------------------------------------

NAMED = JsonOutput({"type": "object", "properties": {"name": {"type": "string"}}})
LIST = JsonOutput({"type": "array"})


def structured(lines: list[wire.Line], output: JsonOutput = NAMED) -> list[Event]:
    translator = Translator(output)
    return [event for line in lines for event in translator.feed(line)]


def test_a_recorded_structured_answer_is_the_text_and_nothing_else_is() -> None:
    (lines,) = captures.turns("json-schema")

    events = structured(lines)

    assert events[:-1] == [TextDelta('{"name":"Bob"}')]
    assert isinstance(events[-1], RunEnd)


def test_what_is_said_on_the_way_to_a_structured_answer_is_not_the_answer() -> None:
    result = wire.Result("success", result="Done!", structured_output={"name": "Bob"})

    assert structured([started(), text("Let me see."), stopped("tool_use"), result])[:-1] == said('{"name":"Bob"}')


def test_a_structured_answer_that_is_no_object_is_taken_out_of_its_field() -> None:
    assert structured([wire.Result("success", structured_output={"value": [1, "ä"]})], LIST)[:-1] == said('[1,"ä"]')


@pytest.mark.parametrize("given", [None, 0, "", [], {}])
def test_an_empty_structured_answer_is_an_answer(given: Any) -> None:
    events = structured([wire.Result("success", structured_output={"value": given})], LIST)

    assert events[:-1] == said(msgspec.json.encode(given).decode())


@pytest.mark.parametrize(
    "result",
    [
        wire.Result("success", result='{"name":"Bob"}'),
        wire.Result("error_max_structured_output_retries", is_error=True),
    ],
)
def test_an_answer_without_structure_is_a_clear_error(result: wire.Result) -> None:
    with pytest.raises(errors.UpstreamError) as raised:
        structured([result])

    assert raised.value.code == "invalid_structured_output"


BLOCKED = wire.Result("success", is_error=True, terminal_reason="blocking_limit", result="Prompt is too long")
STARTED = wire.StreamEvent(wire.MessageStart(wire.StartedMessage(wire.Tokens(input_tokens=7))))


def test_an_answer_without_words_that_is_not_asked_for_again_is_an_answer() -> None:
    ended = wire.StreamEvent(wire.MessageDelta(wire.MessageEnd("end_turn"), wire.Tokens(output_tokens=1)))

    assert told([STARTED, ended, BLOCKED]).events == [RunEnd("end", Usage(7, 0, 0, 1))]


def test_an_answer_that_broke_off_and_is_not_asked_for_again_is_an_error() -> None:
    half = wire.StreamEvent(wire.ContentBlockDelta(wire.TextPiece("half")))

    assert told([STARTED, half, BLOCKED]).error == (502, "upstream_disconnected")


def test_a_prompt_that_is_too_long_for_the_cli_itself_is_too_long() -> None:
    assert told([BLOCKED]).error == (400, "context_length_exceeded")


@pytest.mark.parametrize(("status", "may_help"), [(409, False), (422, False), (500, None), (504, None)])
def test_what_the_upstream_refuses_is_not_worth_asking_again(status: int, may_help: bool | None) -> None:
    error = failure(wire.Result("success", is_error=True, api_error_status=status), None)

    assert (error.status, error.should_retry) == (502, may_help)
