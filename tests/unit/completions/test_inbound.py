"""What is asked for a completion."""

from typing import Any

import pytest

from claude_relay.completions.inbound import SYSTEM
from claude_relay.completions.limits import MOST_CONTINUATIONS
from claude_relay.engine.vocabulary import RunRequest, Sampling, Text, Turn
from claude_relay.settings import Settings
from tests.unit.completions.bodies import asked, refusal


def texts(**fields: Any) -> list[str]:
    """Return what the model is told of each prompt."""
    question = asked(**fields)
    found = []
    for run in (question.run, *question.more):
        (turn,) = run.turns
        (piece,) = turn.content
        assert isinstance(piece, Text)
        found.append(piece.text)
    return found


def test_a_prompt_is_a_question_without_thinking_that_has_sixteen_tokens_for_its_answer() -> None:
    assert asked(prompt="def f(x):").run == RunRequest(
        "sonnet",
        "chat",
        SYSTEM,
        (Turn("user", (Text("def f(x):"),)),),
        Sampling(max_tokens=16),
        effort="none",
        caller="ada",
        account="ada",
    )


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"prompt": " a\n  "}, [" a\n  "]),
        ({"prompt": "a", "suffix": "b"}, ["<prefix>a</prefix><suffix>b</suffix>"]),
        ({"prompt": "a", "suffix": ""}, ["a"]),
        ({"prompt": "\n"}, ["<prefix>\n</prefix>"]),
        ({"prompt": ""}, ["<prefix></prefix>"]),
        ({"prompt": ["a", "b"]}, ["a", "b"]),
    ],
)
def test_the_text_reaches_the_model_to_the_letter(fields: dict[str, Any], told: list[str]) -> None:
    assert texts(**fields) == told


def test_instructions_are_the_same_for_each_request() -> None:
    assert {asked(**fields).run.system for fields in ({}, {"suffix": "b"}, {"prompt": ["", "x"]})} == {SYSTEM}


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1, 2], [3]], ["a", 1], [[]]])
def test_tokens_are_refused_with_the_reason(prompt: list[Any]) -> None:
    error = refusal(prompt=prompt)

    assert (error.status, error.param) == (400, "prompt")
    assert "tokens are not supported" in error.message


def test_probabilities_are_refused_with_the_reason() -> None:
    assert "no probabilities" in refusal(logprobs=1, echo=True, max_tokens=1).message


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ["a"] * 65, "n": 2}, "prompt"),
        ({"prompt": ["a"] * (MOST_CONTINUATIONS + 1)}, "prompt"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 9}, "n"),
        ({"stop": ["x"] * 65}, "stop"),
        ({"stop": ["x", "y" * 1_001]}, "stop[1]"),
        ({"stop": "y" * 1_001}, "stop"),
        ({"model": "m" * 5_001}, "model"),
    ],
)
def test_what_is_wrong_is_a_400_that_names_the_place(fields: dict[str, Any], param: str) -> None:
    error = refusal(**fields)

    assert (error.status, error.param) == (400, param)


def test_options_of_the_sampling_are_passed_on() -> None:
    given = asked(max_tokens=64, temperature=1.5, top_p=0.5, top_k=3, stop=["\n", "", "x"]).run

    assert given.sampling == Sampling(1.0, 0.5, 3, 64, ("\n", "x"))


@pytest.mark.parametrize(
    ("model", "answers"), [("sonnet", "chat"), ("sonnet:agent", "agent"), ("gpt-3.5-turbo-instruct", "agent")]
)
def test_a_model_answers_unless_an_agent_is_asked_by_name(model: str, answers: str) -> None:
    settings = Settings(personality="agent", alias=("gpt-3.5-turbo-instruct=opus:agent",))

    assert asked(settings, model=model).run.personality == answers
