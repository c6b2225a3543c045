"""Profiles over HTTP: who sees which, and what a request for one asks of the engine, whatever the family."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.vocabulary import Event, RunRequest
from claude_relay.errors import SettingsError
from claude_relay.settings import Settings
from claude_relay.store import memory
from tests.callers import ELSEWHERE, calling

Client = TestClient[Litestar]
TEAM, GUEST = ({"authorization": f"Bearer {key}"} for key in ("team-team-team", "guest-guest"))
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


class Recording(EchoRunner):
    """An echo that knows what it was asked."""

    def __init__(self) -> None:
        self.asked: list[RunRequest] = []

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        self.asked.append(request)
        async for event in super().run(request):
            yield event


@pytest.fixture
def runner() -> Recording:
    return Recording()


@pytest.fixture
def client(runner: Recording, tmp_path: Path) -> Iterator[Client]:
    """A relay with a profile for everybody, and one for the team."""
    (tmp_path / "pirate.md").write_text("Speak like a pirate.")
    settings = Settings(
        api_keys=("team=team-team-team", "guest=guest-guest"),
        profile=(f"docs=sonnet,cwd={tmp_path},key=team", f"pirate=haiku:chat,system={tmp_path}/pirate.md"),
    )
    with calling(create_app(settings, runner, open_store=memory.open_store), ELSEWHERE) as running:
        yield running


REQUESTS = [
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello"}]}),
    ("/v1/responses", {"input": "Hello"}),
    # as Cursor asks
    ("/v1/chat/completions", {"input": [{"role": "user", "content": "Hello"}]}),
]


@pytest.mark.parametrize(("key", "names"), [(TEAM, ["docs", "pirate"]), (GUEST, ["pirate"])])
def test_a_caller_sees_the_profiles_that_are_for_them(client: Client, key: dict[str, str], names: list[str]) -> None:
    listed = [model["id"] for model in client.get("/v1/models", headers=key).json()["data"]]

    assert listed == ["echo", "echo:chat", "echo:agent", *names]


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_a_request_for_a_profile_is_answered_by_it_under_its_own_name(
    client: Client, runner: Recording, tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    response = client.post(path, headers=TEAM, json={"model": "docs", **body})

    assert (response.status_code, response.json()["model"]) == (200, "docs")
    (asked,) = runner.asked
    assert asked.profile is not None
    assert (asked.profile.name, asked.profile.cwd) == ("docs", str(tmp_path))
    assert (asked.model, asked.personality, asked.instructions) == ("sonnet", "agent", None)


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_each_of_several_answers_and_large_bodies_are_the_profiles_too(
    client: Client, runner: Recording, path: str, body: dict[str, Any]
) -> None:
    more = {"n": 2} if "messages" in body else {"metadata": {"a": "b"}}
    asked = {"model": "pirate", **body, **more, "user": "x" * 70_000}
    assert client.post(path, headers=GUEST, json=asked).status_code == 200

    assert {run.profile and run.profile.name for run in runner.asked} == {"pirate"}
    assert {run.instructions for run in runner.asked} == {"Speak like a pirate."}
    assert len(runner.asked) == more.get("n", 1)


@pytest.mark.parametrize(("path", "body"), REQUESTS)
@pytest.mark.parametrize("name", ["docs", "pirate:agent", "Pirate", "other"])
def test_to_who_may_not_use_it_and_under_another_name_it_is_a_model_like_any_unknown_one(
    client: Client, runner: Recording, path: str, body: dict[str, Any], name: str
) -> None:
    assert client.post(path, headers=GUEST, json={"model": name, **body}).status_code == 200

    (asked,) = runner.asked
    assert asked.profile is None
    assert asked.model == name.removesuffix(":agent")


def test_what_is_told_of_a_profile_of_others_is_what_is_told_of_any_name(client: Client) -> None:
    hidden, unknown = (client.get(f"/v1/models/{name}", headers=GUEST).json() for name in ("docs", "other"))

    assert hidden == {**unknown, "id": "docs", "display_name": "docs"}


def test_a_profile_stays_what_it_is_for_who_brings_tools(client: Client, runner: Recording) -> None:
    body = {"model": "docs", "messages": [{"role": "user", "content": "Hello"}], "tools": [TOOL]}
    response = client.post("/v1/chat/completions", headers=TEAM, json=body)

    assert response.headers["x-claude-relay-personality"] == "agent"
    assert [tool.name for tool in runner.asked[0].tools] == ["weather"]


def test_the_next_turn_of_a_response_may_be_another_profiles(client: Client, runner: Recording) -> None:
    first = client.post("/v1/responses", headers=TEAM, json={"model": "docs", "input": "Hello"}).json()
    body = {"model": "pirate", "input": "And now?", "previous_response_id": first["id"]}

    assert client.post("/v1/responses", headers=TEAM, json=body).json()["model"] == "pirate"
    assert [run.profile and run.profile.name for run in runner.asked] == ["docs", "pirate"]
    assert [run.instructions for run in runner.asked] == [None, "Speak like a pirate."]


def test_a_bad_profile_stops_an_application_before_it_starts() -> None:
    with pytest.raises(SettingsError, match="no-such"):
        create_app(Settings(profile=("docs=sonnet:agent,cwd=/no-such",)), EchoRunner())
