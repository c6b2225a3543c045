"""How the relay is, as a body."""

import msgspec

from claude_relay import __version__
from claude_relay.engine.runner import RunnerHealth
from claude_relay.health.outbound import full_health, status_only


def test_a_healthy_runner_gives_no_reasons() -> None:
    body = msgspec.to_builtins(full_health("claude", RunnerHealth("ok", {"processes": {"spare": 1}})))

    assert body == {
        "status": "ok",
        "version": __version__,
        "runner": "claude",
        "detail": {"processes": {"spare": 1}},
    }


def test_a_degraded_runner_says_why_and_what_helps() -> None:
    body = msgspec.to_builtins(full_health("claude", RunnerHealth("degraded", reason="no CLI", remedy="install it")))

    assert (body["status"], body["reason"], body["remedy"]) == ("degraded", "no CLI", "install it")


def test_strangers_are_told_the_status_alone() -> None:
    for health in (RunnerHealth("ok", {"a": 1}), RunnerHealth("degraded", reason="no CLI", remedy="install it")):
        assert msgspec.to_builtins(status_only(health)) == {"status": health.status}
