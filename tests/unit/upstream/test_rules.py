"""The strict upstream's rules: what they refuse, in which words, and what they must not refuse."""

import base64
import json
from typing import Any

import pytest

from tests.upstream.rules import RULES, json_refusal, refusal

pytestmark = pytest.mark.slow

Json = dict[str, Any]

ASK: Json = {"role": "user", "content": "Weather?"}
ID = r"String should match pattern '^[a-zA-Z0-9_-]+$'"
TOO_MANY = (
    "Too many strict tools (21). The maximum number of strict tools supported is 20. Try reducing the number of tools "
    "marked as strict."
)
NOT_OPEN = (
    "For 'object' type, 'additionalProperties: true' is not supported. Please set 'additionalProperties' to false"
)
MISLABELLED = (
    "{}.image.source.base64: The image was specified using the image/png media type, but the image appears to be a "
    "image/jpeg image"
)
BUDGET: Json = {"type": "enabled", "budget_tokens": 2048}
ADAPTIVE: Json = {"type": "adaptive"}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(80)).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(80)).decode()
CLOSED: Json = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}


def body(*messages: Json, **fields: Any) -> Json:
    return {"model": "claude-haiku-4-5", "max_tokens": 4096, "messages": list(messages) or [ASK], **fields}


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def call(name: str) -> Json:
    return {"type": "tool_use", "id": name, "name": "get_weather", "input": {}}


def result(name: str, content: Any = "sunny") -> Json:
    return {"type": "tool_result", "tool_use_id": name, "content": content}


def assistant(*content: Json) -> Json:
    return {"role": "assistant", "content": list(content)}


def user(*content: Json) -> Json:
    return {"role": "user", "content": list(content)}


def system(words: str = "Be brief.") -> Json:
    return {"role": "system", "content": words}


def image(data: str, label: str = "image/png") -> Json:
    return {"type": "image", "source": {"type": "base64", "media_type": label, "data": data}}


def tool(name: str = "get_weather", schema: Json | None = None, **fields: Any) -> Json:
    return {"name": name, "input_schema": schema or CLOSED, **fields}


def tools(*offered: Json, **fields: Any) -> Json:
    return body(tools=list(offered), **fields)


def formatted(schema: Json) -> Json:
    return body(output_config={"format": {"type": "json_schema", "schema": schema}})


def closed(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "additionalProperties": False}


ROUND = (ASK, assistant(call("a"), call("b")), user(result("a"), result("b")))
"""A question, two calls, and their results."""


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (body({"role": "tool", "content": "x"}), "messages.0.role: Input should be 'user' or 'assistant'"),
        (body(ASK, system()), "role 'system' is not supported on this model"),
        (body(ASK, assistant(text("ok")), system(), model="claude-opus-5-5"), "messages.2: role 'system' must follow"),
        (body(system(), ASK, model="claude-opus-4-8"), "messages.0: role 'system' must follow a 'user' message"),
        (
            body(ASK, system(), system(), ASK, model="claude-sonnet-5"),
            "messages.2: role 'system' must precede an 'assistant' message or end the array",
        ),
    ],
)
def test_roles_stand_where_the_model_takes_them(given: Json, reason: str) -> None:
    assert (refusal(given) or "").startswith(reason)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (body(user(text(""))), "messages: text content blocks must be non-empty"),
        (body(user(text(" \n"))), "messages: text content blocks must contain non-whitespace text"),
        (body({"role": "user", "content": " "}), "messages: text content blocks must contain non-whitespace text"),
        (body(system=[{"type": "text", "text": ""}]), "system: text content blocks must be non-empty"),
        (
            body(ASK, assistant(), ASK),
            "messages.1: all messages must have non-empty content except for the optional final assistant message",
        ),
    ],
)
def test_nothing_is_empty(given: Json, reason: str) -> None:
    assert refusal(given) == reason


@pytest.mark.parametrize("name", ["", "functions.get_weather:0", "call_1|fc_2", "é", "a b", "a\n"])
def test_ids_of_calls_and_results_are_words(name: str) -> None:
    called = body(ASK, assistant(text("I look."), call(name)), user(result(name)))
    answered = body(ASK, assistant(call("a")), user(result(name)))
    assert refusal(called) == f"messages.1.content.1.tool_use.id: {ID}"
    assert refusal(answered) == f"messages.2.content.0.tool_result.tool_use_id: {ID}"


def test_an_id_is_given_to_one_call() -> None:
    again = [assistant(call("call_0")), user(result("call_0"))]
    assert refusal(body(ASK, *again, *again)) == "messages.3.content.0: `tool_use` ids must be unique"
    assert refusal(body(ASK, assistant(call("a"), call("a")))) == "messages.1.content.1: `tool_use` ids must be unique"


