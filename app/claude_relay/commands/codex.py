"""What Codex CLI has to be told to use the relay: its configuration, and what it does not know of the models. Pure."""

import json
from collections.abc import Iterable

CATALOG = "claude-relay-models.json"
"""The file with the catalog, which Codex looks for beside its configuration."""
MODELS = ("sonnet", "opus", "haiku")
_CONTEXT_WINDOW = 200_000
_LONGEST_OUTPUT = 10_000
"""Tokens of a command's output that Codex shows the model."""
_EFFORTS = {
    "low": "Answers soon, thinks little.",
    "medium": "Thinks as much as most tasks need.",
    "high": "Thinks long about hard problems.",
}
_INSTRUCTIONS = """\
You are a coding agent. You work through Codex CLI, on the user's machine, in the directory that you are told of.

- Find out before you change anything: read the files and instructions of the project (such as AGENTS.md) that the \
task touches. Prefer `rg` for searching.
- Make changes with `apply_patch`, in small patches. Keep to the style of the code around them, and change nothing \
that the task does not need. Other changes in the working tree are the user's: leave them alone.
- Run what shows that it works: tests, type checks, builds. If something fails, find out why before you try again.
- Say in a sentence what you are about to do before you call tools, and in the end, briefly, what you have changed and \
what you could not check. Name files with their paths.
- Do what was asked to its end, without questions that you can answer yourself. Ask before what cannot be undone.
"""


def config(url: str, model: str) -> str:
    """Return a ``config.toml`` for Codex.

    Args:
        url: The relay's base URL, with ``/v1``.
        model: The model that Codex asks by default.
    """
    return f"""\
# for ~/.codex/config.toml
model = {_quoted(model)}
model_provider = "claude-relay"
# made by: claude-relay codex-config --catalog > ~/.codex/{CATALOG}
model_catalog_json = "{CATALOG}"

[model_providers.claude-relay]
name = "claude-relay"
base_url = {_quoted(url)}
wire_api = "responses"
# if the relay asks for a key: the variable that has it
# env_key = "RELAY_KEY"
"""


def catalog(models: Iterable[str]) -> str:
    """Return a model catalog for Codex, as JSON: without it Codex warns of each model, and offers no ``apply_patch``.

    Args:
        models: Names of models, the first one first.
    """
    entries = [_entry(model, priority) for priority, model in enumerate(dict.fromkeys(models), 1)]
    return json.dumps({"models": entries}, indent=2, ensure_ascii=False)


def _entry(model: str, priority: int) -> dict[str, object]:
    return {
        "slug": model,
        "display_name": model[:1].upper() + model[1:],
        "priority": priority,
        "visibility": "list",
        "supported_in_api": True,
        "shell_type": "unified_exec",
        "apply_patch_tool_type": "freeform",
        "supports_parallel_tool_calls": True,
        "supports_reasoning_summaries": True,
        "supported_reasoning_levels": [{"effort": name, "description": about} for name, about in _EFFORTS.items()],
        "support_verbosity": False,
        "input_modalities": ["text", "image"],
        "experimental_supported_tools": [],
        "truncation_policy": {"mode": "tokens", "limit": _LONGEST_OUTPUT},
        "context_window": _CONTEXT_WINDOW,
        "base_instructions": _INSTRUCTIONS,
    }


def _quoted(text: str) -> str:
    """Return a string of TOML, which reads strings of JSON, but for one character that it wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
