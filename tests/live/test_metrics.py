"""Figures of answers of the real CLI."""

from prometheus_client.parser import text_string_to_metric_families

from tests.live.relay import Relay
from tests.upstream import FakeUpstream, Message, ToolUse, text


def figures(relay: Relay) -> dict[str, float]:
    """Return all counters and gauges, by name and labels, in their order there."""
    found = relay.http.get("/metrics").text
    return {
        ".".join((sample.name.removeprefix("claude_relay_"), *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(found)
        for sample in family.samples
    }


def test_an_answer_is_counted_by_model_with_what_it_asked_the_upstream(agent: Relay, upstream: FakeUpstream) -> None:
    upstream.replies(Message(blocks=(ToolUse("toolu_1", "Glob", {"pattern": "*.none"}),)), text("Nothing."))
    before = figures(agent)

    assert agent.chat("What is here?", model="sonnet:agent").status_code == 200

    after = figures(agent)
    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert grown["runs_total.chat/completions.sonnet.end.agent"] == 1
    assert grown["upstream_requests_total.agent"] == len(upstream.messages_requests) == 2
    assert grown["tokens_total.completion.sonnet"] > 0
    assert grown["checkout_seconds_count.agent"] == grown["first_token_seconds_count.agent"] == 1
    assert sum(grown[name] for name in grown if name.startswith("checkouts_total.")) == 1
    assert after["answers_limit"] > 0
    assert after["running"] == after["waiting"] == 0
