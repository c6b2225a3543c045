"""Chat requests as clients send them, each another one: all that OpenAI's API takes, in all combinations, by a seed."""

import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

from tests import pictures
from tests.upstream import Message, Reply, ToolUse, text

Json = dict[str, Any]

MODELS = (
    *("haiku", "sonnet", "opus", "claude-3-7-sonnet-20250219", "claude-sonnet-4-20250514", "claude-opus-4-1-20250805"),
    *("claude-haiku-4-5", "claude-haiku-4-5-20251001", "claude-sonnet-4-5", "claude-opus-4-5", "claude-sonnet-4-6"),
    *("claude-opus-4-6", "claude-opus-4-7", "claude-opus-4-8", "claude-sonnet-5", "claude-opus-5", "claude-fable-5"),
    *("claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-2", "somebody-elses-model"),
)
TEXTS = (
    *(
        "Hello.",
        "",
        " \n",
        "/clear",
        "/help me",
        "@/etc/hostname",
        "!ls",
        "# remember",
        "na\u00efve \u65e5\u672c\u8a9e",
    ),
    *("\N{GRINNING FACE}", "cut \ud83d", "\ude00 cut", "a\0b", "<system-reminder>x</system-reminder>", '{"a": 1}'),
    *("\u202eright to left", "line\r\nline", "x" * 5_000, "```python\nprint(1)\n```", "\\ud83d", "Human: hi"),
)
CALL_IDS = ("call_0", "call_0", "functions.f:0", "call_1|fc_2", "", "toolu_01", "\u00fc", "a b", "x" * 200, "fc-1_A")
ARGUMENTS = (
    "{}",
    '{"city":"Oslo"}',
    '{"city":',
    "",
    "null",
    "[]",
    "[1]",
    "3",
    "words",
    '{"a":"\\ud83d"}',
    '{"n":1e400}',
)
TOOL_NAMES = (
    "f",
    "get-weather",
    "Bash",
    "Read",
    "StructuredOutput",
    "mcp__x__y",
    "_",
    "0",
    "x" * 128,
    "Task",
    "Artifact",
)
STOPS: tuple[str | list[str], ...] = ("END", ["a", "b"], ["\n\n"], " ", ["", "x"], ["</s>", "\t", "Observation:"], [])
CITY: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PARAMETERS: tuple[Json | None, ...] = (
    None,
    {},
    {"type": "object"},
    CITY,
    {"properties": {"a": {"type": "integer", "minimum": 1}}},
    {"$schema": "https://json-schema.org/draft/2020-12/schema", **CITY, "additionalProperties": False},
    {"type": "object", "properties": {"$filter": {"type": "string"}, "a b": {}, "\u00fc": CITY, "y" * 80: {}}},
    {"type": "object", "properties": {"a/b": CITY, "c": {"$ref": "#/properties/a~1b/properties/city"}}},
    {"type": "object", "properties": {"t": {"type": "array", "prefixItems": [CITY], "minItems": 2}}},
    {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}, "$defs": {"N": {"enum": [1, None, "a"]}}},
    {"type": "object", "additionalProperties": {"type": "number", "multipleOf": 0.5}},
    {"type": "object", "properties": {"s": {"type": "string", "pattern": "^(?=a)", "maxLength": 9, "x-y": 1}}},
    {
        "type": "object",
        "properties": {"o": {"oneOf": [CITY, {"type": "null"}], "discriminator": {"propertyName": "k"}}},
    },
    {"type": "object", "properties": {"a": {"type": ["string", "null"], "default": None}}, "required": ["a"]},
)
ANSWERS: tuple[tuple[Json, Any], ...] = (
    (CITY, {"city": "Oslo"}),
    ({**CITY, "additionalProperties": False, "$schema": "http://json-schema.org/draft-07/schema#"}, {"city": "Oslo"}),
    ({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}, {"n": 3}),
    ({"type": "object", "properties": {"l": {"type": "array", "items": CITY, "maxItems": 3}}}, {"l": [{"city": "a"}]}),
    ({"$ref": "#/$defs/A", "$defs": {"A": CITY}}, {"city": "Oslo"}),
    ({"type": "object", "properties": {"o": {"anyOf": [CITY, {"type": "null"}]}}, "required": ["o"]}, {"o": None}),
)
"""Schemas for which the upstream has a form of its own, each with an answer."""
ANSWERS_BY_TOOL: tuple[tuple[Json, Any], ...] = (
    ({"type": "object"}, {"anything": [1]}),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}),
    ({"type": "array", "prefixItems": [{"type": "string"}], "x-order": 1}, ["a"]),
    ({"type": "object", "properties": {"a b": {"type": "string"}}, "patternProperties": {"^x": {}}}, {"a b": "c"}),
)

_ANSWER = "StructuredOutput"
"""Claude Code's own tool that takes a structured answer."""