def test_a_result_follows_its_call() -> None:
    reason = (
        "messages.{}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: a. Each `tool_result` block "
        "must have a corresponding `tool_use` block in the previous message."
    )
    assert refusal(body(user(result("a")))) == reason.format(0)
    late = body(ASK, assistant(call("a")), user(result("a")), assistant(text("Sunny.")), user(result("a")))
    assert refusal(late) == reason.format(4)


def test_a_call_has_its_result_in_the_next_message() -> None:
    reason = (
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` "
        "block must have a corresponding `tool_result` block in the next message."
    )
    assert refusal(body(ASK, assistant(call("a"), call("b")), ASK)) == reason.format("a, b")
    assert refusal(body(ASK, assistant(call("a"), call("b")), user(result("a")))) == reason.format("b")
    assert refusal(body(ASK, assistant(call("a")))) is not None


def test_messages_of_one_role_are_one() -> None:
    assert refusal(body(ASK, assistant(call("a")), assistant(call("b")), user(result("a")), user(result("b")))) is None


@pytest.mark.parametrize(
    ("offered", "reason"),
    [
        ([tool("weird.name/x")], "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"),
        ([tool(), tool("a" * 129)], "tools.1.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"),
        *(
            (
                [tool(schema={"type": "object", "properties": {key: {}}})],
                "tools.0.custom.input_schema.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'",
            )
            for key in ("$filter", "a b", "", "k" * 65)
        ),
        (
            [tool(f"t{number}", strict=True) for number in range(21)],
            TOO_MANY,
        ),
    ],
)
def test_tools_are_named_and_counted(offered: list[Json], reason: str) -> None:
    assert refusal(tools(*offered)) == reason


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "integer", "minimum": 0}, "For 'integer' type, property 'minimum' is not supported"),
        (
            {"type": "number", "minimum": 0, "maximum": 1},
            "For 'number' type, properties maximum, minimum are not supported",
        ),
        ({"type": ["number", "null"], "multipleOf": 5}, "For 'number' type, property 'multipleOf' is not supported"),
        ({"exclusiveMinimum": 5}, "For 'number' type, property 'exclusiveMinimum' is not supported"),
        ({"type": "string", "maxLength": 5}, "For 'string' type, property 'maxLength' is not supported"),
        ({"type": "array", "maxItems": 5}, "For 'array' type, property 'maxItems' is not supported"),
        (
            {"type": "array", "minItems": 2},
            "For 'array' type, 'minItems' values other than 0 or 1 are not supported",
        ),
        ({"type": "object"}, "For 'object' type, 'additionalProperties' must be explicitly set to false"),
        ({"properties": {}}, "For 'object' type, 'additionalProperties' must be explicitly set to false"),
        (
            {"type": "object", "additionalProperties": True},
            NOT_OPEN,
        ),
    ],
)
@pytest.mark.parametrize(
    "around",
    [
        lambda inner: inner,
        lambda inner: closed(x=inner),
        lambda inner: {"type": "array", "items": inner},
        lambda inner: {"type": "array", "prefixItems": [{"type": "string"}, inner]},
        lambda inner: {"anyOf": [{"type": "null"}, closed(y=inner)]},
        lambda inner: {"$ref": "#/$defs/inner", "$defs": {"inner": inner}},
    ],
    ids=["itself", "property", "item", "tuple", "union", "definition"],
)
def test_what_answers_are_held_to_is_closed_and_simple(around: Any, schema: Json, reason: str) -> None:
    whole = around(schema)
    assert refusal(formatted(whole)) == f"output_config.format.schema: {reason}"
    assert refusal(tools(tool(), tool("t", whole, strict=True))) == f"tools.1.custom: {reason}"
    assert refusal(tools(tool("t", whole))) is None


def test_the_data_of_a_schema_is_no_schema() -> None:
    data = {"type": "object", "minimum": 3}
    assert (
        refusal(formatted(closed(x={"const": data}, y={"enum": [data]}, z={"default": data, "examples": [data]})))
        is None
    )
    assert refusal(formatted(closed(minimum={"type": "integer"}, maxLength={"type": "string"}))) is None
    assert refusal(formatted(closed(x={"type": "array", "minItems": 1}, y={"type": "string", "pattern": "a+"}))) is None


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (
            image(JPEG, "image/png"),
            MISLABELLED,
        ),
        (
            image(PNG, "image/jpg"),
            "{}.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
        ),
        (image(base64.b64encode(b"no image at all").decode()), "Could not process image"),
        (image("?"), "Could not process image"),
    ],
)
def test_images_are_what_their_labels_say(shown: Json, reason: str) -> None:
    assert refusal(body(user(text("Look."), shown))) == reason.format("messages.0.content.1")
    looped = body(ASK, assistant(call("a")), user(result("a", [text("Here."), shown])))
    assert refusal(looped) == reason.format("messages.2.content.0.tool_result.content.1")


@pytest.mark.parametrize(
    ("data", "label"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xdb", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
    ],
)
def test_each_kind_of_image_is_known(data: bytes, label: str) -> None:
    assert refusal(body(user(image(base64.b64encode(data + bytes(90)).decode(), label)))) is None


@pytest.mark.parametrize("thinking", [BUDGET, ADAPTIVE])
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"tool_choice": {"type": "any"}}, "Thinking may not be enabled when tool_choice forces tool use."),
        ({"tool_choice": {"type": "tool", "name": "x"}}, "Thinking may not be enabled when tool_choice forces"),
        ({"temperature": 0.5}, "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode."),
        ({"top_p": 0.5}, "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled"),
        ({"top_k": 5}, "`top_k` must be unset when thinking is enabled or in adaptive mode."),
    ],
)
def test_what_cannot_be_had_beside_thinking(thinking: Json, fields: Json, reason: str) -> None:
    assert (refusal(body(thinking=thinking, **fields)) or "").startswith(reason)
    assert refusal(body(**fields)) is None
    assert refusal(body(thinking={"type": "disabled"}, **fields)) is None


@pytest.mark.parametrize("most", [2048, 77])
def test_more_tokens_than_the_budget_are_asked_for(most: int) -> None:
    reason = refusal(body(thinking=BUDGET, max_tokens=most)) or ""
    assert reason.startswith("`max_tokens` must be greater than `thinking.budget_tokens`.")
    assert refusal(body(thinking=BUDGET, max_tokens=2049)) is None


def test_a_budget_is_not_tiny() -> None:
    assert refusal(body(thinking={"type": "enabled", "budget_tokens": 76}, max_tokens=77)) == (
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
    )


@pytest.mark.parametrize(
    "loop",
    [
        ROUND,
        (*ROUND, assistant(call("c")), user(result("c"), text("Hurry."))),
        (ASK, assistant(text("I look."), call("a")), user(result("a"))),
        (*ROUND, assistant({"type": "thinking", "thinking": "hm"}, call("c")), user(result("c"))),
    ],
)
def test_with_a_budget_a_tool_loop_begins_with_thinking(loop: tuple[Json, ...]) -> None:
    kind = loop[1]["content"][0]["type"]
    reason = refusal(body(*loop, thinking=BUDGET)) or ""
    assert reason.startswith(
        f"messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{kind}`. When `thinking` is"
    )
    assert refusal(body(*loop, thinking=ADAPTIVE)) is None
    assert refusal(body(*loop)) is None


