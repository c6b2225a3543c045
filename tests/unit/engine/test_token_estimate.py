"""How near estimates of tokens are, and what they take into account."""

import base64
from typing import Any

import pytest
from msgspec.structs import replace

from claude_relay.engine import token_estimate
from claude_relay.engine.token_estimate import prompt_tokens, text_tokens
from claude_relay.engine.vocabulary import (
    AgentToolUse,
    Base64,
    Document,
    Image,
    JsonOutput,
    Link,
    RedactedThinking,
    RunRequest,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from claude_relay.errors import InvalidRequestError

ENGLISH = (
    "This morning we talked about the plan for releasing the new version. Everybody agreed that all tests have to pass "
    "before anything is merged, and that the documentation has to be brought up to date."
)
CODE = (
    "def total(values: list[int]) -> int:\n    result = 0\n"
    "    for value in values:\n        result += value\n    return result\n"
)
JSON = '{"type":"function","name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}'
GERMAN = "Heute Morgen haben wir den Plan für die Veröffentlichung der neuen Version besprochen."
CHINESE = "今天早上我们讨论了新版本的发布计划。大家一致认为,在合并之前必须先通过所有测试,并且要更新用户文档。"
NUMBERS = "17611 74606 8271 33432 15455 64937 99740 58915 61898 85406"


def asked(*content: Any, **fields: Any) -> RunRequest:
    return RunRequest("sonnet", "chat", fields.pop("system", None), (Turn("user", content),), **fields)


def png(width: int, height: int) -> Image:
    head = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" + width.to_bytes(4) + height.to_bytes(4)
    return Image(Base64("image/png", base64.b64encode(head + bytes(16)).decode()))


@pytest.mark.parametrize(
    ("text", "counted"),
    [(ENGLISH, 38), (CODE, 30), (JSON, 26), (GERMAN, 22), (CHINESE, 44), (NUMBERS, 22)],
    ids=["english", "code", "json", "german", "chinese", "numbers"],
)
def test_a_text_comes_out_near_what_a_published_vocabulary_makes_of_it(text: str, counted: int) -> None:
    assert text_tokens(text) == pytest.approx(counted, rel=0.25)


def test_the_examples_of_the_documentation_come_out_near_what_it_says() -> None:
    schema = {
        "type": "object",
        "properties": {"location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"}},
        "required": ["location"],
    }
    tool = Tool("get_weather", "Get the current weather in a given location", schema)
    weather = asked(Text("What's the weather like in San Francisco?"), tools=(tool,))

    assert prompt_tokens(asked(Text("Hello, Claude"), system="You are a scientist")) == pytest.approx(14, abs=3)
    assert prompt_tokens(weather) == pytest.approx(403, rel=0.1)


def test_a_long_text_has_as_many_tokens_as_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = text_tokens(ENGLISH * 50)

    monkeypatch.setattr(token_estimate, "_PART", 1000)

    assert text_tokens(ENGLISH * 50) == pytest.approx(whole, rel=0.01)


def test_no_text_has_no_tokens_and_half_a_surrogate_pair_has_some() -> None:
    assert text_tokens("") == 0
    assert text_tokens("\ud83d\ud83d\ud83d\ud83d") > 0


def test_an_image_counts_by_its_size_up_to_what_the_upstream_makes_of_it() -> None:
    def of(image: Image) -> int:
        return prompt_tokens(asked(image)) - prompt_tokens(asked(Text("")))

    assert of(png(200, 200)) == pytest.approx(54, abs=2)
    assert of(png(1000, 1000)) == pytest.approx(1334, abs=2)
    assert of(png(8000, 8000)) == of(Image(Link("https://example.org/a.png"))) == 1600


def test_a_document_counts_by_its_text_or_its_size() -> None:
    short = Document(Base64("application/pdf", base64.b64encode(bytes(10_000)).decode()))
    long = Document(Base64("application/pdf", base64.b64encode(bytes(500_000)).decode()), "a.pdf")

    assert 2000 <= prompt_tokens(asked(short)) < 2100
    assert 20_000 <= prompt_tokens(asked(long)) < 20_100
    assert prompt_tokens(asked(Document(Link("https://example.org/a.pdf")))) > 2000
    assert prompt_tokens(asked(Document(Text(ENGLISH)))) == prompt_tokens(asked(Text(ENGLISH)))


def test_everything_that_the_model_reads_adds_to_the_prompt() -> None:
    bare = asked(Text("Hello"))
    call, result = ToolCall("c", "f", {"a": ENGLISH}), ToolResult("c", (Text(ENGLISH),))
    tool = Tool("f", ENGLISH, {"type": "object", "description": ENGLISH})
    more = [
        replace(bare, system=ENGLISH),
        replace(bare, tools=(tool,)),
        replace(bare, output=JsonOutput({"type": "object", "description": ENGLISH})),
        replace(bare, turns=(*bare.turns, Turn("assistant", (call,)))),
        replace(bare, turns=(*bare.turns, Turn("assistant", (AgentToolUse("t", "Bash", {}, ENGLISH),)))),
        replace(bare, turns=(*bare.turns, Turn("user", (result,)))),
        replace(bare, turns=(*bare.turns, Turn("assistant", (replace(call, arguments=ENGLISH),)))),
        replace(bare, turns=(*bare.turns, Turn("assistant", (Thinking(ENGLISH, "signed"), Text("?"))))),
        replace(bare, turns=(*bare.turns, Turn("assistant", (RedactedThinking("x" * 400), Text("?"))))),
    ]

    assert all(prompt_tokens(each) >= prompt_tokens(bare) + text_tokens(ENGLISH) for each in more)


def test_a_call_that_is_forced_has_shorter_instructions() -> None:
    tool = Tool("f", "", {"type": "object"})
    free = asked(Text("?"), tools=(tool,))

    assert prompt_tokens(replace(free, tool_choice=ToolChoice("required"))) == prompt_tokens(free) - 33


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}

    with pytest.raises(InvalidRequestError):
        prompt_tokens(asked(ToolCall("c", "f", deep)))


def test_thinking_counts_as_what_it_is() -> None:
    turns = (
        Turn("user", (Text("Hello"),)),
        Turn("assistant", (Thinking("Let me see what that is.", "c2ln"), RedactedThinking("x" * 1_000), Text("Yes."))),
        Turn("user", (Text("Hello"),)),
    )
    without = (turns[0], Turn("assistant", (Text("Yes."),)), turns[2])

    more = prompt_tokens(replace(asked(), turns=turns)) - prompt_tokens(replace(asked(), turns=without))

    assert 200 <= more <= 220
