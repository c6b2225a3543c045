"""Settings come from flags, variables, a file and defaults, in that order."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from claude_relay.access.keys import owner
from claude_relay.errors import SettingsError
from claude_relay.settings import Personality, Settings, options
from claude_relay.settings_loading import (
    distrust_directory,
    environment,
    export,
    is_exposed,
    keyring,
    load,
    metrics_key,
    publish,
    resolve,
    state_directory,
)

NAMES = [option.name for option in options()]


@pytest.fixture
def dotenv(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def loaded(dotenv: Path, flags: dict[str, object] | None = None, **environ: str) -> Settings:
    """Load with a file that the operator named, if it is there."""
    named = {"env_file": str(dotenv)} if dotenv.exists() else {}
    return replace(load({**named, **(flags or {})}, environ, dotenv), env_file=None)


def test_without_anything_the_defaults_hold(dotenv: Path) -> None:
    settings = loaded(dotenv)

    assert settings == Settings()
    assert (settings.host, settings.port, settings.personality) == ("0.0.0.0", 8082, "agent")


def test_flag_beats_environment_beats_file_beats_default(dotenv: Path) -> None:
    dotenv.write_text("CLAUDE_RELAY_PORT=1\nCLAUDE_RELAY_WARM=1\nCLAUDE_RELAY_MODEL=file\n")
    environ = {"CLAUDE_RELAY_PORT": "2", "CLAUDE_RELAY_WARM": "2"}

    settings = loaded(dotenv, {"port": 3, "warm": None}, **environ)

    assert (settings.port, settings.warm, settings.model, settings.host) == (3, 2, "file", "0.0.0.0")


def test_the_file_is_the_one_in_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text('CLAUDE_RELAY_MODEL="opus" # the big one\n')
    monkeypatch.chdir(tmp_path)

    assert load(environ={}).model == "opus"


def test_the_environment_is_the_processs_own_when_none_is_given(dotenv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_RELAY_MODEL", "haiku")

    assert load(dotenv=dotenv).model == "haiku"


@pytest.mark.parametrize("other", ["PORT", "RELAY_PORT", "claude_relay_port", "CLAUDE_RELAY_PORTS"])
def test_variables_of_others_mean_nothing(dotenv: Path, other: str) -> None:
    assert loaded(dotenv, None, **{other: "1"}) == Settings()


def test_an_empty_variable_is_one_that_was_not_given(dotenv: Path) -> None:
    dotenv.write_text("CLAUDE_RELAY_MODEL=\nCLAUDE_RELAY_CWD\n")

    assert loaded(dotenv, None, CLAUDE_RELAY_PORT="") == Settings()


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("true", True), ("True", True), ("0", False), ("false", False), ("False", False)]
)
def test_a_switch_is_read_as_people_write_it(dotenv: Path, text: str, value: bool) -> None:
    assert loaded(dotenv, None, CLAUDE_RELAY_RELOAD=text).reload is value


BAD: list[tuple[str, object, str]] = [
    ("history", "both", "native verbatim"),
    ("strict", "very", "bool"),
    ("reasoning", "some", "bool"),
    ("show_activity", "2", "bool"),
    ("port", "eighty", "int"),
    ("port", "0", ">= 1"),
    ("port", "65536", "<= 65535"),
    ("port", "80.5", "int"),
    ("personality", "butler", "agent chat"),
    ("runner", "gpt", "claude echo"),
    ("permission_mode", "yolo", "default acceptEdits auto dontAsk plan bypassPermissions"),
    ("warm", "-1", ">= 0"),
    ("warm", "65", "<= 64"),
    ("idle_timeout", "0", "> 0"),
    ("max_queue", "-1", ">= 0"),
    ("max_process_turns", "-1", ">= 0"),
    ("workers", "0", ">= 1"),
    ("max_body_size", "0", ">= 1"),
    ("api_key_file", "/no/such/keys", "cannot be read"),
    ("allow_origin", "app.example", "https://app.example"),
    ("allow_origin", "https://app.example/", "without a path"),
    ("trusted_proxy", "proxy.example", "10.0.0.0/8"),
    ("trusted_proxy", "10.0.0.1/8", "10.0.0.0/8"),
    ("trusted_proxy", "Unix", "--uds"),
    ("reload", "maybe", "bool"),
    ("drain_timeout", "-1", ">= 0"),
    ("drain_timeout", "soon", "int"),
    ("log_level", "loud", "debug info warning error"),
    ("cwd", "/no/such/directory", "directory"),
    ("claude_path", "/no/such/claude", "executable file"),
]


@pytest.mark.parametrize(("name", "value", "expected"), BAD)
@pytest.mark.parametrize("source", ["flag", "environment", "file"])
def test_a_bad_value_is_told_by_its_name_with_what_was_expected(
    dotenv: Path, source: str, name: str, value: str, expected: str
) -> None:
    variable = f"CLAUDE_RELAY_{name.upper()}"
    if source == "file":
        dotenv.write_text(f"{variable}={value}\n")

    with pytest.raises(SettingsError) as raised:
        loaded(
            dotenv,
            {name: value} if source == "flag" else None,
            **({variable: value} if source == "environment" else {}),
        )

    message = raised.value.message
    assert (f"--{name.replace('_', '-')}" if source == "flag" else variable) in message
    for word in expected.split():
        assert word in message
    assert repr(value) in message
    assert "\n" not in message


def test_an_empty_model_flag_is_refused(dotenv: Path) -> None:
    with pytest.raises(SettingsError, match=r"^--model: "):
        loaded(dotenv, {"model": ""})


@pytest.mark.parametrize("kind", ["directory", "plain file"])
def test_the_cli_must_be_an_executable_file(tmp_path: Path, dotenv: Path, kind: str) -> None:
    path = tmp_path / "claude"
    if kind == "directory":
        path.mkdir()
    else:
        path.write_text("")

    with pytest.raises(SettingsError, match="executable file"):
        loaded(dotenv, {"claude_path": str(path)})


def every_setting(tmp_path: Path) -> dict[str, Any]:
    """Return a value for each setting that is not its default."""
    claude = tmp_path / "my claude"
    claude.write_text("")
    claude.chmod(0o755)
    key_file = tmp_path / "keys"
    key_file.write_text("bob=of-the-file\n")
    numbers = {
        option.name: option.default + 1
        for option in options()
        if isinstance(option.default, int | float) and not option.switch
    }
    return {
        **{option.name: not option.default for option in options() if option.switch},
        **numbers,
        "host": "127.0.0.1",
        "port": 9000,
        "uds": str(tmp_path / "relay.sock"),
        "env_file": str(key_file),
        "api_keys": ("alice=correct-horse", "battery-staple"),
        "api_key_file": str(key_file),
        "metrics_key": "for-figures",
        "allow_origin": ("https://app.example", "*"),
        "trusted_proxy": ("10.0.0.5", "192.168.0.0/16"),
        "personality": "chat",
        "personality_for": ("alice=agent",),
        "runner": "echo",
        "model": "my model=x",
        "cwd": str(tmp_path),
        "claude_path": str(claude),
        "permission_mode": "plan",
        "history": "verbatim",
        "state_dir": str(tmp_path / "state"),
        "store_url": "valkey://:secret@127.0.0.1/3",
        "alias": ("gpt-4o=sonnet", "gpt-4o-mini=haiku:chat"),
        "profile": ("docs=sonnet:agent,cwd=~/docs,tools=Read+Grep", "pirate=haiku:chat"),
        "profiles": str(tmp_path / "profiles.toml"),
        "log_level": "debug",
        "log_format": "json",
    }


NEEDED = {"personality_for": ("api_keys",)}
"""Settings that mean nothing without others."""


@pytest.mark.parametrize("name", NAMES)
def test_what_is_exported_loads_again_one_by_one(tmp_path: Path, dotenv: Path, name: str) -> None:
    every = every_setting(tmp_path)
    settings = Settings(**{name: every[name] for name in (name, *NEEDED.get(name, ()))})

    assert load(None, export(settings), dotenv) == replace(settings, env_file=os.devnull) != Settings()


def test_what_is_exported_loads_again_all_at_once(tmp_path: Path, dotenv: Path) -> None:
    settings = Settings(**every_setting(tmp_path))

    assert load(None, export(settings), dotenv) == replace(settings, env_file=os.devnull)


def test_an_export_holds_against_a_file_that_says_otherwise(dotenv: Path) -> None:
    dotenv.write_text("CLAUDE_RELAY_PORT=1\nCLAUDE_RELAY_WARM=7\n")

    assert load(None, export(Settings()), dotenv) == Settings(env_file=os.devnull)
    assert load(None, {**export(Settings()), "CLAUDE_RELAY_ENV_FILE": str(dotenv)}).port == 8082


def test_settings_do_not_change_once_made() -> None:
    with pytest.raises(AttributeError):
        Settings().port = 1  # type: ignore[misc]


def test_published_variables_are_seen_by_later_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})

    publish({"CLAUDE_RELAY_PORT": "1"})

    assert environment() == {"CLAUDE_RELAY_PORT": "1"}


@pytest.mark.parametrize("own", [{}, {"PYTHONSAFEPATH": "x"}])
def test_what_workers_need_for_their_start_is_not_part_of_the_environment_that_an_agent_gets(
    monkeypatch: pytest.MonkeyPatch, own: dict[str, str]
) -> None:
    monkeypatch.setattr(os, "environ", dict(own))

    distrust_directory()

    assert os.environ["PYTHONSAFEPATH"]
    assert {name: value for name, value in environment().items() if not name.startswith("CLAUDE_RELAY_")} == own


def test_the_environment_is_handed_out_as_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"A": "1"})
    environment()["A"] = "2"

    assert os.environ["A"] == "1"


@pytest.mark.parametrize("option", options(), ids=NAMES)
def test_every_setting_describes_itself(option: Any) -> None:
    assert option.description
    assert option.variable == f"CLAUDE_RELAY_{option.name.upper()}"
    assert option.flag.replace("-", "_").strip("_") in {option.name, option.name.removesuffix("s")}
    assert option.default == getattr(Settings(), option.name)


def test_settings_that_take_few_values_name_them() -> None:
    choices = {option.name: option.choices for option in options() if option.choices}

    assert {"personality", "runner", "permission_mode", "history", "log_level"} <= set(choices)
    assert choices["personality"] == ("agent", "chat")
    assert {"strict", "reasoning", "show_activity", "reload"} <= {option.name for option in options() if option.switch}
    assert [option.name for option in options() if option.many] == [
        "api_keys",
        "allow_origin",
        "trusted_proxy",
        "personality_for",
        "alias",
        "profile",
    ]


def test_all_settings_are_plain_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(Settings()), type=Settings) == Settings()


# --- files that nobody named -----------------------------------------------------------------------------------------

MAY_NOT = {
    # who gets in
    *("host", "uds", "api_keys", "api_key_file", "metrics_key", "allow_origin", "trusted_proxy"),
    # what is executed, and where
    *("claude_path", "cwd", "reload", "env_file"),
    # with which permissions: an alias may make an agent of what the operator calls a plain model
    *("permission_mode", "alias", "personality_for", "profile", "profiles"),
    # where what callers say is kept
    *("state_dir", "store_url"),
    # whether what keeps callers apart is tried
    "self_test",
}


@pytest.mark.parametrize("url", ["valkey://h", "valkeys://h", "redis://:p@h:1/2", "rediss://h", "unix:///run/socket"])
def test_the_store_may_be_at_any_url_that_its_client_knows(dotenv: Path, url: str) -> None:
    assert load({"store_url": url}, {}, dotenv).store_url == url


@pytest.mark.parametrize("url", ["h:1", "http://:p4ss@h", "valkey:/p4ss", "ftp://p4ss"])
def test_a_store_elsewhere_is_refused_without_repeating_what_may_be_a_password(dotenv: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="STORE_URL") as raised:
        load({"store_url": url}, {}, dotenv)

    assert url not in str(raised.value)
    assert "p4ss" not in repr(Settings(store_url="valkey://:p4ss@h"))


@pytest.mark.parametrize(
    ("settings", "environ", "directory"),
    [
        (Settings(state_dir="/a"), {"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/a"),
        (Settings(), {"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/claude-relay"),
        (Settings(), {"XDG_STATE_HOME": "", "HOME": "/h"}, "/h/.local/state/claude-relay"),
    ],
)
def test_what_outlives_the_relay_is_in_the_users_directory(
    settings: Settings, environ: dict[str, str], directory: str
) -> None:
    assert state_directory(settings, environ) == Path(directory)


def test_every_setting_says_whether_a_file_that_nobody_named_may_set_it() -> None:
    assert {option.name for option in options() if option.restricted} == MAY_NOT
    for field in msgspec.structs.fields(Settings):
        info = msgspec.inspect.type_info(field.type)
        assert isinstance(info, msgspec.inspect.Metadata)
        assert isinstance((info.extra or {}).get("restricted"), bool), field.name


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_nobody_named_sets_what_is_harmless_and_nothing_else(
    tmp_path: Path, dotenv: Path, name: str
) -> None:
    every = every_setting(tmp_path)
    value, needed = every[name], {other: every[other] for other in NEEDED.get(name, ())}
    (variable,) = (option.variable for option in options() if option.name == name)
    dotenv.write_text(f"{variable}={export(Settings(**{name: value}))[variable]}\n" if name != "env_file" else "A=1\n")

    found = resolve(needed, {}, dotenv)

    assert getattr(found.settings, name) == (getattr(Settings(), name) if name in MAY_NOT else value)
    if name != "env_file":
        assert [option.name for option in (found.refused if name in MAY_NOT else found.taken)] == [name]
        assert (found.refusal is not None) is (name in MAY_NOT)
        named = resolve({**needed, "env_file": str(dotenv)}, {}, tmp_path / "another")
        assert getattr(named.settings, name) == value
        assert resolve(needed, {"CLAUDE_RELAY_ENV_FILE": str(dotenv)}).settings == named.settings.__class__(
            **{**needed, name: value, "env_file": str(dotenv)}
        )


def test_what_was_set_otherwise_is_neither_taken_nor_refused(dotenv: Path) -> None:
    dotenv.write_text("CLAUDE_RELAY_HOST=192.0.2.1\nCLAUDE_RELAY_PORT=1\nCLAUDE_RELAY_CWD=/\nCLAUDE_RELAY_WARM=\n")

    found = resolve({"host": "127.0.0.1"}, {"CLAUDE_RELAY_PORT": "2", "CLAUDE_RELAY_CWD": ""}, dotenv)

    assert (found.settings.host, found.settings.port, found.settings.cwd) == ("127.0.0.1", 2, None)
    assert (found.taken, found.refused, found.file, found.refusal) == ((), (), None, None)


def test_compose_hands_its_file_over_as_environment_so_everything_is_taken(dotenv: Path) -> None:
    dotenv.write_text("CLAUDE_RELAY_API_KEYS=theirs=not-a-good-key\n")

    assert load(None, {"CLAUDE_RELAY_API_KEYS": "me=correct-horse"}, dotenv).api_keys == ("me=correct-horse",)


def test_a_file_cannot_name_another(tmp_path: Path, dotenv: Path) -> None:
    other = tmp_path / "other"
    other.write_text("CLAUDE_RELAY_CWD=/\n")
    dotenv.write_text(f"CLAUDE_RELAY_ENV_FILE={other}\n")

    assert load(None, {}, dotenv).cwd is None
    assert load({"env_file": str(dotenv)}, {}).cwd is None


def test_a_file_that_nobody_named_learns_nothing_of_the_environment(
    dotenv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMEBODYS_SECRET", SECRET)
    dotenv.write_text("CLAUDE_RELAY_MODEL=x${SOMEBODYS_SECRET}\n")

    assert load(None, {}, dotenv).model == "x${SOMEBODYS_SECRET}"
    assert load({"env_file": str(dotenv)}, {}).model == f"x{SECRET}"


def test_a_file_may_begin_with_a_byte_order_mark(dotenv: Path) -> None:
    dotenv.write_bytes(b"\xef\xbb\xbfCLAUDE_RELAY_PORT=1\n")

    assert load(None, {}, dotenv).port == 1


def test_a_pipe_that_lies_there_is_not_waited_for(dotenv: Path) -> None:
    os.mkfifo(dotenv)

    assert load(None, {}, dotenv) == Settings()


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "settings"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(SettingsError, match=r"CLAUDE_RELAY_ENV_FILE \(--env-file\).*cannot be read"):
        load({"env_file": str(file)}, {})


# --- personalities ---------------------------------------------------------------------------------------------------

KEYS = "ann=correct-horse,webui=battery-staple"


def test_the_holder_of_a_key_may_get_another_personality_than_the_others(dotenv: Path) -> None:
    flags: dict[str, object] = {"personality": "agent", "personality_for": ("webui=chat", " ann = agent ")}
    settings = loaded(dotenv, flags, CLAUDE_RELAY_API_KEYS=KEYS)

    assert [settings.personality_of(caller) for caller in ("webui", "ann", "local", "")] == [
        *("chat", "agent", "agent", "agent")
    ]


@pytest.mark.parametrize("personality", ["agent", "chat"])
def test_without_a_choice_for_anybody_all_get_the_same(dotenv: Path, personality: Personality) -> None:
    settings = loaded(dotenv, {"personality": personality}, CLAUDE_RELAY_API_KEYS=KEYS)

    assert {settings.personality_of(caller) for caller in ("webui", "ann", "local")} == {personality}


@pytest.mark.parametrize("bad", ["webui", "webui=", "=chat", "webui=Chat", "webui=sonnet:chat", "ann=chat,webui"])
def test_a_choice_that_names_no_personality_is_told_by_the_variable(dotenv: Path, bad: str) -> None:
    with pytest.raises(SettingsError, match=r"CLAUDE_RELAY_PERSONALITY_FOR .*NAME=agent or NAME=chat"):
        loaded(dotenv, None, CLAUDE_RELAY_API_KEYS=KEYS, CLAUDE_RELAY_PERSONALITY_FOR=bad)


@pytest.mark.parametrize("bad", ["nobody=chat", "webui=chat,local=agent", "WEBUI=chat"])
def test_a_choice_for_a_key_that_does_not_exist_is_a_mistake(dotenv: Path, bad: str) -> None:
    with pytest.raises(SettingsError, match=r"CLAUDE_RELAY_PERSONALITY_FOR .*the name of a key"):
        loaded(dotenv, None, CLAUDE_RELAY_API_KEYS=KEYS, CLAUDE_RELAY_PERSONALITY_FOR=bad)


def test_a_choice_may_be_for_a_key_of_the_file(dotenv: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("webui=battery-staple\n")
    flags: dict[str, object] = {"api_key_file": str(tmp_path / "keys"), "personality_for": ("webui=chat",)}

    assert loaded(dotenv, flags).personality_of("webui") == "chat"


# --- aliases ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("gpt-4o=sonnet", {"gpt-4o": "sonnet"}),
        ("gpt-4o=sonnet,gpt-4o-mini=haiku:chat", {"gpt-4o": "sonnet", "gpt-4o-mini": "haiku:chat"}),
        (" gpt-4o = sonnet , ,o1=opus, ", {"gpt-4o": "sonnet", "o1": "opus"}),
        ("a=arn:aws:bedrock:x/y=z", {"a": "arn:aws:bedrock:x/y=z"}),
        ("a=b,a=c", {"a": "c"}),
    ],
)
def test_aliases_are_pairs_with_commas_between_them(dotenv: Path, text: str, pairs: dict[str, str]) -> None:
    assert loaded(dotenv, None, CLAUDE_RELAY_ALIAS=text).aliases == pairs


def test_aliases_on_the_command_line_are_given_one_by_one(dotenv: Path) -> None:
    flags: dict[str, object] = {"alias": ("gpt-4o=sonnet", "o1=opus")}

    assert loaded(dotenv, flags, CLAUDE_RELAY_ALIAS="x=y").aliases == {"gpt-4o": "sonnet", "o1": "opus"}


def test_a_flag_may_hold_several_aliases_with_commas_too(dotenv: Path) -> None:
    assert loaded(dotenv, {"alias": ("gpt-4o=sonnet,o1=opus",)}).aliases == {"gpt-4o": "sonnet", "o1": "opus"}


def test_a_flag_that_was_given_no_times_leaves_the_variable_alone(dotenv: Path) -> None:
    assert loaded(dotenv, {"alias": ()}, CLAUDE_RELAY_ALIAS="gpt-4o=sonnet").aliases == {"gpt-4o": "sonnet"}


@pytest.mark.parametrize("bad", ["gpt-4o", "=sonnet", "gpt-4o=", " = ", "good=one,bad"])
@pytest.mark.parametrize("source", ["environment", "file"])
def test_an_alias_that_is_no_pair_is_told_by_the_variable(dotenv: Path, source: str, bad: str) -> None:
    if source == "file":
        dotenv.write_text(f"CLAUDE_RELAY_ALIAS='{bad}'\n")

    with pytest.raises(SettingsError, match="CLAUDE_RELAY_ALIAS") as raised:
        loaded(dotenv, None, **({"CLAUDE_RELAY_ALIAS": bad} if source == "environment" else {}))

    assert "NAME=MODEL" in raised.value.message
    assert f"got {bad.rpartition(',')[2].strip()!r}" in raised.value.message


def test_aliases_are_read_once_and_nobody_changes_them(dotenv: Path) -> None:
    settings = loaded(dotenv, None, CLAUDE_RELAY_ALIAS="gpt-4o=sonnet")

    assert settings.aliases is settings.aliases
    with pytest.raises(TypeError):
        settings.aliases["o1"] = "opus"  # type: ignore[index]


def test_without_aliases_there_are_none(dotenv: Path) -> None:
    assert loaded(dotenv).aliases == {}
    assert loaded(dotenv, None, CLAUDE_RELAY_ALIAS=" , ").aliases == {}


def test_profiles_have_semicolons_between_them(dotenv: Path) -> None:
    lines = ("docs=sonnet:agent,cwd=~/docs", "pirate=haiku:chat,system=pirate.md")
    text = " ; ".join(lines)

    assert loaded(dotenv, None, CLAUDE_RELAY_PROFILE=text).profile == lines
    assert loaded(dotenv, {"profile": (lines[0], f"{lines[1]};")}).profile == lines


def test_an_alias_shows_no_default_in_the_help() -> None:
    (alias,) = (option for option in options() if option.name == "alias")

    assert alias.default_text == ""


# --- keys ------------------------------------------------------------------------------------------------------------


def names(settings: Settings) -> list[str]:
    return [key.name for key in keyring(settings)]


def test_keys_come_from_the_flag_the_variable_and_a_file(tmp_path: Path, dotenv: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# of the office\n\n  bob = of-the-file \nno-name-at-all\n#carol=not-any-more\n")
    environ = {"CLAUDE_RELAY_API_KEYS": "alice=of-the-variable, nameless-key", "CLAUDE_RELAY_API_KEY_FILE": str(file)}

    assert names(loaded(dotenv, None, **environ)) == ["alice", "key-2", "bob", "key-4"]
    assert names(loaded(dotenv, {"api_keys": ("dave=of-the-flag",)}, **environ)) == ["dave", "bob", "key-3"]
    assert names(loaded(dotenv, {"api_keys": ("a=of-the-flag", "b=of-a-flag")})) == ["a", "b"]
    assert names(loaded(dotenv)) == []


def test_the_key_for_figures_is_none_of_the_keys_that_let_callers_in(dotenv: Path) -> None:
    settings = loaded(dotenv, None, CLAUDE_RELAY_API_KEYS="me=correct-horse", CLAUDE_RELAY_METRICS_KEY="figures=alone")

    found = metrics_key(settings)

    assert names(settings) == ["me"]
    assert found is not None
    assert (found.name, owner([found], [b"figures=alone"])) == ("metrics", "metrics")
    assert metrics_key(loaded(dotenv, None, CLAUDE_RELAY_METRICS_KEY="")) is None
    assert "alone" not in repr(settings)


@pytest.mark.parametrize("text", ["short", "of two words", "correct-horse"])
def test_a_bad_key_for_figures_and_one_that_lets_callers_in_too_are_refused(text: str, dotenv: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        loaded(dotenv, None, CLAUDE_RELAY_API_KEYS="me=correct-horse", CLAUDE_RELAY_METRICS_KEY=text)

    assert raised.value.message.startswith("CLAUDE_RELAY_METRICS_KEY (--metrics-key): expected ")
    assert text not in raised.value.message


SECRET = "sEcReTsEcReT"


@pytest.mark.parametrize(
    "text",
    ["sEcReT", "alice=sEcReT", f"alice={SECRET},alice=other-key", f"{SECRET},{SECRET}", f"{SECRET} {SECRET}", ","],
)
@pytest.mark.parametrize("source", ["flag", "environment", "file"])
def test_a_bad_key_is_told_by_the_settings_name_and_never_shown(dotenv: Path, source: str, text: str) -> None:
    if source == "file":
        dotenv.write_text(f"CLAUDE_RELAY_API_KEYS='{text}'\n")

    with pytest.raises(SettingsError) as raised:
        loaded(
            dotenv,
            {"api_keys": (text,)} if source == "flag" else None,
            **({"CLAUDE_RELAY_API_KEYS": text} if source == "environment" else {}),
        )

    assert raised.value.message.startswith("CLAUDE_RELAY_API_KEYS (--api-key): key ")
    assert "sEcReT" not in raised.value.message


@pytest.mark.parametrize("flags", [("",), (" ",), ("alice=correct-horse", "")])
def test_an_empty_key_is_a_mistake_and_not_no_key(dotenv: Path, flags: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="--api-key"):
        loaded(dotenv, {"api_keys": flags})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has none"),
        (b"# nobody\n\n", "has none"),
        (b"alice=correct-horse\nbob=sEcReT\n", "line 2: expected a key of 8"),
        (b"# two\n\nalice=sEcReTsEcReT\nbob=sEcReTsEcReT\n", "line 4: expected another key"),
        (b"sEcReT\xff\xfe", "it is no text"),
        (None, "No such file"),
    ],
)
def test_a_bad_file_of_keys_is_told_and_its_keys_are_not(
    tmp_path: Path, dotenv: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(SettingsError) as raised:
        loaded(dotenv, {"api_key_file": str(file)})

    assert raised.value.message.startswith("CLAUDE_RELAY_API_KEY_FILE (--api-key-file): ")
    assert words in raised.value.message
    assert "sEcReT" not in raised.value.message


def test_settings_show_all_but_their_keys() -> None:
    settings = Settings(api_keys=(f"alice={SECRET}",), model="opus")

    for shown in (repr(settings), str(settings), f"{settings}", f"{[settings]}"):
        assert SECRET not in shown
        assert "model='opus'" in shown


@pytest.mark.parametrize(("mode", "exposed"), [(0o600, False), (0o640, True), (0o604, True), (0o400, False)])
def test_a_file_that_others_may_read_is_noticed(tmp_path: Path, mode: int, exposed: bool) -> None:
    file = tmp_path / "keys"
    file.touch()
    file.chmod(mode)

    assert is_exposed(str(file)) is exposed


# --- permissions -----------------------------------------------------------------------------------------------------


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the process be another user's."""
    return lambda number: monkeypatch.setattr(os, "geteuid", lambda: number)


