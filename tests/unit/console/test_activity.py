"""What the console remembers of requests: figures, by account, and no more than so many."""

from typing import Any

import pytest

from claude_relay.access.policy import Caller
from claude_relay.console.activity import Activity
from claude_relay.web.context import RequestContext

ANN = Caller("ann", "ann", "ann")
BOB = Caller("bob", "bob", "bob")
NOON = 43_200.0
LINE = {
    "method": "POST",
    "path": "/v1/chat/completions",
    "model": "sonnet",
    "personality": "chat",
    "status": 200,
    "finish": "stop",
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "cost_usd": 0.25,
    "first_token_ms": 300,
    "total_ms": 1000,
}


def context(caller: Caller | None = ANN, **fields: Any) -> RequestContext:
    return RequestContext("req_1", 0.0, caller, fields={"path": "/v1/chat/completions", **fields})


def finish(activity: Activity, at: float = NOON, caller: Caller | None = ANN, **fields: Any) -> None:
    activity.end(context(caller), {**LINE, **fields}, at)


def test_a_request_is_running_until_it_is_over() -> None:
    activity, asked = Activity(), context(model="sonnet", personality="chat")

    activity.begin(asked, NOON)
    (running,) = activity.running("ann")
    assert (running.model, running.began_at, running.first_token_ms) == ("sonnet", NOON, None)
    asked.fields["first_token_ms"] = 70
    assert activity.running("ann")[0].first_token_ms == 70

    activity.end(asked, LINE, NOON + 1)
    assert activity.running("ann") == []
    (over,) = activity.finished("ann")
    assert (over.id, over.at, over.model, over.finish, over.cost_usd) == ("req_1", NOON + 1, "sonnet", "stop", 0.25)


def test_an_account_sees_its_own_requests_and_no_others() -> None:
    activity = Activity()
    activity.begin(context(BOB, personality="chat"), NOON)
    finish(activity, caller=BOB)
    finish(activity, caller=None)

    assert (activity.running("ann"), activity.finished("ann"), activity.minutes("ann", NOON)) == ([], [], [])
    assert activity.identities("ann") == ()
    assert len(activity.finished("bob")) == len(activity.running("bob")) == 1


def test_an_account_has_the_identities_that_called_and_those_that_call() -> None:
    activity = Activity()
    finish(activity, caller=Caller("local:7/", "local", "local:7"))
    activity.begin(context(Caller("local:7/abc", "local", "local:7"), personality="chat"), NOON)
    activity.begin(context(Caller("local:8/", "local", "local:8"), personality="chat"), NOON)

    assert activity.identities("local:7") == ("local:7/abc", "local:7/")


@pytest.mark.parametrize(
    ("fields", "is_shown"),
    [
        ({"path": "/v1/models", "status": 200}, False),
        ({"path": "/v1/models", "status": 404}, True),
        ({"path": "/v1/chat/completions", "status": 400}, True),
        ({"path": "/v1/console/events", "status": 503}, False),
        ({"path": "/health", "status": 503}, False),
        ({"path": "/v1/responses", "personality": "chat"}, True),
    ],
)
def test_answers_and_failures_are_shown_and_looks_at_the_server_are_not(fields: dict[str, Any], is_shown: bool) -> None:
    activity = Activity()

    activity.end(context(), fields, NOON)

    assert bool(activity.finished("ann")) == is_shown


def test_only_what_is_new_is_told_again() -> None:
    activity = Activity()
    for _ in range(3):
        finish(activity)
    first, second, third = activity.finished("ann")

    assert activity.finished("ann", second.number) == [third]
    assert activity.finished("ann", third.number) == []
    assert first.number < second.number < third.number


def test_requests_of_one_minute_are_summed_up() -> None:
    activity = Activity()
    finish(activity, NOON)
    finish(activity, NOON + 59, total_ms=3000, first_token_ms=100, cost_usd=None)
    finish(activity, NOON + 60, status=502, error="upstream_error")
    activity.end(context(), {"path": "/v1/chat/completions", "status": 400, "error": "invalid"}, NOON + 61)

    first, second = activity.minutes("ann", NOON + 61)

    assert (first.at, first.requests, first.errors, first.prompt_tokens, first.completion_tokens) == (
        NOON,
        2,
        0,
        20,
        10,
    )
    assert (first.cost_usd, first.total_ms, first.slowest_ms, first.first_token_ms, first.begun) == (
        0.25,
        4000,
        3000,
        400,
        2,
    )
    assert (second.at, second.requests, second.errors) == (NOON + 60, 1, 2)
    (quarter,) = activity.quarters("ann", NOON + 61)
    assert (quarter.at, quarter.requests, quarter.errors) == (NOON, 3, 2)


def test_charts_show_the_last_hour_and_the_last_day() -> None:
    activity = Activity()
    for at in range(0, 3 * 86_400, 60):
        finish(activity, at)
    now = 3 * 86_400.0 - 1

    minutes, quarters = activity.minutes("ann", now), activity.quarters("ann", now)

    assert [bucket.at for bucket in minutes] == list(range(3 * 86_400 - 3600, 3 * 86_400, 60))
    assert [bucket.at for bucket in quarters] == list(range(2 * 86_400, 3 * 86_400, 900))
    assert activity.minutes("ann", now + 3600) == []
    assert len(activity.quarters("ann", now + 3600)) == 92


def test_a_clock_that_is_set_back_counts_on() -> None:
    activity = Activity()
    finish(activity, NOON)
    finish(activity, NOON - 600)

    assert [(bucket.at, bucket.requests) for bucket in activity.minutes("ann", NOON)] == [(NOON, 2)]


def test_no_more_is_kept_than_so_much() -> None:
    activity = Activity()
    for number in range(1000):
        finish(activity, caller=Caller(f"local:7/{number}", "local", "local:7"), model="m" * 10_000)
    assert len(activity.finished("local:7")) == 200
    assert activity.finished("local:7")[-1].model == "m" * 100
    assert activity.identities("local:7") == tuple(f"local:7/{number}" for number in range(936, 1000))

    for number in range(1000):
        finish(activity, caller=Caller(f"key-{number}", "key", f"key-{number}"))
    assert activity.finished("local:7") == activity.finished("key-743") == []
    assert len(activity.finished("key-744")) == 1


def test_to_look_keeps_nothing() -> None:
    activity = Activity()

    for number in range(10):
        assert activity.finished(f"nobody-{number}") == []

    assert len(activity._accounts) == 0
