"""Applications that people use without writing a program. Pure."""

from claude_relay.commands.clients.client import ELSEWHERE, Client

APPLICATIONS = (
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
            f"In Docker the relay is `http://host.docker.internal:8082/v1`. {ELSEWHERE}",
        ),
        "Open WebUI 0.12.4, by tests/clients/open_webui",
    ),
    Client(
        "llm",
        "llm",
        "`extra-openai-models.yaml`, in the directory that `llm logs path` names",
        """
- model_id: relay
  model_name: sonnet:chat
  api_base: "http://localhost:8082/v1"
  vision: true
  supports_schema: true
""",
        "yaml",
        ("Then `llm -m relay`, with any text as `OPENAI_API_KEY`, or `llm keys set openai`.",),
        "llm 0.36, by test_llm.py in tests/clients",
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
            f"In Docker the relay is `http://host.docker.internal:8082/v1`. {ELSEWHERE}",
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
        notes=("Home Assistant's own OpenAI integration has no base URL.", ELSEWHERE),
    ),
)  # fmt: skip