@pytest.mark.parametrize(
    "thought", [{"type": "thinking", "thinking": "hm"}, {"type": "redacted_thinking", "data": "x"}]
)
def test_a_loop_that_began_with_thinking_goes_on(thought: Json) -> None:
    begun = (ASK, assistant(thought, call("a")), user(result("a")))
    assert refusal(body(*begun, thinking=BUDGET)) is None
    assert refusal(body(*begun, assistant(call("b")), user(result("b")), thinking=BUDGET)) is None
    assert refusal(body(*ROUND, assistant(text("Sunny.")), ASK, thinking=BUDGET)) is None


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus-4-7",
        "claude-opus-4-8[1m]",
        "claude-opus-5-5",
        "claude-sonnet-5",
        "claude-haiku-5-5",
        "claude-fable-5-1",
        "claude-mythos-1",
    ],
)
def test_new_models_take_no_sampling(model: str) -> None:
    for name, value in (("temperature", 0), ("top_p", 1), ("top_k", 5)):
        assert refusal(body(model=model, **{name: value})) == f"`{name}` is deprecated for this model."
    assert refusal(body(model=model, temperature=1)) is None
    assert refusal(body(model=model, top_p=0.99)) is None
    assert "cannot both be specified" in (refusal(body(model=model, temperature=1, top_p=0.99)) or "")


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-1"])
@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_newest_models_choose_by_themselves_whether_to_call(model: str, choice: Json) -> None:
    reason = 'tool_choice: type "tool" and "any" are not supported for this model'
    assert refusal(tools(tool(), model=model, tool_choice=choice)) == reason
    assert refusal(tools(tool(), model=model, tool_choice={"type": "auto"})) is None
    assert refusal(tools(tool(), model="claude-haiku-5-5", tool_choice=choice)) is None