class Varied(NamedTuple):
    """One request.

    Attributes:
        tag: What its conversation has in it, so that the upstream knows it.
        body: The request.
        answer: The JSON that it asks for; None where it asks for words.
        binding: Requests that one process can answer, one after the other, have the same.
    """

    tag: str
    body: Json
    answer: Any
    binding: int

    @property
    def words(self) -> str:
        """What it is answered with, if no tool is called."""
        return f"Done {self.tag}." if self.answer is None else json.dumps(self.answer, separators=(",", ":"))


def requests(number: int, seed: int, personality: str = "chat", bindings: int = 1) -> list[Varied]:
    """Return requests.

    Args:
        number: How many.
        seed: Which.
        personality: What answers.
        bindings: In how many ways processes must be configured for them.
    """
    chosen = Random(seed)
    made = [_Configuration(chosen, personality) for _ in range(bindings)]
    return [made[n % bindings].request(f"[{personality}-{n}]", n % bindings) for n in range(number)]


def reply_of(varied: Varied, body: Json) -> Reply:
    """Return what a model that does as it is told answers to a request, by what the upstream is sent."""
    tools = {tool["name"]: tool["input_schema"] for tool in body.get("tools", [])}
    choice = body.get("tool_choice", {})
    call_id = f"toolu_{varied.tag.strip('[]')}"
    if choice.get("type") == "tool":
        return Message(blocks=(ToolUse(call_id, choice["name"], {}),))
    if varied.answer is not None and "format" not in body.get("output_config", {}) and _ANSWER in tools:
        is_wrapped = tools[_ANSWER].get("required") == ["value"]
        return Message(blocks=(ToolUse(call_id, _ANSWER, {"value": varied.answer} if is_wrapped else varied.answer),))
    if choice.get("type") == "any":
        return Message(blocks=(ToolUse(call_id, min(tools), {}),))
    return text(varied.words)


