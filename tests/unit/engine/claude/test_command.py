"""What a CLI process is started with."""

from typing import Any

import msgspec
import pytest

from claude_relay.engine.claude.command import argv, environment, takes_client_composed, traces
from claude_relay.engine.profiles import Profile
from claude_relay.settings import PermissionMode, Personality, Settings
from tests.unit.factories import InstallationFactory

Version = tuple[int, int, int]

OLD: Version = (2, 1, 100)
FIRST_SAFE: Version = (2, 1, 197)
FIRST_COMPOSED: Version = (2, 1, 330)
NEW: Version = (3, 0, 0)


def command(
    version: Version = NEW, personality: Personality = "chat", mode: PermissionMode | None = None, **chosen: Any
) -> tuple[str, ...]:
    return argv(InstallationFactory.build(version=version), personality, Settings(permission_mode=mode, **chosen))


def environ(base: dict[str, str], personality: Personality = "chat", version: Version = NEW) -> dict[str, str]:
    return environment(base, InstallationFactory.build(version=version), personality, 8082)


@pytest.mark.parametrize("personality", ["agent", "chat"])
def test_every_process_speaks_lines_of_json_in_both_directions(personality: Personality) -> None:
    line = " ".join(command(personality=personality))

    assert line.startswith("/opt/claude -p --verbose --include-partial-messages ")
    assert "--input-format stream-json --output-format stream-json" in line
    assert "--no-session-persistence" in line
    assert "--model sonnet" in line


@pytest.mark.parametrize(
    ("version", "flags"),
    [
        (OLD, ("--setting-sources", "")),
        ((2, 1, 196), ("--setting-sources", "")),
        (FIRST_SAFE, ("--safe-mode",)),
        (NEW, ("--safe-mode", "--disable-slash-commands")),
    ],
)
def test_a_chat_has_no_tools_and_is_isolated_as_well_as_its_version_can(
    version: Version, flags: tuple[str, ...]
) -> None:
    line = command(version)

    assert line[line.index("--tools") + 1] == ""
    assert "--strict-mcp-config" in line
    assert line[-len(flags) :] == flags


def test_an_agent_is_the_users_own_claude_code_without_any_isolation() -> None:
    assert command(personality="agent")[-4:] == (
        *("--model", "sonnet"),
        *("--settings", '{"crossSessionInbound":"refuse"}'),
    )


@pytest.mark.parametrize("personality", ["chat", "agent"])
def test_no_process_takes_words_from_other_sessions(personality: Personality) -> None:
    argv = command(personality=personality)

    assert msgspec.json.decode(argv[argv.index("--settings") + 1])["crossSessionInbound"] == "refuse"


def test_limits_of_one_answer_are_for_agents_only() -> None:
    agent = command(personality="agent", max_turns=3, max_budget_usd=0.25)

    assert agent[-4:] == ("--max-turns", "3", "--max-budget-usd", "0.250000")
    assert not {"--max-turns", "--max-budget-usd"} & set(command(max_turns=3, max_budget_usd=0.25))


def test_a_permission_mode_is_for_agents_only() -> None:
    assert command(personality="agent", mode="plan")[-2:] == ("--permission-mode", "plan")
    assert "--permission-mode" not in command(personality="chat", mode="plan")


def test_where_callers_are_asked_the_cli_asks_the_relay_and_no_other_questions() -> None:
    agent = command(personality="agent", mode="ask", max_turns=3)

    assert agent[-8:] == (
        *("--permission-mode", "default", "--permission-prompt-tool", "stdio"),
        *("--disallowedTools", "AskUserQuestion", "--max-turns", "3"),
    )
    assert command(mode="ask") == command()


@pytest.mark.parametrize("mode", ["default", "acceptEdits", "auto", "dontAsk", "plan", "ask", None])
def test_permissions_are_never_skipped_unless_the_operator_says_so(mode: PermissionMode | None) -> None:
    line = " ".join(command(personality="agent", mode=mode))

    assert "bypass" not in line
    assert "dangerously" not in line


@pytest.mark.parametrize(
    "name",
    [
        "CLAUDECODE",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_EXTRA_BODY",
        "CLAUDE_CODE_SESSION_ID",
        "CLAUDE_RELAY_MODEL",
        "CLAUDE_RELAY_ANYTHING",
    ],
)
def test_what_would_bend_a_run_or_is_the_relays_own_is_left_out(name: str) -> None:
    assert name not in environ({name: "x", "HOME": "/home/user"})