@pytest.mark.parametrize(
    ("choices", "allowed"),
    [
        ({}, False),
        ({"host": "192.0.2.2"}, False),
        ({"host": "127.0.0.1"}, True),
        ({"host": "localhost"}, True),
        ({"host": "::1"}, True),
        ({"api_keys": ("correct-horse",)}, True),
        ({"uds": "relay.sock"}, True),
    ],
)
def test_an_agent_may_do_anything_only_for_callers_that_the_operator_knows(
    dotenv: Path, user: Callable[[int], None], choices: dict[str, object], allowed: bool
) -> None:
    user(1000)
    flags = {**choices, "permission_mode": "bypassPermissions"}

    if allowed:
        assert loaded(dotenv, flags).permission_mode == "bypassPermissions"
        return
    with pytest.raises(SettingsError, match=r"CLAUDE_RELAY_PERMISSION_MODE .*--api-key.*--host 127\.0\.0\.1"):
        loaded(dotenv, flags)


@pytest.mark.parametrize("mode", ["default", "acceptEdits", "plan", None])
def test_other_modes_need_none_of_this(dotenv: Path, user: Callable[[int], None], mode: str | None) -> None:
    user(0)

    assert loaded(dotenv, {"permission_mode": mode}).permission_mode == mode


@pytest.mark.parametrize(
    ("environ", "allowed"), [({}, False), ({"IS_SANDBOX": "1"}, True), ({"IS_SANDBOX": "0"}, False)]
)
def test_root_may_not_let_an_agent_do_anything_but_in_a_sandbox(
    dotenv: Path, user: Callable[[int], None], environ: dict[str, str], allowed: bool
) -> None:
    user(0)
    flags: dict[str, object] = {"permission_mode": "bypassPermissions", "host": "127.0.0.1"}

    if allowed:
        assert loaded(dotenv, flags, **environ).permission_mode == "bypassPermissions"
        return
    with pytest.raises(SettingsError, match=r"root.*IS_SANDBOX=1.*another user"):
        loaded(dotenv, flags, **environ)


def test_a_file_cannot_say_that_this_is_a_sandbox(dotenv: Path, user: Callable[[int], None]) -> None:
    user(0)
    dotenv.write_text("IS_SANDBOX=1\n")

    with pytest.raises(SettingsError, match="IS_SANDBOX"):
        loaded(dotenv, {"permission_mode": "bypassPermissions", "host": "127.0.0.1"})


def test_nobody_skips_permissions_who_did_not_ask_for_it() -> None:
    assert Settings().permission_mode is None
