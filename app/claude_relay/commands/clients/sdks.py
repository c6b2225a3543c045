"""SDKs, and what programs that use them read. Pure."""

from claude_relay.commands.clients.client import Client

SDKS = (
    Client(
        "openai",
        "OpenAI SDK for Python",
        "your program",
        """
from openai import OpenAI

client = OpenAI(base_url="http://localhost:8082/v1", api_key="unused")
""",
        "python",
        tested="openai 3.3, by test_openai.py, test_responses.py and test_completions.py in tests/clients",
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
        tested="openai 7.59, by test_node.py and test_node_responses.py in tests/clients",
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
        tested="openai 3.3, by test_openai.py in tests/clients",
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
        "anthropic 2.14, by test_anthropic.py in tests/clients",
        speaks="messages",
    ),
    Client(
        "anthropic-node",
        "Anthropic SDK for Node",
        "your program",
        """
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: "http://localhost:8082", apiKey: "unused" });
""",
        "js",
        ("Its base URL has no `/v1`.",),
        "@anthropic-ai/sdk 1.14, by test_messages_node.py in tests/clients",
        speaks="messages",
    ),
)  # fmt: skip
