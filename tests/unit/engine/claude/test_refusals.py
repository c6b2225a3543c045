"""What a model has refused is not said to it again."""

from typing import Any

from claude_relay.engine.claude.fallback import Refusable
from claude_relay.engine.claude.refusals import Refusals
from claude_relay.engine.vocabulary import RunRequest, Sampling
from tests.unit.factories import RunRequestFactory

BOTH = Sampling(temperature=0.5, top_p=0.5)


def request(**fields: Any) -> RunRequest:
    return RunRequestFactory.build(**fields)


def test_nothing_is_left_out_of_what_nobody_has_refused() -> None:
    asked = request(sampling=BOTH, effort="high")

    assert Refusals().without_known(asked) == (asked, ())


def test_what_was_refused_is_left_out_for_that_model_only() -> None:
    known = Refusals()
    known.learn("sonnet", [Refusable("temperature"), Refusable("top_p")])

    assert known.without_known(request(sampling=BOTH)) == (request(), ("top_p", "temperature"))
    assert known.without_known(request(model="opus", sampling=BOTH)) == (request(model="opus", sampling=BOTH), ())


def test_two_options_that_are_refused_together_are_taken_alone() -> None:
    known = Refusals()
    known.learn("sonnet", [Refusable("both")])

    assert known.without_known(request(sampling=BOTH)) == (request(sampling=Sampling(temperature=0.5)), ("top_p",))
    for alone in (Sampling(temperature=0.5), Sampling(top_p=0.5)):
        assert known.without_known(request(sampling=alone)) == (request(sampling=alone), ())


def test_a_model_with_a_budget_is_known_by_its_name_or_learned() -> None:
    short = Sampling(max_tokens=50)
    known = Refusals()
    known.learn("learned", [Refusable("budget")])

    for model in ("claude-haiku-4-5", "learned"):
        assert known.without_known(request(model=model, sampling=short, effort="low")) == (
            request(model=model, sampling=short, effort="none"),
            ("reasoning_effort",),
        )
        assert known.without_known(request(model=model))[0].effort is None
    assert known.without_known(request(model="sonnet", sampling=short))[0].effort is None


def test_what_is_publicly_known_is_left_out_from_the_start() -> None:
    every = Sampling(temperature=0.5, top_p=0.5, top_k=5)
    known = Refusals()

    assert known.without_known(request(model="claude-opus-4-7", sampling=every)) == (
        request(model="claude-opus-4-7"),
        ("top_k", "top_p", "temperature"),
    )
    assert known.without_known(request(model="claude-sonnet-4-6", sampling=BOTH)) == (
        request(model="claude-sonnet-4-6", sampling=Sampling(temperature=0.5)),
        ("top_p",),
    )


def test_what_a_name_stands_for_counts_and_not_the_name() -> None:
    known = Refusals({"opus": "claude-opus-5-5", "best": "my-model"}.get)  # type: ignore[arg-type] # all are there
    known.learn("best", [Refusable("top_k")])

    assert known.without_known(request(model="opus", sampling=BOTH))[1] == ("top_p", "temperature")
    assert known.without_known(request(model="best", sampling=Sampling(top_k=5)))[1] == ("top_k",)


def test_refusals_that_contradict_each_other_come_to_an_end() -> None:
    known = Refusals()
    known.learn("sonnet", [Refusable("thinking"), Refusable("effort", "none")])

    without_known, missing = known.without_known(request(effort="high"))

    assert without_known.effort in {None, "none"}
    assert missing == ("reasoning_effort",)


def test_the_oldest_are_forgotten_when_there_are_too_many() -> None:
    known = Refusals()
    for number in range(1001):
        known.learn(f"model-{number}", [Refusable("top_k")])
    asked = Sampling(top_k=5)

    assert known.without_known(request(model="model-0", sampling=asked))[1] == ()
    assert known.without_known(request(model="model-1", sampling=asked))[1] == ("top_k",)
    assert known.without_known(request(model="model-1000", sampling=asked))[1] == ("top_k",)
