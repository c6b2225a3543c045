"""What Codex CLI is told of the relay and its models."""

import json
import tomllib

import pytest

from claude_relay.commands import codex
from tests.docs.pages import ROOT


def test_the_configuration_names_the_relay_the_model_and_the_catalog() -> None:
    read = tomllib.loads(codex.config("https://relay.example/v1", "opus"))

    assert (read["model"], read["model_catalog_json"]) == ("opus", codex.CATALOG)
    provider = read["model_providers"][read["model_provider"]]
    assert (provider["base_url"], provider["wire_api"]) == ("https://relay.example/v1", "responses")


def test_the_page_shows_what_is_printed() -> None:
    printed = codex.config("http://127.0.0.1:8082/v1", "sonnet")

    assert f"```toml\n{printed}```" in (ROOT / "docs/clients/codex.md").read_text()


@pytest.mark.parametrize("name", ['a"b', "a\\b", "Grüße 🎈", "a\nb", "\x01", "\x7f"])
def test_a_name_of_any_characters_is_read_as_it_was(name: str) -> None:
    assert tomllib.loads(codex.config(name, name))["model"] == name
    assert json.loads(codex.catalog([name]))["models"][0]["slug"] == name


def test_the_catalog_has_each_model_once_the_first_one_first() -> None:
    models = json.loads(codex.catalog(("opus", *codex.MODELS)))["models"]

    assert [(model["slug"], model["priority"]) for model in models] == [("opus", 1), ("sonnet", 2), ("haiku", 3)]
    assert {model["apply_patch_tool_type"] for model in models} == {"freeform"}
