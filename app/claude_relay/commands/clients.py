"""Settings of clients, for ``claude-relay clients`` and for docs/clients.md. Pure.

They are written down as a user on the relay's own machine needs them, without a key.
"""

from collections.abc import Iterator

from msgspec import Struct

SERVER = "http://localhost:8082"
"""Stands in all settings where the relay's own URL goes."""
KEY = "unused"
"""Stands in all settings where a key goes."""


class Client(Struct, frozen=True):
    """One client.

    Attributes:
        name: What the command calls it.
        title: What its makers call it.
        where: Where its settings go.
        settings: The settings.
        language: What they are written in.
        notes: What else a user has to know.
        tested: How it was tested; empty if it was not.
    """

    name: str
    title: str
    where: str
    settings: str
    language: str = "text"
    notes: tuple[str, ...] = ()
    tested: str = ""


_BY_TESTS = "by tests/clients"
_BY_FRAMEWORKS = "by tests/clients/frameworks"
_ACTS_ITSELF = "It acts itself, so it needs a model that does not: `:chat`."
_ELSEWHERE = "It calls from another machine or container, so the relay needs a key: `--api-key NAME=KEY`."

CLIENTS = (
    Client(
        "openai",
        "OpenAI SDK for Python",
        "your program",
        """
from openai import OpenAI

client = OpenAI(base_url="http://localhost:8082/v1", api_key="unused")
""",
        "python",
        tested=_BY_TESTS,
    ),
    Client(
        "openai-node",
        "OpenAI SDK for Node",
        "your program",
        """
import OpenAI from "openai";

const client = new OpenAI({ baseURL: "http://localhost:8082/v1", apiKey: "unused" });
""",
        "js",
        tested=_BY_TESTS,
    ),
    Client(
        "environment",
        "Environment variables",
        "the environment of programs that use OpenAI's SDKs",
        """
OPENAI_BASE_URL=http://localhost:8082/v1
OPENAI_API_KEY=unused
""",
        "sh",
        tested=_BY_TESTS,
    ),
    Client(
        "codex",
        "Codex CLI",
        "`~/.codex/config.toml`",
        """
model = "sonnet"
model_provider = "relay"

[model_providers.relay]
name = "relay"
base_url = "http://localhost:8082/v1"
wire_api = "responses"
""",
        "toml",
        (
            "It brings tools, so a plain model answers.",
            "It does not know the model: it warns, and has no `apply_patch`. A model catalog cures both.",
            'For a relay with keys, add `env_key = "RELAY_KEY"` to the provider, and set that variable to your key.',
        ),
        f"Codex CLI 0.171 {_BY_TESTS}",
    ),
    Client(
        "anthropic",
        "Anthropic SDK for Python",
        "your program",
        """
from anthropic import Anthropic

client = Anthropic(base_url="http://localhost:8082", api_key="unused")
""",
        "python",
        ("Its base URL has no `/v1`.",),
        _BY_TESTS,
    ),
    Client(
        "claude-code",
        "Claude Code",
        "a terminal",
        """
ANTHROPIC_BASE_URL=http://localhost:8082 ANTHROPIC_API_KEY=unused claude
""",
        "sh",
        ("Set them for this program alone: the relay's own Claude Code must not ask the relay.",),
        _BY_TESTS,
    ),
    Client(
        "opencode",
        "opencode",
        "`~/.config/opencode/opencode.json`, or `opencode.json` beside a project",
        """
{
  "$schema": "https://opencode.ai/config.json",
  "provider": {
    "claude-relay": {
      "npm": "@ai-sdk/openai-compatible",
      "name": "claude-relay",
      "options": { "baseURL": "http://localhost:8082/v1", "apiKey": "unused" },
      "models": { "sonnet:chat": { "name": "Sonnet" } }
    }
  },
  "model": "claude-relay/sonnet:chat"
}
""",
        "json",
        (f"{_ACTS_ITSELF} It asks for titles without its tools, so it needs that there too.",),
        f"opencode 1.18 {_BY_TESTS}",
    ),
    Client(
        "qwen-code",
        "Qwen Code",
        "`~/.qwen/settings.json`",
        """
{
  "modelProviders": {
    "openai": [{ "id": "sonnet:chat", "name": "Sonnet", "baseUrl": "http://localhost:8082/v1", "envKey": "RELAY_KEY" }]
  },
  "env": { "RELAY_KEY": "unused" },
  "security": { "auth": { "selectedType": "openai" } },
  "model": { "name": "sonnet:chat" }
}
""",
        "json",
        (_ACTS_ITSELF,),
        f"Qwen Code 0.24 {_BY_TESTS}",
    ),
    Client(
        "cline",
        "Cline",
        "a terminal, once",
        """
cline auth -p openai -k unused -m sonnet:chat -b http://localhost:8082/v1
""",
        "sh",
        (_ACTS_ITSELF, "In an editor: the API provider `OpenAI Compatible`, with the same URL, key and model."),
        f"Cline 3.0 {_BY_TESTS}",
    ),
    Client(
        "continue",
        "Continue",
        "`~/.continue/config.yaml`",
        """
name: claude-relay
version: 0.0.1
schema: v1
models:
  - name: Sonnet
    provider: openai
    model: sonnet:chat
    apiBase: http://localhost:8082/v1
    apiKey: unused
    roles: [chat, edit, apply]
  - name: Haiku
    provider: openai
    model: haiku:chat
    apiBase: http://localhost:8082/v1
    apiKey: unused
    roles: [autocomplete]
""",
        "yaml",
        (_ACTS_ITSELF, "Autocomplete uses the legacy completions; most of its requests are cancelled."),
        "its chat, with `cn` 1.5, by hand",
    ),
    Client(
        "aider",
        "aider",
        "a terminal",
        """
OPENAI_API_BASE=http://localhost:8082/v1 OPENAI_API_KEY=unused aider --model openai/sonnet:chat
""",
        "sh",
        (_ACTS_ITSELF,),
        "aider 0.86, by hand",
    ),
    Client(
        "cursor",
        "Cursor",
        "its settings, under Models",
        """
OpenAI API key:           unused
Override OpenAI base URL: http://localhost:8082/v1
Model:                    sonnet:chat
""",
        notes=(
            "Cursor's own servers call: the relay needs a URL that they reach over HTTPS, and a key that you choose.",
            "They refuse addresses of a local network.",
            "Agent mode works with names without `claude-`, as Cursor sends other tools to names with it.",
        ),
    ),
    Client(
        "open-webui",
        "Open WebUI",
        "its environment, or Admin settings, Connections",
        """
OPENAI_API_BASE_URL=http://localhost:8082/v1
OPENAI_API_KEY=unused
DEFAULT_MODELS=sonnet:chat
""",
        "sh",
        (
            "`DEFAULT_MODELS` is what a chat begins with, else `opus`, an agent. Agents write titles and tags too.",
            f"In Docker the relay is `http://host.docker.internal:8082/v1`. {_ELSEWHERE}",
        ),
        "Open WebUI 0.12.4 by tests/clients/open_webui",
    ),
    Client(
        "langchain",
        "LangChain",
        "your program",
        """
from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="sonnet", base_url="http://localhost:8082/v1", api_key="unused")
""",
        "python",
        ("`OpenAI` in place of `ChatOpenAI` continues texts.",),
        _BY_TESTS,
    ),
    Client(
        "langchain-js",
        "LangChain.js",
        "your program",
        """
import { ChatOpenAI } from "@langchain/openai";

const model = new ChatOpenAI({
  model: "sonnet",
  apiKey: "unused",
  configuration: { baseURL: "http://localhost:8082/v1" },
});
""",
        "js",
        tested=_BY_TESTS,
    ),
    Client(
        "ai-sdk",
        "AI SDK",
        "your program",
        """
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";

const relay = createOpenAICompatible({ name: "relay", baseURL: "http://localhost:8082/v1", apiKey: "unused" });
const model = relay("sonnet");
""",
        "js",
        ("`createOpenAI` of `@ai-sdk/openai`, with the same URL and key, uses the responses API.",),
        _BY_TESTS,
    ),
    Client(
        "pydantic-ai",
        "Pydantic AI",
        "your program",
        """
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

model = OpenAIChatModel("sonnet", provider=OpenAIProvider(base_url="http://localhost:8082/v1", api_key="unused"))
""",
        "python",
        tested=_BY_TESTS,
    ),
    Client(
        "litellm",
        "LiteLLM",
        "your program",
        """
import litellm

litellm.completion("openai/sonnet", messages=[...], base_url="http://localhost:8082/v1", api_key="unused")
""",
        "python",
        tested=_BY_TESTS,
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
        _BY_FRAMEWORKS,
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
        tested=_BY_FRAMEWORKS,
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
        tested=_BY_FRAMEWORKS,
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
        _BY_FRAMEWORKS,
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
        tested=_BY_FRAMEWORKS,
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
        tested=_BY_FRAMEWORKS,
    ),
    Client(
        "n8n",
        "n8n",
        "credentials of the type OpenAI",
        """
API Key:  unused
Base URL: http://localhost:8082/v1
""",
        notes=(
            "Then a node `OpenAI Chat Model`, with these credentials and the model `sonnet:chat`, by id.",
            f"In Docker the relay is `http://host.docker.internal:8082/v1`. {_ELSEWHERE}",
        ),
    ),
    Client(
        "home-assistant",
        "Home Assistant",
        "the integration Extended OpenAI Conversation (of HACS)",
        """
API Key:  unused
Base URL: http://localhost:8082/v1
Model:    haiku:chat
""",
        notes=("Home Assistant's own OpenAI integration has no base URL.", _ELSEWHERE),
    ),
)  # fmt: skip


def find(name: str) -> Client | None:
    """Return the client of a name, in capital letters or not."""
    return next((client for client in CLIENTS if client.name == name.lower()), None)


def settings_for(client: Client, server: str = SERVER, key: str = KEY) -> str:
    """Return a client's settings for a relay.

    Args:
        client: The client.
        server: The URL of the relay, without ``/v1``.
        key: A key of the relay.
    """
    return client.settings.strip().replace(KEY, key).replace(SERVER, server)


def notes_of(client: Client) -> Iterator[str]:
    """Yield what a user has to know besides: the notes, and whether it was tested."""
    yield from client.notes
    yield f"Tested: {client.tested}." if client.tested else "Not tested."


def markdown() -> str:
    """Return the sections of docs/clients.md."""
    return "\n".join(map(_section, CLIENTS))


def _section(client: Client) -> str:
    settings = f"```{client.language}\n{settings_for(client)}\n```"
    notes = "\n".join(f"- {line}" for line in notes_of(client))
    return f"## {client.title}\n\n`claude-relay clients {client.name}`. In {client.where}:\n\n{settings}\n\n{notes}\n"