def profiled(personality: Personality, **fields: Any) -> tuple[str, ...]:
    """Return the command line of a process of a profile, where agents have the mode ``plan``."""
    profile = Profile(name="docs", target="x", model="opus", personality=personality, **fields)
    return argv(InstallationFactory.build(version=NEW), personality, Settings(permission_mode="plan"), profile)


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({}, ("--permission-mode", "plan")),
        ({"permission": "acceptEdits"}, ("--permission-mode", "acceptEdits")),
        ({"tools": ("Read", "Grep")}, ("--permission-mode", "plan", "--tools", "Read,Grep")),
        ({"tools": ()}, ("--permission-mode", "plan", "--tools", "")),
        ({"mcp": "/m.json"}, ("--permission-mode", "plan", "--mcp-config", "/m.json", "--strict-mcp-config")),
    ],
)
def test_an_agent_of_a_profile_has_its_permissions_tools_and_servers(
    fields: dict[str, Any], flags: tuple[str, ...]
) -> None:
    line = profiled("agent", **fields)

    assert line[line.index("--settings") + 2 :] == flags
    assert line[line.index("--model") + 1] == "opus"


def test_a_chat_of_a_profile_is_like_any_other_but_for_its_model() -> None:
    assert profiled("chat", system="Be brief.") == tuple("opus" if part == "sonnet" else part for part in command())


@pytest.mark.parametrize(
    "name", ["HOME", "PATH", "ANTHROPIC_API_KEY", "HTTPS_PROXY", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CONFIG_DIR"]
)
@pytest.mark.parametrize("personality", ["agent", "chat"])
def test_the_users_way_of_logging_in_is_inherited(name: str, personality: Personality) -> None:
    assert environ({name: "x"}, personality)[name] == "x"


@pytest.mark.parametrize("personality", ["agent", "chat"])
def test_no_request_is_hidden_from_the_client_and_nothing_phones_home(personality: Personality) -> None:
    set_by_relay = environ({"CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "0"}, personality)

    assert set_by_relay["CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK"] == "1"
    assert set_by_relay["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == "1"
    assert set_by_relay["DISABLE_AUTOUPDATER"] == "1"
    assert set_by_relay["BUN_GC_TIMER_DISABLE"] == "1"


def test_a_chat_never_retries_for_its_client_knows_better() -> None:
    assert environ({})["CLAUDE_CODE_MAX_RETRIES"] == "0"
    assert int(environ({}, "agent")["CLAUDE_CODE_MAX_RETRIES"]) > 0


@pytest.mark.parametrize(
    ("personality", "version", "guarded"),
    [
        ("chat", OLD, True),
        ("chat", NEW, True),
        ("agent", OLD, True),
        ("agent", (2, 1, 329), True),
        ("agent", FIRST_COMPOSED, False),
        ("agent", NEW, False),
    ],
)
def test_a_path_in_a_question_never_reads_a_file_of_the_machine(
    personality: Personality, version: Version, guarded: bool
) -> None:
    assert ("CLAUDE_CODE_DISABLE_ATTACHMENTS" in environ({}, personality, version)) is guarded


@pytest.mark.parametrize(("version", "takes"), [(FIRST_SAFE, False), ((2, 1, 329), False), (FIRST_COMPOSED, True)])
def test_lines_are_marked_as_plain_text_since_the_version_that_knows_the_mark(version: Version, takes: bool) -> None:
    assert takes_client_composed(InstallationFactory.build(version=version)) is takes


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8082",
        "http://localhost:8082/v1",
        "http://127.0.0.1:8082/",
        "http://0.0.0.0:8082",
        "http://[::1]:8082",
        "http://LOCALHOST:8082",
    ],
)
def test_an_upstream_that_is_the_relay_itself_would_be_a_loop_and_is_left_out(url: str) -> None:
    assert "ANTHROPIC_BASE_URL" not in environ({"ANTHROPIC_BASE_URL": url})


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8083",
        "http://localhost",
        "https://gateway.example:8082",
        "http://localhost:no-port",
        "not an address",
        "",
        "http://[::1",
    ],
)
def test_any_other_upstream_is_the_users_choice(url: str) -> None:
    assert environ({"ANTHROPIC_BASE_URL": url})["ANTHROPIC_BASE_URL"] == url


def test_the_environment_that_was_given_is_not_changed() -> None:
    base = {"CLAUDECODE": "1", "ANTHROPIC_BASE_URL": "http://localhost:8082"}

    environ(base)

    assert base == {"CLAUDECODE": "1", "ANTHROPIC_BASE_URL": "http://localhost:8082"}


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ({}, False),
        ({"CLAUDE_CODE_ENABLE_TELEMETRY": "1"}, False),
        ({"CLAUDE_CODE_ENABLE_TELEMETRY": "1", "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1"}, True),
    ],
)
def test_the_cli_sends_spans_where_the_operator_has_switched_them_on(base: dict[str, str], *, expected: bool) -> None:
    assert traces(base) is expected