class _Configuration:
    """Makes requests that have their instructions, tools and form of answer in common."""

    def __init__(self, chosen: Random, personality: str) -> None:
        self._chosen = chosen
        self._personality = personality
        self._system = [] if self._maybe(0.4) else [_message(chosen, chosen.choice(("system", "developer")))]
        self._tools = self._offered() if self._maybe(0.6) else {}
        self._form = chosen.choice(ANSWERS_BY_TOOL) if self._maybe(0.2) else None
        self._names = [_name_of(tool) for tool in (*self._tools.get("tools", ()), *self._tools.get("functions", ()))]

    def request(self, tag: str, binding: int) -> Varied:
        """Return the next request."""
        chosen = self._chosen
        structured = self._form or (
            chosen.choice(ANSWERS) if self._personality == "chat" and self._maybe(0.2) else None
        )
        body = {
            "model": f"{chosen.choice(MODELS)}:{self._personality}",
            "messages": [*self._system, {"role": "user", "content": f"{tag} {chosen.choice(TEXTS)}"}, *self._more()],
            **self._tools,
            **self._choice(),
            **self._options(),
            **(self._format(structured[0]) if structured else {}),
        }
        return Varied(tag, body, structured and structured[1], binding)

    def _maybe(self, share: float) -> bool:
        return self._chosen.random() < share

    def _offered(self) -> Json:
        chosen = self._chosen
        names = chosen.sample(TOOL_NAMES, chosen.randint(1, 4))
        if self._maybe(0.1):
            names = [f"tool_{number}" for number in range(25)]
        functions = [self._function(name) for name in names]
        if self._maybe(0.2):
            return {"functions": [{key: item[key] for key in item if key != "strict"} for item in functions]}
        tools: list[Json] = [{"type": "function", "function": function} for function in functions]
        if self._maybe(0.2):
            grammar = {"type": "grammar", "grammar": {"syntax": "regex", "definition": ".*"}}
            tools.append(
                {"type": "custom", "custom": {"name": "patch", **({"format": grammar} if self._maybe(0.5) else {})}}
            )
        return {"tools": tools}

    def _function(self, name: str) -> Json:
        chosen = self._chosen
        parameters = chosen.choice(PARAMETERS)
        return {
            "name": name,
            **({"description": chosen.choice((None, "", "What it does.", "long " * 900))} if self._maybe(0.8) else {}),
            **({} if parameters is None else {"parameters": parameters}),
            **({"strict": chosen.choice((True, True, False, None))} if self._maybe(0.5) else {}),
        }

    def _choice(self) -> Json:
        chosen = self._chosen
        if not self._names or self._maybe(0.5):
            return {}
        name = chosen.choice(self._names)
        if "functions" in self._tools:
            return {"function_call": chosen.choice(("auto", "none", {"name": name}))}
        kind = "custom" if name == "patch" else "function"
        named = {"type": kind, kind: {"name": name}}
        allowed = {"mode": chosen.choice(("auto", "required")), "tools": [named]}
        # what is allowed is all that is offered: it would be another configuration
        several: Json = {"type": "allowed_tools", "allowed_tools": allowed}
        choices: list[Any] = ["auto", "none", "required", named, *([several] if len(self._names) == 1 else [])]
        parallel = {"parallel_tool_calls": chosen.choice((True, False, None))} if self._maybe(0.5) else {}
        return {"tool_choice": chosen.choice(choices), **parallel}

    def _format(self, schema: Json) -> Json:
        if schema == {"type": "object"} and self._maybe(0.5):
            return {"response_format": {"type": "json_object"}}
        described = {"name": "answer", "schema": schema, "strict": self._chosen.choice((True, False, None))}
        return {"response_format": {"type": "json_schema", "json_schema": described}}

    def _options(self) -> Json:
        chosen = self._chosen
        values: dict[str, Sequence[Any]] = {
            "temperature": (0, 0.2, 0.7, 1, 1.5, 2),
            "top_p": (0, 0.1, 0.9, 0.99, 1),
            "top_k": (1, 40),
            chosen.choice(("max_tokens", "max_completion_tokens")): (1, 16, 500, 1024, 1025, 4000, 30_000, 0),
            "reasoning_effort": ("none", "minimal", "low", "medium", "high", "xhigh", "max", None),
            "stop": STOPS,
            "seed": (7,),
            "presence_penalty": (0, 1.5),
            "logit_bias": ({"50256": -100}, {}),
            "logprobs": (False, True),
            "user": ("somebody",),
            "metadata": ({"a": "b"},),
            "store": (True, False),
            "service_tier": ("auto",),
            "verbosity": ("low",),
            "modalities": (["text"],),
            "an_unknown_field": (1,),
        }
        wanted = {name: chosen.choice(found) for name, found in values.items() if self._maybe(0.25)}
        if self._maybe(0.4):
            wanted |= {"stream": True, "stream_options": chosen.choice((None, {"include_usage": True}))}
        return wanted

    def _more(self) -> list[Json]:
        """Return a history, and the message that it ends with."""
        chosen = self._chosen
        rounds: list[Callable[[], Iterator[Json]]] = [self._said, self._said, self._called, self._pictured]
        if "functions" in self._tools:
            rounds = [self._said, self._called_function]
        past = [message for _ in range(chosen.choice((0, 0, 0, 1, 2, 3))) for message in chosen.choice(rounds)()]
        return [*past, *(self._last() if self._maybe(0.5) else [])]

    def _said(self) -> Iterator[Json]:
        chosen = self._chosen
        yield _message(chosen, "assistant")
        if self._maybe(0.2):
            yield _message(chosen, "system")
        yield _message(chosen, "user")

    def _called(self) -> Iterator[Json]:
        chosen = self._chosen
        ids = list(dict.fromkeys(chosen.sample(CALL_IDS, chosen.randint(1, 3))))
        calls = [{"id": call_id, "type": "function", "function": self._call()} for call_id in ids]
        yield {"role": "assistant", "content": chosen.choice((None, "", "Let me look.")), "tool_calls": calls}
        for call_id in chosen.sample(ids, len(ids)):
            yield {"role": "tool", "tool_call_id": call_id, "content": chosen.choice((*TEXTS, None, _parts(chosen)))}

    def _called_function(self) -> Iterator[Json]:
        call = self._call()
        yield {"role": "assistant", "content": None, "function_call": call}
        yield {"role": "function", "name": call["name"], "content": self._chosen.choice((*TEXTS, None))}

    def _call(self) -> Json:
        # also what is no longer offered
        names = [name for name in (*self._names, "gone") if name != "patch"]
        return {"name": self._chosen.choice(names), "arguments": self._chosen.choice(ARGUMENTS)}

    def _pictured(self) -> Iterator[Json]:
        yield {"role": "user", "content": _parts(self._chosen)}

    def _last(self) -> Iterator[Json]:
        yield _message(self._chosen, self._chosen.choice(("user", "user", "assistant", "system", "developer")))


def _name_of(tool: Json) -> str:
    found: str = (tool.get("function") or tool.get("custom") or tool)["name"]
    return found


def _message(chosen: Random, role: str) -> Json:
    content = chosen.choice((*TEXTS, None))
    named = {"name": chosen.choice(("Ada", "Bob"))} if chosen.random() < 0.2 else {}
    as_parts = content is not None and chosen.random() < 0.2
    return {"role": role, "content": [{"type": "text", "text": content}] * 2 if as_parts else content, **named}


def _parts(chosen: Random) -> list[Json]:
    """Return a text and a picture whose label may be a wrong one."""
    data = chosen.choice((pictures.png(), pictures.gif(), pictures.jpeg(), pictures.webp()))
    label = chosen.choice(("image/png", "image/jpg", "application/octet-stream", "image/gif", ""))
    url = {"url": pictures.data_url(data, label), **({"detail": "low"} if chosen.random() < 0.5 else {})}
    return [{"type": "text", "text": chosen.choice(TEXTS)}, {"type": "image_url", "image_url": url}]
