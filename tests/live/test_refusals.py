"""What the upstream refuses is left out until it is taken, named, remembered, and not said again."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests import upstream as fake
from tests.live.relay import Relay
from tests.upstream import FakeUpstream, Message, Reply, ToolUse, text

NUMBERS = itertools.count(11)
"""For models that no other test has asked: a relay remembers what a model has refused."""
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CLOSED = {**CITY, "additionalProperties": False}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
CALLED = {"id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
LOOP = [
    {"role": "user", "content": "Weather?"},
    {"role": "assistant", "content": None, "tool_calls": [CALLED]},
    {"role": "tool", "tool_call_id": "toolu_1", "content": "rain"},
]
REASON = "is not supported for this model."
FINE = text("fine")


@pytest.fixture
def newest() -> str:
    """A model that takes neither sampling options nor forced calls, and thinks as it likes."""
    return f"claude-sonnet-5-{next(NUMBERS)}"


@pytest.fixture
def script(upstream: FakeUpstream) -> Callable[[Callable[[dict[str, Any]], str | None]], None]:
    """Lets the upstream refuse a body for the reason that a function returns."""

    def refuse(reason_of: Callable[[dict[str, Any]], str | None], reply: Reply = FINE) -> None:
        def answer(body: dict[str, Any]) -> Reply:
            reason = reason_of(body)
            return reply if reason is None else fake.bad_request(reason)

        upstream.default = answer

    return refuse


def _ignored(running: Relay, **fields: Any) -> str | None:
    """Ask, and return what had no effect."""
    response = running.post(**{"messages": [{"role": "user", "content": "hi"}], **fields})
    assert response.status_code == 200, response.text
    ignored: str | None = response.headers.get("x-claude-relay-ignored")
    return ignored and ", ".join(sorted(ignored.split(", ")))


def _sent(upstream: FakeUpstream, index: int) -> dict[str, Any]:
    body = upstream.messages_requests[index].body
    assert body is not None
    return body


def _last(upstream: FakeUpstream) -> dict[str, Any]:
    return _sent(upstream, -1)


def _strict(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": schema, "strict": True}}


@pytest.mark.parametrize("kind", ["chat", "verbatim"])
@pytest.mark.parametrize(
    ("fields", "ignored"),
    [
        ({"temperature": 0.7, "top_p": 0.5}, "temperature, top_p"),
        ({"top_k": 5}, "top_k"),
        ({"temperature": 0, "top_k": 3, "stream": True}, "temperature, top_k"),
        ({"tools": [WEATHER], "tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "weather"}}}, "tool_choice"),
        ({"functions": [WEATHER["function"]], "function_call": {"name": "weather"}}, "tool_choice"),
    ],
    ids=["temperature and top_p", "top_k", "temperature and top_k", "any tool", "a tool", "a function"],
)
def test_what_a_model_refuses_is_left_out_until_it_is_taken_and_not_said_again(
    request: pytest.FixtureRequest,
    upstream: FakeUpstream,
    newest: str,
    kind: str,
    fields: dict[str, Any],
    ignored: str,
) -> None:
    running: Relay = request.getfixturevalue(kind)
    # the newest models that are known by name need not refuse it first
    assert _ignored(running, model="claude-opus-5-5", **fields) == ignored
    assert (len(upstream.messages_requests), upstream.refusals) == (1, [])

    assert _ignored(running, model=newest, **fields) == ignored
    assert upstream.refusals

    upstream.clear()
    assert _ignored(running, model=newest, **fields) == ignored
    assert (len(upstream.messages_requests), upstream.refusals) == (1, [])
    assert not {"temperature", "top_p", "top_k"} & _last(upstream).keys()
    assert _last(upstream).get("tool_choice", {"type": "auto"})["type"] == "auto"
    assert len(_last(upstream)["tools"]) == len(fields.keys() & {"tools", "functions"})


@pytest.mark.parametrize("model", ["claude-opus-4-6", "unheard-of"])
def test_a_model_that_takes_one_of_two_gets_one_of_two(
    chat: Relay, upstream: FakeUpstream, script: Any, model: str
) -> None:
    def has_both(body: dict[str, Any]) -> str | None:
        return "`temperature` and `top_p` cannot both be specified" if {"temperature", "top_p"} <= body.keys() else None

    script(has_both)
    for _ in range(2):
        upstream.clear()
        assert _ignored(chat, model=model, temperature=0.7, top_p=0.5) == "top_p"
    assert (len(upstream.messages_requests), _last(upstream)["temperature"]) == (1, 0.7)

    upstream.clear()
    assert _ignored(chat, model=model, temperature=0.2) is None
    assert (len(upstream.messages_requests), upstream.refusals) == (1, [])


def test_the_clis_own_temperature_stands_beside_a_top_p(chat: Relay, upstream: FakeUpstream) -> None:
    model = f"claude-opus-4-6-200002{next(NUMBERS)}"
    assert _ignored(chat, model=model, top_p=0.5) == "top_p"
    assert (_last(upstream)["temperature"], "top_p" in _last(upstream)) == (1, False)


def test_a_value_that_asks_for_nothing_is_left_out_without_a_word(
    chat: Relay, upstream: FakeUpstream, newest: str
) -> None:
    assert _ignored(chat, model=newest, temperature=1, top_p=1) is None
    assert upstream.refusals
    upstream.clear()
    assert _ignored(chat, model=newest, temperature=1, top_p=1) is None
    assert (len(upstream.messages_requests), upstream.refusals) == (1, [])


def test_another_model_is_asked_all_the_same(chat: Relay, upstream: FakeUpstream, newest: str) -> None:
    assert _ignored(chat, model=newest, temperature=0.3) == "temperature"
    upstream.clear()
    assert _ignored(chat, model="claude-sonnet-4-6", temperature=0.3) is None
    assert _last(upstream)["temperature"] == 0.3


@pytest.mark.parametrize("effort", ["max", "xhigh", "low"])
@pytest.mark.parametrize("kind", ["chat", "agent"])
def test_an_effort_that_a_model_refuses_is_left_out_and_others_are_not(
    request: pytest.FixtureRequest, upstream: FakeUpstream, script: Any, newest: str, kind: str, effort: str
) -> None:
    running: Relay = request.getfixturevalue(kind)
    script(lambda body: f"effort '{effort}' {REASON}" if body["output_config"].get("effort") == effort else None)
    assert _ignored(running, model=newest, reasoning_effort=effort) == "reasoning_effort"

    upstream.clear()
    assert _ignored(running, model=newest, reasoning_effort=effort) == "reasoning_effort"
    assert _ignored(running, model=newest, reasoning_effort="high") is None
    assert len(upstream.messages_requests) == 2
    assert _last(upstream)["output_config"]["effort"] == "high"


@pytest.mark.parametrize(
    "reason",
    [
        "Too many strict tools (2). The maximum number of strict tools supported is 1.",
        "tools.0.custom: For 'string' type, property 'format' is not supported",
        "The compiled grammar is too large.",
    ],
)
def test_strict_tools_that_the_upstream_refuses_are_offered_without_it(
    chat: Relay, upstream: FakeUpstream, script: Any, newest: str, reason: str
) -> None:
    script(lambda body: reason if any(tool.get("strict") for tool in body["tools"]) else None)
    tools = [_strict("weather", CLOSED), _strict("time", CLOSED)]
    assert _ignored(chat, model=newest, tools=tools) == "tools.function.strict"

    upstream.clear()
    assert _ignored(chat, model=newest, tools=tools) == "tools.function.strict"
    assert len(upstream.messages_requests) == 1
    assert [tool["input_schema"] for tool in _last(upstream)["tools"]] == [CLOSED, CLOSED]

    # other schemas may be taken
    script(lambda _: None)
    assert _ignored(chat, model=newest, tools=tools[:1]) is None
    assert _last(upstream)["tools"][0]["strict"] is True


@pytest.mark.parametrize(
    ("schema", "ignored"),
    [
        (CITY, None),
        ({**CITY, "properties": {"city": {"type": "string", "minLength": 3, "pattern": "^[A-Z]"}}}, None),
        ({**CITY, "properties": {"city": {"type": "integer", "minimum": 1}, "more": {**CITY}}}, None),
        ({**CITY, "additionalProperties": {"type": "string"}}, "tools.function.strict"),
        ({**CITY, "properties": {"city": {"type": "array", "prefixItems": [CITY]}}}, "tools.function.strict"),
        ({"type": "object", "properties": {}}, "tools.function.strict"),
    ],
)
def test_strict_tools_get_a_copy_of_their_schema_that_the_upstream_takes(
    chat: Relay, upstream: FakeUpstream, newest: str, schema: dict[str, Any], ignored: str | None
) -> None:
    assert _ignored(chat, model=newest, tools=[_strict("weather", schema)]) == ignored
    assert (len(upstream.messages_requests), upstream.refusals) == (1, [])
    (tool,) = _last(upstream)["tools"]
    assert tool.get("strict") == (None if ignored else True)
    assert not ignored or tool["input_schema"] == schema


def test_more_tools_than_the_upstream_holds_the_model_to_are_offered_all_the_same(
    chat: Relay, upstream: FakeUpstream, newest: str
) -> None:
    tools = [_strict(f"tool_{number}", CLOSED) for number in range(23)]
    assert _ignored(chat, model=newest, tools=tools) == "tools.function.strict"
    assert (len(upstream.messages_requests), upstream.refusals) == (1, [])
    assert [tool.get("strict") for tool in _last(upstream)["tools"]] == [True] * 20 + [None] * 3


@pytest.mark.parametrize(
    "reason",
    [
        "output_config.format.schema: Schema is too complex.",
        "structured outputs are not available",
        "Too many optionals",
    ],
)
def test_a_schema_that_the_upstream_refuses_is_asked_for_by_another_way_from_then_on(
    chat: Relay, upstream: FakeUpstream, script: Any, newest: str, reason: str
) -> None:
    def answer_form(schema: dict[str, Any]) -> dict[str, Any]:
        return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}

    by_tool = Message(blocks=(ToolUse("toolu_1", "StructuredOutput", {"city": "Oslo"}),))
    script(lambda body: reason if "format" in body["output_config"] else None, by_tool)
    assert _ignored(chat, model=newest, response_format=answer_form(CLOSED)) is None

    upstream.clear()
    assert _ignored(chat, model=newest, response_format=answer_form(CLOSED)) is None
    assert "format" not in _sent(upstream, 0)["output_config"]

    # another schema may be taken
    script(lambda _: None, text('{"town":"Oslo"}'))
    upstream.clear()
    town = {"type": "object", "properties": {"town": {"type": "string"}}, "additionalProperties": False}
    assert _ignored(chat, model=newest, response_format=answer_form(town)) is None
    assert [json.dumps(_last(upstream)["output_config"]["format"]).count("town"), len(upstream.messages_requests)] == [
        1,
        1,
    ]


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-sonnet-4-20250514", "claude-opus-4-5"])
@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 50},
        {"max_completion_tokens": 1024},
        {"messages": LOOP, "tools": [WEATHER]},
        {"messages": [*LOOP, {"role": "user", "content": "And tomorrow?"}], "tools": [WEATHER]},
    ],
    ids=["50 tokens", "1024 tokens", "a tool loop", "words beside results"],
)
@pytest.mark.parametrize("kind", ["chat", "verbatim"])
def test_a_model_with_a_thinking_budget_does_not_think_where_it_cannot(
    request: pytest.FixtureRequest, upstream: FakeUpstream, kind: str, model: str, fields: dict[str, Any]
) -> None:
    running: Relay = request.getfixturevalue(kind)
    assert _ignored(running, model=model, **fields) is None
    assert _ignored(running, model=model, reasoning_effort="high", **fields) == "reasoning_effort"
    assert (len(upstream.messages_requests), upstream.refusals) == (2, [])
    assert all("thinking" not in (sent.body or {}) for sent in upstream.messages_requests)

    # only such requests
    assert _ignored(running, model=model, max_tokens=4000) is None
    assert _last(upstream)["thinking"]["type"] == "enabled"


def test_an_agent_with_a_thinking_budget_goes_on_with_the_clients_tools(agent: Relay, upstream: FakeUpstream) -> None:
    assert _ignored(agent, model="claude-haiku-4-5:agent", messages=LOOP, tools=[WEATHER]) is None
    assert (len(upstream.messages_requests), upstream.refusals) == (1, [])


@pytest.mark.parametrize(
    "reason",
    [
        "`max_tokens` must be greater than `thinking.budget_tokens`.",
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
    ],
)
def test_a_thinking_budget_that_nobody_knew_of_is_learned(
    chat: Relay, upstream: FakeUpstream, script: Any, newest: str, reason: str
) -> None:
    def is_short(body: dict[str, Any]) -> bool:
        return "thinking" in body and body["max_tokens"] <= 1024

    script(lambda body: reason if is_short(body) else None)
    assert _ignored(chat, model=newest, max_tokens=50) is None
    upstream.clear()
    assert _ignored(chat, model=newest, max_tokens=60) is None
    assert _ignored(chat, model=newest, max_tokens=2000) is None
    assert [("thinking" in (sent.body or {})) for sent in upstream.messages_requests] == [False, True]


def test_what_is_refused_for_another_reason_is_an_error_and_nothing_is_learned(
    chat: Relay, upstream: FakeUpstream, script: Any, newest: str
) -> None:
    script(lambda _: "temperature and everything else is out of order")
    response = chat.chat("hi", model=newest, temperature=0.5)
    assert response.status_code == 400
    assert "temperature" in response.json()["error"]["message"]

    upstream.clear()
    script(lambda _: None)
    assert _ignored(chat, model="claude-sonnet-4-6", temperature=0.5) is None
    upstream.strict = False
    assert _ignored(chat, model=newest, temperature=0.5) is None
    assert _last(upstream)["temperature"] == 0.5


def test_an_answer_that_a_model_does_not_begin_with_what_it_is_given_is_asked_for(
    verbatim: Relay, upstream: FakeUpstream, script: Any
) -> None:
    def begins_itself(body: dict[str, Any]) -> str | None:
        return "This model does not support assistant message prefill." if ends_with_assistant(body) else None

    def ends_with_assistant(body: dict[str, Any]) -> bool:
        return bool(body["messages"][-1]["role"] == "assistant")

    script(begins_itself)
    begun = [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "One,"}]
    # the name is that of a model that takes it
    model = "claude-opus-4-5-20990101"
    assert _ignored(verbatim, model=model, reasoning_effort="none", messages=begun) is None
    first, *_, last = [ends_with_assistant(request.body or {}) for request in upstream.messages_requests]
    assert (first, last) == (True, False)

    upstream.clear()
    assert _ignored(verbatim, model=model, reasoning_effort="none", messages=begun) is None
    assert [ends_with_assistant(request.body or {}) for request in upstream.messages_requests] == [False]
