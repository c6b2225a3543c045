"""Coding agents for a terminal, set up as their documentation says, and asked as scripts ask them."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from claude_relay.commands.clients import catalog
from tests.live.relay import clean_environment
from tests.upstream import Reply, text

MODEL = "sonnet:chat"
"""The agents act themselves, so the model must not."""

_CLIS_OWN = "__unparsedToolInput"
"""How the CLI itself writes down a call that is no JSON: where an agent sets no limit of tokens the CLI may go on with
it before the relay has ended it."""

Call = tuple[str, dict[str, Any]]
"""A tool's name and its input."""


@dataclass(frozen=True)
class Agent:
    """What one agent has that the others have not.

    Attributes:
        command: What goes before its flags and the question.
        settings: Its files below HOME, for a relay's base URL.
        environ: What only its environment can say.
        telling: The flags with which it tells what happens, in a line of JSON each.
        resuming: The flags that take up the conversation before; none where only somebody who types can do that.
        own_tool: A tool that it offers in its conversations only, and not in what it asks the model by the way.
        shows: How it tells of an answer that comes as ``It is `` and ``Tom.``.
        insists: How many times the tokens it allows once an answer has met its limit.
        write: The call that writes words into a file.
        shell: The call that runs a command.
    """

    command: tuple[str, ...]
    settings: Callable[[str], dict[str, Any]]
    environ: Mapping[str, str]
    telling: tuple[str, ...]
    resuming: tuple[str, ...]
    own_tool: str
    shows: list[str]
    insists: int
    write: Callable[[Path, str], Call]
    shell: Callable[[str], Call]


def _documented(name: str, base_url: str) -> dict[str, Any]:
    """Return the settings that users are told to write."""
    client = catalog.find(name)
    assert client is not None
    found: dict[str, Any] = json.loads(client.settings_for(base_url.removesuffix("/v1")))
    return found


def _opencode_settings(base_url: str) -> dict[str, Any]:
    return {".config/opencode/opencode.json": {**_documented("opencode", base_url), "autoupdate": False}}


def _qwen_settings(base_url: str) -> dict[str, Any]:
    quiet = {"general": {"enableAutoUpdate": False}, "privacy": {"usageStatisticsEnabled": False}}
    return {".qwen/settings.json": {**_documented("qwen-code", base_url), **quiet}}


def _cline_settings(base_url: str) -> dict[str, Any]:
    """Return what ``cline auth -p openai -k unused -m MODEL -b URL`` writes."""
    name = "openai-compatible"
    provider = {"provider": name, "apiKey": "unused", "model": MODEL, "baseUrl": base_url}
    providers = {name: {"settings": provider, "updatedAt": "2026-01-01T00:00:00.000Z", "tokenSource": "manual"}}
    return {
        ".cline/data/settings/providers.json": {
            "version": 1,
            "lastUsedProvider": name,
            "modes": {},
            "providers": providers,
        },
        ".cline/data/settings/global-settings.json": {"telemetryOptOut": True, "autoUpdateEnabled": False},
    }


OPENCODE = Agent(
    command=("opencode", "run"),
    settings=_opencode_settings,
    environ={"OPENCODE_DISABLE_MODELS_FETCH": "1"},
    telling=("--format", "json"),
    resuming=("--continue",),
    own_tool="task",
    shows=["It is Tom."],
    insists=1,
    write=lambda path, words: ("write", {"filePath": str(path), "content": words}),
    shell=lambda command: ("bash", {"command": command, "description": "Runs a command"}),
)
QWEN_CODE = Agent(
    command=("qwen", "--yolo"),
    settings=_qwen_settings,
    environ={},
    telling=("--output-format", "stream-json", "--include-partial-messages"),
    resuming=("--continue",),
    own_tool="tool_search",
    shows=["It is ", "Tom."],
    insists=2,
    write=lambda path, words: ("write_file", {"file_path": str(path), "content": words}),
    shell=lambda command: ("run_shell_command", {"command": command, "is_background": False}),
)
CLINE = Agent(
    command=("cline",),
    settings=_cline_settings,
    # by default a process stays behind that all commands of the machine share
    environ={"CLINE_SESSION_BACKEND_MODE": "local", "CLINE_NO_AUTO_UPDATE": "1"},
    telling=("--json",),
    resuming=(),
    own_tool="editor",
    shows=["It is ", "Tom."],
    insists=1,
    write=lambda path, words: ("editor", {"path": str(path), "new_text": words}),
    shell=lambda command: ("run_commands", {"commands": [command]}),
)


@dataclass(frozen=True)
class Terminal:
    """An agent in a HOME of its own.

    Attributes:
        agent: The agent.
        programs: Where the commands of all agents are.
        home: The HOME, which is empty at first.
        place: Where it works.
    """

    agent: Agent
    programs: Path
    home: Path
    place: Path

    def set_up(self, base_url: str) -> None:
        """Write its settings."""
        for name, content in self.agent.settings(base_url).items():
            path = self.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))

    def ask(self, question: str, *flags: str) -> str:
        """Return all that it writes until it is done with a question."""
        done = subprocess.run(
            [self.programs / self.agent.command[0], *self.agent.command[1:], *flags, question],
            **self.surroundings(),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    def pieces(self, question: str, *flags: str) -> list[str]:
        """Return the pieces of an answer as the agent tells of them."""
        lines = self.ask(question, *self.agent.telling, *flags).splitlines()
        return [piece for line in lines if (piece := _piece(json.loads(line))) is not None]

    def surroundings(self) -> dict[str, Any]:
        """Return what each command runs in."""
        return {"cwd": self.place, "env": clean_environment(self.home) | dict(self.agent.environ), "text": True}


def _piece(event: Any) -> str | None:
    match event:
        case {"type": "text", "part": {"text": str(piece)}}:  # opencode
            return piece
        case {"type": "stream_event", "event": {"delta": {"type": "text_delta", "text": str(piece)}}}:  # Qwen Code
            return piece
        case {"event": {"type": "content_start", "contentType": "text", "text": str(piece)}}:  # Cline
            return piece
    return None


@dataclass
class Talk:
    """Answers an agent's conversation, and in one line whatever else it asks: titles, memories.

    Attributes:
        own_tool: What tells the conversation from the rest.
        answers: The answers, in order.
        bodies: What the upstream was sent of the conversation.
    """

    own_tool: str
    answers: Iterator[Reply]
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, body: dict[str, Any]) -> Reply:
        """Answer a request."""
        is_aside = self.own_tool not in {tool["name"] for tool in body.get("tools", ())}
        if is_aside or _CLIS_OWN in json.dumps(body["messages"]):
            return text("By the way.")
        self.bodies.append(body)
        return next(self.answers)
