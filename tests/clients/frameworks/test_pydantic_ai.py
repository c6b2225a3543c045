"""pydantic-ai over Anthropic's API, with the version of Anthropic's package that it can use."""

from pydantic_ai import Agent  # type: ignore[import-not-found, unused-ignore]
from pydantic_ai.models.anthropic import AnthropicModel  # type: ignore[import-not-found, unused-ignore]
from pydantic_ai.providers.anthropic import AnthropicProvider  # type: ignore[import-not-found, unused-ignore]

from tests.live.relay import Relay
from tests.upstream import FakeUpstream, Message, Text, Thinking, ToolUse, text


def test_an_agent_calls_its_tools_and_sends_thoughts_back(chat: Relay, upstream: FakeUpstream) -> None:
    provider = AnthropicProvider(base_url=chat.url, api_key="unused")
    agent = Agent(AnthropicModel("sonnet", provider=provider), instructions="Be brief.", output_type=str)

    @agent.tool_plain  # type: ignore[untyped-decorator, unused-ignore]
    def age_of(name: str) -> int:
        return len(name)

    call = ToolUse("toolu_1", "age_of", {"name": "Tom"})
    upstream.replies(Message(blocks=(Thinking("Hm."), Text("I look."), call)), text("He is 3."))

    result = agent.run_sync("How old?", model_settings={"anthropic_thinking": {"type": "adaptive"}})

    assert result.output == "He is 3."
    assert len(upstream.messages_requests) == 2
    last = upstream.messages_requests[-1].body
    assert last is not None
    (assistant,) = [message for message in last["messages"] if message["role"] == "assistant"]
    assert [block["type"] for block in assistant["content"]] == ["thinking", "text", "tool_use"]
    assert assistant["content"][0]["signature"] == "c2lnbmF0dXJl"
