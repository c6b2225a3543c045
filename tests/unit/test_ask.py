"""``claude-relay ask``, over a relay that runs and without one; both with the echo runner."""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from claude_relay.asgi import create_app
from claude_relay.cli import main
from claude_relay.commands import ask
from claude_relay.commands.display import display
from claude_relay.commands.questions import Question, continued, events_of, request_body
from claude_relay.commands.sessions import Session
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.vocabulary import RunEnd, TextDelta, ThinkingDelta, ToolActivity, Usage
from claude_relay.errors import SettingsError, UpstreamError
from claude_relay.settings import Settings
from claude_relay.store import memory
from tests.api.sockets import listening
from tests.pictures import png


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    """Run where no file and no variable of the machine counts, and no relay runs."""
    monkeypatch.chdir(tmp_path)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLAUDE_RELAY_")}
    ours = {"CLAUDE_RELAY_RUNNER": "echo", "CLAUDE_RELAY_PORT": str(free_port), "XDG_STATE_HOME": str(tmp_path)}
    monkeypatch.setattr(os, "environ", kept | ours)


@pytest.fixture
def url() -> Iterator[str]:
    """A relay that needs a key."""
    app = create_app(Settings(api_keys=("ada=sEcReT=sEcReT==",)), EchoRunner(), open_store=memory.open_store)
    with listening(app) as (host, port):
        yield f"http://{host}:{port}"


def asked(*arguments: object, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["ask", *map(str, arguments)], prog_name="claude-relay", input=given)


def test_without_a_relay_this_process_answers() -> None:
    result = asked("hi there")

    assert (result.stdout, result.stderr, result.exit_code) == ("hi there\n", "", 0)


def test_in_this_process_no_tool_waits_for_who_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[Settings] = []

    def create_runner(settings: Settings, *_: object) -> EchoRunner:
        chosen.append(settings)
        return EchoRunner()

    monkeypatch.setattr(ask, "create_runner", create_runner)
    monkeypatch.setitem(os.environ, "CLAUDE_RELAY_PERMISSION_MODE", "ask")

    assert asked("Hi there").exit_code == 0

    assert [settings.permission_mode for settings in chosen] == ["default"]


@pytest.mark.parametrize("below", ["", "/v1", "/v1/"])
def test_a_relay_that_is_named_answers_who_has_a_key(url: str, below: str) -> None:
    with_key = asked("hi there", "--url", url + below, "--key", "sEcReT=sEcReT==")
    without = asked("hi there", "--url", url)

    assert (with_key.stdout, with_key.exit_code) == ("hi there\n", 0)
    assert (without.stdout, without.exit_code) == ("", 1)
    assert "API key" in without.stderr


@pytest.mark.parametrize("key", ["ключ-ключ", "a key", "a\nkey"])
def test_a_key_that_no_header_can_hold_is_a_wrong_option(url: str, key: str) -> None:
    result = asked("hi there", "--url", url, "--key", key)

    assert (result.stdout, result.exit_code) == ("", 2)
    assert result.stderr == "claude-relay: --key: expected a key of ASCII characters without spaces\n"


@pytest.mark.parametrize("variable", ["API_KEYS", "API_KEY_FILE"])
def test_a_relay_where_the_settings_say_is_found_with_the_key_that_they_have(
    url: str, tmp_path: Path, variable: str
) -> None:
    key = "ada=sEcReT=sEcReT=="
    if variable == "API_KEY_FILE":
        (tmp_path / "keys").write_text(f"# of the team\n{key}\n")
        key = str(tmp_path / "keys")
    os.environ |= {"CLAUDE_RELAY_PORT": url.rpartition(":")[2], f"CLAUDE_RELAY_{variable}": key}
    os.environ["CLAUDE_RELAY_RUNNER"] = "claude"
    os.environ["PATH"] = ""

    assert asked("hi there").stdout == "hi there\n"


def test_a_relay_that_is_named_and_not_there_is_told_in_one_line(free_port: int) -> None:
    result = asked("hi", "--url", f"http://127.0.0.1:{free_port}")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"claude-relay: No relay answers at http://127.0.0.1:{free_port}.\n"


@pytest.mark.parametrize("options", [(), ("--url",)], ids=["in process", "relay"])
@pytest.mark.parametrize("after", [0, 1])
def test_a_failure_is_told_in_one_line_after_what_was_said(url: str, options: tuple[str, ...], after: int) -> None:
    more = (*options, url, "--key", "sEcReT=sEcReT==") if options else ()

    result = asked(f"!echo error=502 after={after}\na b", *more)

    assert result.exit_code == 1
    assert result.stdout.strip() == ("a" if after else "")
    assert "status 502" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_a_question_may_come_from_the_standard_input(arguments: tuple[str, ...]) -> None:
    assert asked(*arguments, given="a\nb").stdout == "a\nb\n"


@pytest.mark.parametrize("option", ["--image", "--json-schema"])
def test_a_file_that_is_not_there_is_told_in_one_line(option: str) -> None:
    result = asked("hi", option, "none")

    assert (result.exit_code, result.stderr) == (
        2,
        f"claude-relay: {option}: none cannot be read: No such file or directory\n",
    )


def test_an_answer_that_is_cut_is_said_to_be() -> None:
    result = asked("!echo stop=length\na")

    assert (result.stdout, result.exit_code) == ("a\n", 0)
    assert "ends here" in result.stderr


