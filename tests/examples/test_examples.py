"""Each example works as it stands, with the real CLI; LangChain's is run by ``tests/clients``."""

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.examples.running import ANSWER, EXAMPLES, TWO_CALLS, output_of
from tests.live.relay import Relay, clean_environment, processes_with_home, relay
from tests.upstream import GREETING, FakeUpstream, text


@pytest.fixture(scope="module")
def running(
    shared_upstream: FakeUpstream, claude_path: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Relay]:
    home = tmp_path_factory.mktemp("examples")
    with relay(home, clean_environment(home, shared_upstream), claude_path=claude_path) as found:
        yield found


@pytest.fixture
def base_url(running: Relay, upstream: FakeUpstream) -> str:
    del upstream
    return f"{running.url}/v1"


def test_stream(base_url: str, home: Path) -> None:
    assert re.fullmatch(rf"{GREETING}\n\d+ tokens\n", output_of("stream.py", base_url, home))


def test_tools(base_url: str, home: Path, upstream: FakeUpstream) -> None:
    upstream.replies(TWO_CALLS, ANSWER)
    assert output_of("tools.py", base_url, home) == "temperature: Oslo\ntemperature: Rome\nIn Rome.\n"
    sent = json.dumps(upstream.messages_requests[-1].body)
    assert all(result in sent for result in ("toolu_1", "-3", "toolu_2", "14"))


def test_structured(base_url: str, home: Path, upstream: FakeUpstream) -> None:
    upstream.replies(text(json.dumps({"name": "Science fair", "day": "Friday", "guests": ["Ada", "Alan"]})))
    assert output_of("structured.py", base_url, home) == "Science fair, Friday: Ada, Alan\n"


def test_curl(base_url: str, home: Path) -> None:
    answer = output_of("curl.sh", base_url, home)
    assert answer.count("data: {") >= 3
    assert answer.endswith("data: [DONE]\n\n")


def test_every_example_is_listed_and_tested() -> None:
    there = {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {"README.md"}
    assert set(re.findall(r"`(?:uv run )?examples/([\w.]+)`", (EXAMPLES / "README.md").read_text())) == there
    written = [*Path(__file__).parent.glob("test_*.py"), EXAMPLES.parent / "tests/clients/test_examples.py"]
    tests = "".join(path.read_text() for path in written)
    assert {name for name in there if f'"{name}"' not in tests} == set()


def test_own_app(home: Path, upstream: FakeUpstream, claude_path: str) -> None:
    environ = clean_environment(home, upstream)
    environ |= {"PATH": f"{Path(claude_path).parent}:{environ['PATH']}"}
    shutil.copy(EXAMPLES / "own_app.py", home)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(home), "--port", str(port), "own_app:app"]
    body = {"model": "sonnet", "messages": [{"role": "user", "content": "hi"}]}
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
    with client, subprocess.Popen(command, env=environ, cwd=home) as server:
        try:
            Relay.wait_until(lambda: _answers(client), 30)
            answer = client.post("/v1/chat/completions", json=body).json()
            assert answer["choices"][0]["message"]["content"] == GREETING
            assert client.get("/").text == "Chat at /v1/chat/completions"
        finally:
            server.terminate()
    assert processes_with_home(home) == []


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/v1/health").status_code == 200
    except httpx.TransportError:
        return False
