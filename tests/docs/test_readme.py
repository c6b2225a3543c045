"""What the README and the docs promise is true, word for word."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_relay.chat.parameters import PARAMETERS
from claude_relay.completions.parameters import PARAMETERS as OF_COMPLETIONS
from claude_relay.messages.parameters import PARAMETERS as OF_MESSAGES
from claude_relay.responses.parameters import PARAMETERS as OF_RESPONSES
from claude_relay.settings import options
from claude_relay.web.parameters import Parameter
from tests.docs.pages import error_codes
from tests.live.relay import Relay, clean_environment, relay
from tests.upstream import FakeUpstream

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PROMISED = "http://localhost:8082"


def _block(language: str, containing: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    (found,) = [block for block in blocks if containing in block]
    return str(found)


@pytest.fixture(scope="module")
def running(
    shared_upstream: FakeUpstream, claude_path: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Relay]:
    home = tmp_path_factory.mktemp("readme")
    shared_upstream.clear()
    with relay(home, clean_environment(home, shared_upstream), claude_path=claude_path) as found:
        yield found


def test_the_python_example_works_as_it_stands(running: Relay, capsys: pytest.CaptureFixture[str]) -> None:
    exec(_block("python", "OpenAI").replace(PROMISED, running.url), {})
    assert capsys.readouterr().out == "Hello from fake upstream." * 2 + "\n"


def test_the_curl_example_works_as_it_stands(running: Relay) -> None:
    command = shlex.split(_block("console", "curl").replace(PROMISED, running.url))
    answer = subprocess.run([*command, "--silent"], check=True, capture_output=True, text=True, timeout=60).stdout
    assert answer.count("data: ") == 6
    assert answer.endswith("data: [DONE]\n\n")


def test_the_two_commands_stand_at_the_top() -> None:
    commands = [line.split("#")[0].strip() for line in _block("console", "pytest").splitlines()]
    assert commands == ["uv run claude-relay serve", "uv run pytest"]


@pytest.mark.parametrize("page", [".env.example", "docs/configuration.md"])
def test_every_setting_is_documented_with_its_meaning(page: str) -> None:
    text = re.sub(r"\s*\n# ?", " ", (ROOT / page).read_text())
    for option in options():
        assert option.variable in text, option.variable
        assert option.description in text, option.description
        for choice in option.choices:
            assert choice in text


def test_it_is_documented_which_settings_a_file_that_nobody_named_may_not_set() -> None:
    restricted = [option for option in options() if option.restricted]
    page = (ROOT / "docs/configuration.md").read_text()
    listed = page[page.index("the greeting warns of each") : page.index("The others are taken")]

    assert re.findall(r"`(--[a-z-]+)`", listed) == [option.flag for option in restricted]
    marked = re.findall(r"^# \(\*\)\n#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert marked == [option.variable for option in restricted]


@pytest.mark.parametrize(
    ("page", "parameters"),
    [("api", PARAMETERS), ("responses", OF_RESPONSES), ("messages", OF_MESSAGES), ("completions", OF_COMPLETIONS)],
)
def test_the_table_of_parameters_is_the_codes_own(page: str, parameters: tuple[Parameter, ...]) -> None:
    rows = [line for line in (ROOT / f"docs/{page}.md").read_text().splitlines() if line.startswith("| `")]
    wanted = [f"| `{known.name}` | {known.chat} | {known.agent} | {known.meaning} |" for known in parameters]
    assert [row for row in rows if row.split("|")[2].strip() in {"supported", "ignored", "refused"}] == wanted


def test_every_error_code_is_documented() -> None:
    pages = [(ROOT / f"docs/{name}.md").read_text() for name in ("api", "responses", "messages")]
    documented = set(re.findall(r"`([a-z_]+)`", "\n".join(pages)))
    for module, used in error_codes().items():
        assert used <= documented, module
