"""Every parameter of Anthropic's request is known, and what happens to it is what is documented."""

from typing import Any

import msgspec
import pytest

from claude_relay.messages.outbound import shown_thinking
from claude_relay.messages.parameters import KNOWN, PARAMETERS
from claude_relay.messages.schemas import MessagesRequest
from claude_relay.messages.state import Stored
from claude_relay.settings import Personality, Settings
from claude_relay.web.parameters import Parameter, Support
from tests.unit.messages.bodies import TOOL, asked, refusal, request

FORM = {"type": "json_schema", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}
TYPICAL: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Something else"}],
    "model": "opus",
    "system": "Be brief.",
    "max_tokens": 100,
    "stream": True,
    "tools": [TOOL],
    "tool_choice": {"type": "any"},
    "thinking": {"type": "enabled", "budget_tokens": 20_000},
    "output_config": {"effort": "low", "format": FORM},
    "output_format": FORM,
    "stop_sequences": ["END"],
    "temperature": 0.7,
    "top_p": 0.9,
    "top_k": 10,
    "thread": {"type": "create"},
    "cache_control": {"type": "ephemeral"},
    "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
    "mcp_servers": [{"type": "url", "name": "s", "url": "https://a.example"}],
    "container": "container_1",
    "compaction": {"type": "auto"},
    "fallbacks": [{"model": "opus"}],
    "fallback_credit_token": "x",
    "billing_policy": {"type": "x"},
    "diagnostics": {"previous_message_id": "msg_1"},
    "inference_geo": "us",
    "speed": "fast",
    "metadata": {"user_id": "ada"},
    "service_tier": "priority",
}
PERSONALITIES: list[Personality] = ["chat", "agent"]
SILENT = {"stream", "thread"}
"""Parameters that decide how an answer is sent, or what is kept."""
ANTHROPICS = """
    max_tokens messages model cache_control container diagnostics inference_geo metadata output_config service_tier
    speed stop_sequences system thinking tool_choice tools stream temperature top_p top_k billing_policy compaction
    context_management fallback_credit_token fallbacks mcp_servers thread output_format
"""
"""The parameters of the ``anthropic`` package 2.14 and of its betas, and those of its earlier versions."""


def support(parameter: Parameter, personality: Personality) -> Support:
    return parameter.chat if personality == "chat" else parameter.agent


def pairs(wanted: Support) -> list[tuple[str, Personality]]:
    every = [(parameter, personality) for personality in PERSONALITIES for parameter in PARAMETERS]
    return [
        (parameter.name, personality) for parameter, personality in every if support(parameter, personality) == wanted
    ]


def without(name: str, personality: Personality) -> dict[str, Any]:
    """Return the body that a parameter is added to."""
    needed = {"tools": TYPICAL["tools"]} if name == "tool_choice" else {}
    return {"model": f"sonnet:{personality}", **needed}


def having(name: str, personality: Personality) -> dict[str, Any]:
    """Return the body with a parameter."""
    value = f"opus:{personality}" if name == "model" else TYPICAL[name]
    return {**without(name, personality), name: value}


def test_each_parameter_of_anthropics_has_a_row() -> None:
    assert set(ANTHROPICS.split()) == KNOWN


def test_the_table_has_the_fields_of_the_request_and_a_typical_value_of_each_is_tried() -> None:
    assert {field.name for field in msgspec.structs.fields(MessagesRequest)} == KNOWN == set(TYPICAL)
    assert len(PARAMETERS) == len(KNOWN)


@pytest.mark.parametrize(("name", "personality"), pairs("supported"))
def test_what_is_supported_changes_what_is_asked_and_is_not_named(name: str, personality: Personality) -> None:
    before, after = without(name, personality), having(name, personality)

    found = asked(None, Stored(), **after)
    assert found.ignored == ()
    assert found.run != asked(**before).run or name in SILENT


@pytest.mark.parametrize(("name", "personality"), pairs("ignored"))
def test_what_is_ignored_is_named_and_has_no_effect(name: str, personality: Personality) -> None:
    before, after = asked(**without(name, personality)), asked(**having(name, personality))

    assert after.ignored == (name,)
    assert after.run == before.run


@pytest.mark.parametrize(("name", "personality"), pairs("ignored"))
def test_a_strict_relay_refuses_what_it_would_ignore(name: str, personality: Personality) -> None:
    assert refusal(Settings(strict=True), **having(name, personality)).code == "unsupported_parameter"


@pytest.mark.parametrize(
    ("name", "value"), [(parameter.name, value) for parameter in PARAMETERS for value in parameter.no_op_values]
)
def test_a_value_that_asks_for_nothing_is_not_named(name: str, value: object) -> None:
    given = asked(Settings(strict=True, personality="chat"), **{name: value})

    assert (given.run, given.ignored) == (asked().run, ())


@pytest.mark.parametrize("name", sorted(KNOWN - {"messages"}))
def test_null_is_a_parameter_that_was_not_given(name: str) -> None:
    assert asked(Settings(strict=True, personality="chat"), **{name: None}) == asked()


def test_a_field_that_nobody_knows_is_named() -> None:
    assert asked(user_profile_id="x", betas=["y"]).ignored == ("betas", "user_profile_id")


def test_thinking_changes_what_is_shown() -> None:
    assert shown_thinking(request(thinking=TYPICAL["thinking"]).thinking, reasoning=True).blocks
