"""Coding agents and editors. Pure."""

from claude_relay.commands.clients.client import ACTS_ITSELF, Client

CODING_AGENTS = (
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
            "Without a model catalog it warns, and has no `apply_patch`. `claude-relay codex-config` prints one too.",
            'For a relay with keys, add `env_key = "RELAY_KEY"` to the provider, and set that variable to your key.',
        ),
        "Codex CLI 0.171, by test_codex.py in tests/clients",
        speaks="responses",
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
        "Claude Code 2.1.332, by test_claude_code.py in tests/clients",
        speaks="messages",
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
      "models": {
        "sonnet:chat": { "name": "Sonnet", "modalities": { "input": ["text", "image"], "output": ["text"] } }
      }
    }
  },
  "model": "claude-relay/sonnet:chat"
}
""",
        "json",
        (f"{ACTS_ITSELF} It asks for titles without its tools, so it needs that there too.",),
        "opencode 1.18, by test_coding_agents.py in tests/clients",
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
        (ACTS_ITSELF,),
        "Qwen Code 0.24, by test_coding_agents.py in tests/clients",
    ),
    Client(
        "cline",
        "Cline",
        "a terminal, once",
        """
cline auth -p openai -k unused -m sonnet:chat -b http://localhost:8082/v1
""",
        "sh",
        (ACTS_ITSELF, "In an editor: the API provider `OpenAI Compatible`, with the same URL, key and model."),
        "Cline 3.0 in a terminal, by test_coding_agents.py in tests/clients",
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
    apiBase: "http://localhost:8082/v1"
    apiKey: "unused"
    roles: [chat, edit, apply]
  - name: Haiku
    provider: openai
    model: haiku:chat
    apiBase: "http://localhost:8082/v1"
    apiKey: "unused"
    roles: [autocomplete]
""",
        "yaml",
        (ACTS_ITSELF, "Autocomplete uses the legacy completions; most of its requests are cancelled."),
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
        (ACTS_ITSELF,),
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
)  # fmt: skip
