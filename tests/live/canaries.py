"""A HOME and a project full of canaries: whatever of them reaches an upstream body or runs can be seen."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

_MCP_SERVER = """
import json, pathlib, sys
pathlib.Path(sys.argv[1]).touch()
TOOL = {"name": "canary_tool", "description": "CANARY-MCP", "inputSchema": {"type": "object"}}
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    result = {
        "initialize": {
            "protocolVersion": "2025-03-26",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "canary", "version": "1"},
        },
        "tools/list": {"tools": [TOOL]},
    }.get(message["method"], {})
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""


class Canaries:
    """Files that a user's Claude Code would read, each with a word of its own.

    Attributes:
        words: What would stand in an upstream body.
        ran: A folder where whatever ran leaves a file.
    """

    words = (
        "CANARY-USER-MEMORY",
        "CANARY-PROJECT-MEMORY",
        "CANARY-LOCAL-MEMORY",
        "CANARY-RULE",
        "CANARY-SKILL",
        "CANARY-PROJECT-SKILL",
        "CANARY-AGENT",
        "CANARY-HOOK",
        "CANARY-AUTO-MEMORY",
    )

    def __init__(self, home: Path, project: Path) -> None:
        self.ran = home / "ran"
        self.ran.mkdir()
        self.mcp_started = self.ran / "mcp"
        self._write(home, project)

    def _write(self, home: Path, project: Path) -> None:
        server = home / "mcp_server.py"
        mcp = {"canary": {"command": sys.executable, "args": [str(server), str(self.mcp_started)]}}
        auto_memory = home / ".claude/projects" / str(project).replace("/", "-").replace("_", "-") / "memory"
        files: Mapping[Path, str] = {
            server: _MCP_SERVER,
            home / ".claude/CLAUDE.md": "CANARY-USER-MEMORY",
            home / ".claude/rules/rule.md": "CANARY-RULE",
            home / ".claude/skills/mine/SKILL.md": _skill("mine", "CANARY-SKILL"),
            home / ".claude/agents/mine.md": _skill("mine", "CANARY-AGENT"),
            home / ".claude/settings.json": json.dumps(self._settings("user")),
            home / ".claude.json": json.dumps({"mcpServers": mcp}),
            auto_memory / "MEMORY.md": "CANARY-AUTO-MEMORY",
            project / "CLAUDE.md": "CANARY-PROJECT-MEMORY",
            project / "CLAUDE.local.md": "CANARY-LOCAL-MEMORY",
            project / ".claude/skills/its/SKILL.md": _skill("its", "CANARY-PROJECT-SKILL"),
            project / ".claude/settings.json": json.dumps(self._settings("project")),
            project / ".claude/settings.local.json": json.dumps(self._settings("local")),
        }
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def _settings(self, scope: str) -> dict[str, object]:
        command = f"touch {self.ran}/hook-{scope}; echo CANARY-HOOK-{scope}"
        hooks = {"UserPromptSubmit": [{"hooks": [{"type": "command", "command": command}]}]}
        return {"hooks": hooks, "permissions": {"allow": ["Bash(echo allowed:*)"], "deny": ["Bash(echo denied:*)"]}}


def _skill(name: str, description: str) -> str:
    return f"---\nname: {name}\ndescription: {description}\n---\nbody\n"
