"""Profiles with the real CLI: where they work, what they may do, and what is left of it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.live.relay import clean_environment, relay
from tests.upstream import FakeUpstream, Message, ToolUse, model_not_found, text

SERVER = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    result = {
        "initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                       "serverInfo": {"name": "weather", "version": "1"}},
        "tools/list": {"tools": [{"name": "forecast", "inputSchema": {"type": "object"}}]},
        "tools/call": {"content": [{"type": "text", "text": "sunny"}]},
    }.get(asked["method"], {})
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"""


def git(directory: Path, *arguments: str) -> str:
    """Return what a command of git writes."""
    command = ("git", "-C", str(directory), "-c", "user.name=x", "-c", "user.email=x@x.example", *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of one commit, with a directory in it."""
    path = tmp_path / "repository"
    (path / "part").mkdir(parents=True)
    (path / "part" / "file.txt").write_text("first\n")
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(path))
    git(path, "add", ".")
    git(path, "commit", "--quiet", "--message", "first")
    return path


def asked(upstream: FakeUpstream, index: int = -1) -> dict[str, Any]:
    """Return what the upstream was asked."""
    body = upstream.messages_requests[index].body
    assert body is not None
    return body


def tools(upstream: FakeUpstream) -> list[str]:
    return [tool["name"] for tool in asked(upstream)["tools"]]


def running_bash(command: str) -> Message:
    return Message(blocks=(ToolUse("toolu_1", "Bash", {"command": command}),))


def test_a_profiles_directory_tools_and_instructions_reach_the_upstream(
    home: Path, tmp_path: Path, upstream: FakeUpstream, claude_path: str
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "CLAUDE.md").write_text("The codeword is heron.")
    (tmp_path / "docs.md").write_text("Speak of documents only.\n")
    server = {"command": sys.executable, "args": ["-c", SERVER]}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"weather": server}}))
    profiles = (
        f"docs=haiku:agent,cwd={tmp_path}/docs,tools=Read+Grep,system={tmp_path}/docs.md,mcp={tmp_path}/mcp.json",
        f"pirate=haiku:chat,system={tmp_path}/docs.md",
    )
    with relay(home, clean_environment(home, upstream), claude_path=claude_path, profile=profiles) as running:
        menu = [model["id"] for model in running.http.get("/v1/models").json()["data"]]
        answer = running.post(model="docs", messages=[{"role": "system", "content": "Be brief."}, *saying()])
        docs, docs_tools = json.dumps(asked(upstream)), tools(upstream)
        response = running.http.post("/v1/responses", json={"model": "docs", "input": "Hello"})
        again = tools(upstream)
        assert running.chat("Hello", model="sonnet:agent").status_code == 200
        plain, plain_tools = json.dumps(asked(upstream)), tools(upstream)
        pirate = running.chat("Hello", model="pirate")
        isolated = asked(upstream)

    assert menu[-2:] == ["docs", "pirate"]
    assert (answer.status_code, answer.json()["model"]) == (200, "docs")
    assert (response.status_code, response.json()["model"]) == (200, "docs")
    assert answer.headers["x-claude-relay-personality"] == "agent"
    assert "haiku" in json.loads(docs)["model"]
    assert str(tmp_path / "docs") in docs
    assert "The codeword is heron." in docs
    assert "Speak of documents only.\\n\\nBe brief." in docs
    assert {*docs_tools, *again} - {"DeferredToolPlaceholder"} == {"Grep", "Read", "mcp__weather__forecast"}
    assert "Bash" in plain_tools
    assert "mcp__weather__forecast" not in plain_tools
    assert str(tmp_path / "docs") not in plain
    assert pirate.headers["x-claude-relay-personality"] == "chat"
    assert "Speak of documents only." in json.dumps(isolated["system"])


def saying(words: str = "Hello") -> list[dict[str, Any]]:
    return [{"role": "user", "content": words}]


def test_what_a_profile_permits_is_permitted_there_alone(
    home: Path, tmp_path: Path, upstream: FakeUpstream, claude_path: str
) -> None:
    (tmp_path / "docs").mkdir()
    profile = f"docs=sonnet:agent,cwd={tmp_path}/docs,permission=acceptEdits"
    with relay(home, clean_environment(home, upstream), claude_path=claude_path, profile=(profile,)) as running:
        for model, directory in (("docs", tmp_path / "docs"), ("sonnet:agent", home)):
            written = {"file_path": str(directory / "new.txt"), "content": "new"}
            upstream.replies(Message(blocks=(ToolUse("toolu_1", "Write", written),)), text("Done."))
            assert running.chat("Write", model=model).status_code == 200

    assert (tmp_path / "docs" / "new.txt").read_text() == "new"
    assert not (home / "new.txt").exists()


@pytest.mark.parametrize("trusted", [True, False])
def test_a_tool_of_a_profiles_server_may_be_used_if_the_settings_of_a_trusted_directory_say_so(
    home: Path, tmp_path: Path, upstream: FakeUpstream, claude_path: str, trusted: bool
) -> None:
    server = {"command": sys.executable, "args": ["-c", SERVER]}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"weather": server}}))
    (tmp_path / "docs" / ".claude").mkdir(parents=True)
    rules = {"permissions": {"allow": ["mcp__weather"]}}
    (tmp_path / "docs" / ".claude" / "settings.json").write_text(json.dumps(rules))
    known = {"projects": {str(tmp_path / "docs"): {"hasTrustDialogAccepted": trusted}}}
    (home / ".claude.json").write_text(json.dumps(known))
    profile = f"docs=sonnet:agent,cwd={tmp_path}/docs,mcp={tmp_path}/mcp.json"
    with relay(home, clean_environment(home, upstream), claude_path=claude_path, profile=(profile,)) as running:
        upstream.replies(Message(blocks=(ToolUse("toolu_1", "mcp__weather__forecast", {}),)), text("Done."))
        assert running.chat("How is the weather?", model="docs").status_code == 200
        after = json.dumps(asked(upstream)["messages"][-1])

    assert ("sunny" in after) is trusted


def test_a_profile_of_others_is_a_model_that_nobody_knows(
    home: Path, tmp_path: Path, upstream: FakeUpstream, claude_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs.md").write_text("Speak of documents only.\n")
    profile = f"docs=sonnet:chat,system={tmp_path}/docs.md,key=team"
    keys = ("team=team-team-team", "guest=guest-guest")
    monkeypatch.setattr(upstream, "default", lambda body: model_not_found(body["model"]))
    with relay(
        home, clean_environment(home, upstream), claude_path=claude_path, profile=(profile,), api_keys=keys
    ) as running:
        guest = {"authorization": "Bearer guest-guest"}
        unknown, hidden = (
            running.http.post("/v1/chat/completions", headers=guest, json={"model": name, "messages": saying()})
            for name in ("no-such", "docs")
        )

    assert (unknown.status_code, hidden.status_code) == (404, 404)
    assert hidden.text == unknown.text.replace("no-such", "docs")


def test_agents_of_two_profiles_never_share_a_process(
    home: Path, tmp_path: Path, upstream: FakeUpstream, claude_path: str
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    profiles = tuple(f"{name}=sonnet:agent,cwd={tmp_path / name}" for name in ("one", "two"))
    environ = clean_environment(home, upstream)
    with relay(home, environ, claude_path=claude_path, profile=profiles, warm=0) as running:
        messages = saying()
        for model in ("one", "two", "sonnet:agent"):
            answer = running.post(model=model, messages=messages)
            messages += [answer.json()["choices"][0]["message"], {"role": "user", "content": "And then?"}]
        found = running.processes()
        directories = [json.dumps(request.body) for request in upstream.messages_requests]

    assert (found["started"], found["reused"], found["idle"]) == (3, 0, 3)
    for name, body in zip(("one", "two"), directories, strict=False):
        assert str(tmp_path / name) in body
    assert str(tmp_path / "two") not in directories[0]
    assert str(tmp_path / "one") not in directories[1]


@pytest.mark.parametrize("does", ["nothing", "work"])
def test_a_conversation_has_a_worktree_of_its_own_that_is_kept_only_with_work_in_it(
    home: Path,
    repository: Path,
    upstream: FakeUpstream,
    claude_path: str,
    caplog: pytest.LogCaptureFixture,
    does: str,
) -> None:
    profile = f"tree=sonnet:agent,cwd={repository}/part,worktree=yes,permission=acceptEdits"
    state = home / "state" / "worktrees"
    chosen = {"claude_path": claude_path, "profile": (profile,), "idle_timeout": 60 if does == "work" else 3}
    with relay(home, clean_environment(home, upstream), **chosen) as running:
        upstream.replies(running_bash("pwd; cat file.txt"), text("Done."))
        first = running.chat("Where?", model="tree")
        during = json.dumps(asked(upstream))
        trees = [path for path in state.iterdir() if path.is_dir()]
        if does == "work":
            written = {"file_path": str(trees[0] / "part" / "new.txt"), "content": "new"}
            upstream.replies(Message(blocks=(ToolUse("toolu_1", "Write", written),)), text("Done."))
            messages = [*saying("Where?"), first.json()["choices"][0]["message"], *saying("Write")]
            assert running.post(model="tree", messages=messages).status_code == 200
        found = running.processes()
        if does == "nothing":
            # not only when the relay stops
            running.wait_until(lambda: not trees[0].exists(), 20)

    assert (found["started"], found["reused"]) == (1, 1 if does == "work" else 0)
    assert f"{trees[0]}/part\\nfirst" in during.replace("\\\\n", "\\n")
    assert git(repository, "status", "--porcelain") == ""
    assert [tree.exists() for tree in trees] == [does == "work"]
    branches = git(repository, "branch", "--format=%(refname:short)").split()
    assert branches == ([f"claude-relay/{trees[0].name}"] if does == "work" else []) + ["main"]
    assert not list(state.glob("*.json"))
    kept = [record.getMessage() for record in caplog.records if "is kept" in record.getMessage()]
    assert [str(trees[0]) in line for line in kept] == ([True] if does == "work" else [])