def test_a_schema_is_held_to_and_must_be_json(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}')

    assert asked('{"a": 1}', "--json-schema", good).stdout == '{"a": 1}\n'
    assert asked('{"a": "x"}', "--json-schema", good).exit_code == 1
    for text in (b"{", b'{"a": "\xe9"}', b'{"a": ' * 5_000 + b"1" + b"}" * 5_000):
        bad.write_bytes(text)
        result = asked("x", "--json-schema", bad)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("claude-relay: --json-schema: ")


def test_bytes_that_are_no_text_are_replaced() -> None:
    """A question is often a file or a diff, which may have a piece in another encoding."""
    as_argument = b"caf\xe9".decode("utf-8", "surrogateescape")

    assert asked(as_argument, "--model", as_argument).stdout == "caf\N{REPLACEMENT CHARACTER}\n"
    assert asked(given=b"caf\xe9 noir").stdout == "caf\N{REPLACEMENT CHARACTER} noir\n"


def test_characters_that_the_output_cannot_have_are_replaced() -> None:
    result = CliRunner(charset="ascii").invoke(main, ["ask", "un caf\N{LATIN SMALL LETTER E WITH ACUTE} noir"])

    assert (result.exit_code, result.stdout_bytes) == (0, b"un caf? noir\n")


def test_a_conversation_is_gone_on_with_and_kept_from_other_users(tmp_path: Path) -> None:
    for text in ("one", "two"):
        asked(text, "--session", "trip")

    (kept,) = tmp_path.rglob("trip.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    said = [item["content"] for item in json.loads(kept.read_text())]
    assert [text if isinstance(text, str) else text[0]["text"] for text in said] == ["one", "one", "two", "two"]


def test_a_question_that_failed_is_not_kept(tmp_path: Path) -> None:
    assert asked("!echo error=502\n", "--session", "trip").exit_code == 1
    assert list(tmp_path.rglob("trip.json")) == []


@pytest.mark.parametrize("name", ["../x", "", ".x", "a b", "x" * 65])
def test_a_conversation_has_a_plain_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--session"):
        Session(tmp_path, name)


def test_a_broken_conversation_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "claude-relay/ask").mkdir(parents=True)
    (tmp_path / "claude-relay/ask/trip.json").write_text("{")

    result = asked("hi", "--session", "trip")

    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


def test_a_request_has_the_conversation_images_model_and_schema() -> None:
    past = continued(Question("one"), "1")
    body = request_body(Question("two", "opus", (png(1, 1),), {"type": "object"}, past))

    assert body["input"][:2] == list(past)
    (text, image) = body["input"][2]["content"]
    assert text == {"type": "input_text", "text": "two"}
    assert image["image_url"].startswith("data:image/png;base64,iVBOR")
    assert (body["model"], body["store"]) == ("opus", False)
    assert body["text"]["format"]["schema"] == {"type": "object"}


@pytest.mark.parametrize(
    ("told", "event"),
    [
        ({"type": "response.output_text.delta", "delta": "a"}, TextDelta("a")),
        ({"type": "response.refusal.delta", "delta": "No."}, TextDelta("No.")),
        ({"type": "response.reasoning_summary_text.delta", "delta": "Hm."}, ThinkingDelta("Hm.")),
        ({"type": "response.output_item.added", "item": {"type": "mcp_call", "name": "Bash"}}, ToolActivity("Bash")),
        ({"type": "response.completed"}, RunEnd("end", Usage())),
        ({"type": "response.incomplete"}, RunEnd("length", Usage())),
        ({"type": "keepalive"}, None),
    ],
)
def test_events_of_a_stream_are_understood(told: dict[str, Any], event: object) -> None:
    assert list(events_of(told)) == ([] if event is None else [event])


def test_an_error_in_a_stream_is_one() -> None:
    with pytest.raises(UpstreamError, match="It broke"):
        events_of({"type": "error", "message": "It broke."})


# --- on a terminal ---------------------------------------------------------------------------------------------------


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=60, height=20, _environ={})


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_shows_thinking_tools_and_the_answer_as_markdown_in_the_end() -> None:
    console = terminal()
    with display(console, is_json=False) as show:
        for event, seen in (
            (ThinkingDelta("Let me look."), "Let me look."),
            (ToolActivity("Bash", "npm test"), "Bash: npm test"),
            (TextDelta("It is **good**."), "It is **good**."),
        ):
            show(event)
            console._live_stack[-1].refresh()
            assert seen in written(console)
    end = written(console).rpartition("\x1b[?25h")[2]
    assert "\x1b[1mgood\x1b[0m" in end
    assert "**" not in end


def test_what_was_said_stays_on_the_terminal_when_it_breaks_off() -> None:
    console = terminal()

    with pytest.raises(UpstreamError), display(console, is_json=False) as show:
        show(TextDelta("Half"))
        raise UpstreamError("It broke")

    assert "Half" in written(console).rpartition("\x1b[?25h")[2]


def test_a_terminal_does_nothing_that_an_answer_says() -> None:
    console = terminal()
    with display(console, is_json=False) as show:
        show(ThinkingDelta("\x1b]0;title\x07"))
        show(TextDelta("\x1b[2J\x1b]0;title\x07"))

    assert "\x1b[2J" not in written(console)
    assert "\x07" not in written(console)


@pytest.mark.parametrize(("text", "shown"), [('{"a": 1}', '"a"'), ('{"a": ', '{"a":')])
def test_json_is_shown_as_json(text: str, shown: str) -> None:
    console = terminal()
    with display(console, is_json=True) as show:
        show(TextDelta(text))

    assert shown in written(console)