@pytest.mark.parametrize(
    ("model", "refused"),
    [
        ("claude-opus-4-6", set()),
        ("claude-opus-4-8", {"enabled"}),
        ("claude-haiku-5-5", {"enabled"}),
        ("claude-sonnet-5-5", {"enabled", "disabled"}),
        ("claude-fable-5", {"enabled", "disabled"}),
    ],
)
def test_each_model_has_its_kinds_of_thinking(model: str, refused: set[str]) -> None:
    for thinking in (BUDGET, ADAPTIVE, {"type": "disabled"}):
        kind = thinking["type"]
        reason = f'"thinking.type.{kind}" is not supported for this model. Use "thinking.type.adaptive" and '
        assert (refusal(body(model=model, thinking=thinking)) or "").startswith(reason) == (kind in refused)


@pytest.mark.parametrize(
    "model", ["claude-opus-4-1-20250805", "claude-sonnet-4-5", "claude-sonnet-4-6", "claude-haiku-4-5"]
)
def test_some_models_take_temperature_or_top_p(model: str) -> None:
    assert refusal(body(model=model, temperature=0.5, top_p=0.5)) == (
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
    )
    assert refusal(body(model=model, temperature=0.5, top_k=5)) is None
    assert refusal(body(model=model, top_p=0.5, top_k=5)) is None


@pytest.mark.parametrize("model", ["claude-3-5-sonnet-20241022", "claude-opus-4-20250514", "somebody-elses"])
def test_old_and_unknown_models_take_both(model: str) -> None:
    assert refusal(body(model=model, temperature=0.5, top_p=0.5)) is None


def test_the_beginning_of_an_answer_ends_with_a_word() -> None:
    begun = assistant(text("It is "))
    assert refusal(body(ASK, begun)) == "messages: final assistant content cannot end with trailing whitespace"
    assert refusal(body(ASK, begun, ASK)) is None
    assert refusal(body(ASK, assistant(text("It is")))) is None


@pytest.mark.parametrize(
    "model", ["claude-opus-4-6", "claude-sonnet-4-6", "claude-opus-5-5", "claude-haiku-5-5", "claude-fable-5"]
)
def test_new_models_begin_their_answers_themselves(model: str) -> None:
    assert refusal(body(ASK, assistant(text("It is")), model=model)) == (
        "This model does not support assistant message prefill. The conversation must end with a user message."
    )


@pytest.mark.parametrize(
    "given",
    [
        body(ASK, system(), assistant(text("ok")), ASK, system(), model="claude-opus-5-5", thinking=ADAPTIVE),
        body(ASK, {"role": "system", "content": []}, ASK, model="claude-haiku-5-5"),
        body(*ROUND, assistant(text("Sunny.")), ASK, thinking=BUDGET, tools=[tool()]),
        tools(
            *(tool(f"t{number}", strict=True) for number in range(20)), *(tool(f"u{number}") for number in range(50))
        ),
        tools(tool(schema=closed(outer={"type": "object", "properties": {"a b": {}}, "additionalProperties": False}))),
        tools({"type": "web_search_20250305", "name": "web search"}),
        body(user(text("Look."), {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}})),
        formatted(
            closed(name={"type": "string"}, kind={"enum": ["a", None]}, more={"anyOf": [{"type": "null"}, CLOSED]})
        ),
    ],
)
def test_what_is_right_is_taken(given: Json) -> None:
    assert [rule.__name__ for rule in RULES if rule(given) is not None] == []


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (r'{"a":"\ud83d"}', "no low surrogate in string: line 1 column 13 (char 12)"),
        (r'{"é":"\uD83Dx\ude00"}', "no low surrogate in string: line 1 column 13 (char 12)"),
        (r'{"a":"\ud83d\n"}', "no low surrogate in string: line 1 column 13 (char 12)"),
        (r'{"a":"\ud83d\u0041"}', "invalid low surrogate in string: line 1 column 13 (char 12)"),
        (r'{"a":"\ude00"}', "invalid high surrogate in string: line 1 column 7 (char 6)"),
        (r'{"a":"\ud83d\ude00\ude00"}', "invalid high surrogate in string: line 1 column 19 (char 18)"),
    ],
)
def test_half_a_character_is_no_json(written: str, reason: str) -> None:
    json.loads(written)  # the standard library takes it
    assert json_refusal(written.encode()) == f"The request body is not valid JSON: {reason}"


@pytest.mark.parametrize(
    "written", [r'{"a":"\ud83d\ude00"}', r'{"a":"\\ud83d"}', r'{"a":"\\\ud83d\uDE00"}', '{"a":"😀"}']
)
def test_whole_characters_are_json(written: str) -> None:
    assert json_refusal(written.encode()) is None
