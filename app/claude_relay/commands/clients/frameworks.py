"""Frameworks, for programs that do more than ask. Pure."""

from claude_relay.commands.clients.client import Client

FRAMEWORKS = (
    Client(
        "langchain",
        "LangChain",
        "your program",
        """
from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="sonnet:chat", base_url="http://localhost:8082/v1", api_key="unused")
""",
        "python",
        ("`OpenAI` in place of `ChatOpenAI` continues texts.",),
        "langchain-openai 1.7, by test_langchain.py, test_responses.py and test_completions.py in tests/clients",
    ),
    Client(
        "langchain-js",
        "LangChain.js",
        "your program",
        """
import { ChatOpenAI } from "@langchain/openai";

const model = new ChatOpenAI({
  model: "sonnet:chat",
  apiKey: "unused",
  configuration: { baseURL: "http://localhost:8082/v1" },
});
""",
        "js",
        tested="@langchain/openai 1.6, by test_langchain_js.py in tests/clients",
    ),
    Client(
        "ai-sdk",
        "AI SDK",
        "your program",
        """
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";

const relay = createOpenAICompatible({
  name: "relay",
  baseURL: "http://localhost:8082/v1",
  apiKey: "unused",
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const model = relay("sonnet:chat");
""",
        "js",
        ("`createOpenAI` of `@ai-sdk/openai`, with the same URL and key, uses the responses API.",),
        "AI SDK 7, by test_node.py, test_node_responses.py and test_messages_node.py in tests/clients",
    ),
    Client(
        "pydantic-ai",
        "Pydantic AI",
        "your program",
        """
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

model = OpenAIChatModel("sonnet:chat", provider=OpenAIProvider(base_url="http://localhost:8082/v1", api_key="unused"))
""",
        "python",
        tested="pydantic-ai 2.38, by test_pydantic_ai.py and test_responses.py in tests/clients",
    ),
    Client(
        "openai-agents",
        "OpenAI Agents SDK",
        "your program",
        """
import agents
from openai import AsyncOpenAI

client = AsyncOpenAI(base_url="http://localhost:8082/v1", api_key="unused")
agents.set_default_openai_client(client, use_for_tracing=False)
agents.set_tracing_disabled(disabled=True)
agent = agents.Agent(name="Friend", model="sonnet:chat")
""",
        "python",
        ("Without the two lines on tracing it reports each run to OpenAI.",),
        "openai-agents 0.24, by test_responses.py and test_tool_loops.py in tests/clients",
        speaks="responses",
    ),
    Client(
        "instructor",
        "Instructor",
        "your program",
        """
import instructor
from openai import OpenAI

relay = OpenAI(base_url="http://localhost:8082/v1", api_key="unused")
client = instructor.from_openai(relay, mode=instructor.Mode.JSON_SCHEMA)
""",
        "python",
        ("`Mode.TOOLS` forces a call in place of that, which the newest models refuse.",),
        "instructor 1.17, by test_instructor.py and test_responses.py in tests/clients",
    ),
    Client(
        "litellm",
        "LiteLLM",
        "your program",
        """
import litellm

litellm.completion("openai/sonnet:chat", messages=[...], base_url="http://localhost:8082/v1", api_key="unused")
""",
        "python",
        tested="LiteLLM 1.110, by test_litellm.py in tests/clients",
    ),
    Client(
        "llama-index",
        "LlamaIndex",
        "your program",
        """
from llama_index.llms.openai_like import OpenAILike

model = OpenAILike(
    model="sonnet:chat",
    api_base="http://localhost:8082/v1",
    api_key="unused",
    is_chat_model=True,
    is_function_calling_model=True,
    should_use_structured_outputs=True,
    context_window=200_000,
)
""",
        "python",
        ("Without `is_chat_model` it continues texts, by the legacy completions.",),
        "llama-index-llms-openai-like 0.8, by tests/clients/frameworks",
    ),
    Client(
        "autogen",
        "AutoGen",
        "your program",
        """
from autogen_ext.models.openai import OpenAIChatCompletionClient

client = OpenAIChatCompletionClient(
    model="sonnet:chat",
    base_url="http://localhost:8082/v1",
    api_key="unused",
    model_info={
        "vision": True,
        "function_calling": True,
        "json_output": True,
        "structured_output": True,
        "family": "unknown",
    },
)
""",
        "python",
        tested="AutoGen 0.7, by tests/clients/frameworks",
    ),
    Client(
        "crewai",
        "crewAI",
        "your program",
        """
from crewai import LLM

model = LLM(model="openai/sonnet:chat", base_url="http://localhost:8082/v1", api_key="unused")
""",
        "python",
        tested="crewAI 1.15, by tests/clients/frameworks",
    ),
    Client(
        "dspy",
        "DSPy",
        "your program",
        """
import dspy

model = dspy.LM("openai/sonnet:chat", api_base="http://localhost:8082/v1", api_key="unused")
""",
        "python",
        (
            "It asks for calls and JSON in words; `dspy.lm15.register_provider` says that tools and schemas work.",
        ),
        "DSPy 3.4, by tests/clients/frameworks",
    ),
    Client(
        "semantic-kernel",
        "Semantic Kernel",
        "your program",
        """
from openai import AsyncOpenAI
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion

client = AsyncOpenAI(base_url="http://localhost:8082/v1", api_key="unused")
service = OpenAIChatCompletion(ai_model_id="sonnet:chat", async_client=client)
""",
        "python",
        tested="Semantic Kernel 1.45, by tests/clients/frameworks",
    ),
    Client(
        "smolagents",
        "smolagents",
        "your program",
        """
from smolagents import OpenAIModel

model = OpenAIModel("sonnet:chat", api_base="http://localhost:8082/v1", api_key="unused")
""",
        "python",
        tested="smolagents 1.26, by tests/clients/frameworks",
    ),
)  # fmt: skip
