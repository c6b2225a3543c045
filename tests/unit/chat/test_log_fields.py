"""What a chat request adds to its line in the log."""

from claude_relay.chat.log_fields import log_fields
from claude_relay.chat.outbound import RenderOptions
from claude_relay.engine.vocabulary import RunEnd, RunStarted, Usage

OPTIONS = RenderOptions("id", 0, "sonnet", answers=2)


def test_the_beginning_tells_how_each_answer_got_its_process_and_the_longest_wait() -> None:
    begun = [RunStarted("reused", 0.25), RunStarted("started", 1.5)]

    assert log_fields(OPTIONS, begun, []) == {"origin": "reused,started", "queue_ms": 1500}


def test_the_end_tells_the_sum_of_tokens_and_cost_and_why_each_answer_ended() -> None:
    ends = [RunEnd("end", Usage(10, 5, 1, 3), cost=0.5), RunEnd("length", Usage(10, 0, 0, 2), cost=0.25)]

    assert log_fields(OPTIONS, [], ends) == {
        "prompt_tokens": 26,
        "cached_tokens": 5,
        "completion_tokens": 5,
        "cost_usd": 0.75,
        "finish": "stop,length",
    }


def test_a_cost_that_is_not_known_is_not_told() -> None:
    assert "cost_usd" not in log_fields(OPTIONS, [], [RunEnd("end", Usage())])


def test_of_what_never_ended_nothing_is_told() -> None:
    assert log_fields(OPTIONS, [], []) == {}
