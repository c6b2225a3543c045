"""llm, the command: the relay as one of its extra OpenAI models."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.overhear import Overhearing
from tests.clients.upstream_side import (
    COMPLETION_TOKENS,
    PNG,
    PROMPT_TOKENS,
    THE_PICTURE,
    in_the_asked_form,
    instructions,
    pictures,
    spoken,
    turns,
)
from tests.live.relay import clean_environment
from tests.upstream import FakeUpstream

Llm = Callable[..., str]


@pytest.fixture
def llm(base_url: str, tmp_path: Path) -> Llm:
    """Runs the command and returns what it prints."""
    model = {
        "model_id": "relay",
        "model_name": "sonnet",
        "api_base": base_url,
        "vision": True,
        "supports_schema": True,
    }
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps([model]))
    environ = {**clean_environment(tmp_path), "LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "unused"}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "llm", *arguments]
        done = subprocess.run(
            command,
            check=False,
            env=environ,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def _log(llm: Llm) -> dict[str, Any]:
    (entry,) = json.loads(llm("logs", "list", "--json", "-n", "1"))
    found: dict[str, Any] = entry
    return found


@pytest.mark.parametrize("options", [(), ("--no-stream",)], ids=["stream", "whole"])
def test_a_prompt_is_answered_and_its_tokens_logged(
    llm: Llm, upstream: FakeUpstream, heard: Overhearing, options: tuple[str, ...]
) -> None:
    upstream.replies(spoken("It is ", "Tom."))
    assert llm("-m", "relay", "--system", "Be brief.", *options, "Who is it?") == "It is Tom.\n"
    entry = _log(llm)
    assert (entry["input_tokens"], entry["output_tokens"]) == (PROMPT_TOKENS, COMPLETION_TOKENS)
    assert instructions(upstream) == "Be brief."
    assert heard.only().ignored == set()


def test_a_conversation_goes_on_with_its_turns(llm: Llm, upstream: FakeUpstream) -> None:
    upstream.replies(spoken("Yes?"))
    llm("-m", "relay", "Hello")
    upstream.clear()
    llm("--continue", "Who is it?")
    assert turns(upstream) == [("user", ["Hello"]), ("assistant", ["Yes?"]), ("user", ["Who is it?"])]


def test_a_schema_gives_json(llm: Llm, upstream: FakeUpstream) -> None:
    upstream.replies(in_the_asked_form({"name": "Tom", "age": 3}))
    printed = llm("-m", "relay", "--schema", "name, age int", "Who is it?")
    assert json.loads(printed) == {"name": "Tom", "age": 3}


def test_a_picture_reaches_the_upstream(llm: Llm, upstream: FakeUpstream, tmp_path: Path) -> None:
    (tmp_path / "pixel.png").write_bytes(base64.b64decode(PNG))
    llm("-m", "relay", "--attachment", "pixel.png", "What is this?")
    assert pictures(upstream) == [THE_PICTURE]
