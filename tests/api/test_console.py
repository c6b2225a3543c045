"""The console's page and routes: who may load what, and who is told what."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from claude_relay.asgi import create_app
from claude_relay.console import page
from claude_relay.settings import Settings
from claude_relay.store import memory
from claude_relay.web.protocol import BoundedProtocol
from tests.callers import ELSEWHERE, LOCAL, calling
from tests.serving import serving

FILES = sorted((Path(page.__file__).parent / "static").iterdir())
HTML = {"accept": "text/html,*/*"}
ANN, BOB = "secret-key-of-ann", "secret-key-of-bob"


def of(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture(scope="module", params=[(), (f"ann={ANN}", f"bob={BOB}")], ids=["no keys", "keys"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    settings = Settings(runner="echo", api_keys=request.param, workers=2)
    app = create_app(settings, open_store=memory.open_store)
    config = uvicorn.Config(app, port=0, http=BoundedProtocol, log_config=None, timeout_graceful_shutdown=1)
    with serving(config) as (_, port):
        yield f"http://127.0.0.1:{port}"


def chat(url: str, key: str, content: str) -> httpx.Response:
    body = {"model": "sonnet", "messages": [{"role": "user", "content": content}]}
    return httpx.post(f"{url}/v1/chat/completions", json=body, headers=of(key), timeout=20)


def told(url: str, key: str, until: str) -> list[dict[str, Any]]:
    """Return what the console tells, up to something."""
    found = []
    with httpx.stream("GET", f"{url}/v1/console/events", headers=of(key), timeout=10) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
                if until in line:
                    break
    return found


def test_what_goes_on_is_told_to_whose_it_is(url: str, request: pytest.FixtureRequest) -> None:
    has_keys = "no keys" not in request.node.name
    chat(url, ANN, "the secret of ann")
    chat(url, BOB, "!echo error=503\nx")

    served, usage, *rest = told(url, ANN, '"requests":[')

    assert served["caller"] == ("ann" if has_keys else "local")
    assert served["workers"] == 2
    assert {"/v1/chat/completions", "/v1/responses", "/v1/console"} <= set(served["paths"])
    requests = next(event["requests"] for event in rest if "requests" in event)
    # programs of one user are one account, whatever dummy key each sends
    assert [one["status"] for one in requests] == ([200] if has_keys else [200, 503])
    (minute,) = usage["minutes"]
    assert (minute["requests"], minute["errors"]) == ((1, 0) if has_keys else (2, 1))
    assert "secret" not in json.dumps([served, usage, rest])


def test_stored_responses_are_listed_and_read_by_whose_they_are(url: str, request: pytest.FixtureRequest) -> None:
    has_keys = "no keys" not in request.node.name
    body = {"model": "sonnet", "input": "kept words", "instructions": "be brief"}
    kept = httpx.post(f"{url}/v1/responses", json=body, headers=of(BOB)).json()

    own, others = (httpx.get(f"{url}/v1/console/responses", headers=of(key)).json()["data"] for key in (BOB, ANN))
    read, refused = (httpx.get(f"{url}/v1/console/responses/{kept['id']}", headers=of(key)) for key in (BOB, ANN))

    assert [(one["id"], one["title"], one["status"]) for one in own] == [(kept["id"], "kept words", "completed")]
    assert read.json()["response"]["instructions"] == "be brief"
    assert read.json()["input"][0]["content"][0]["text"] == "kept words"
    assert others == ([] if has_keys else own)
    assert refused.status_code == (404 if has_keys else 200)
    assert httpx.get(f"{url}/v1/console/responses/resp_x", headers=of(BOB)).json()["error"]["code"] == "not_found"


def test_a_kept_response_is_stopped_by_whose_it_is(url: str) -> None:
    body = {"model": "sonnet", "input": "!echo interval=0.1 repeat=1000\nx", "stream": True, "background": True}
    with httpx.stream("POST", f"{url}/v1/responses", json=body, headers=of(ANN), timeout=20) as stream:
        lines = (line for line in stream.iter_lines() if line.startswith("data: "))
        response = json.loads(next(lines)[6:])["response"]["id"]
        assert httpx.post(f"{url}/v1/console/responses/{response}/stop", headers=of(ANN)).status_code == 204
        assert any("response.cancelled" in line or '"cancelled"' in line for line in lines)


def test_an_unknown_approval_is_not_found(url: str) -> None:
    answer = httpx.post(f"{url}/v1/console/approvals/mcpr_x", json={"approve": True}, headers=of(ANN))

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "approval_not_found")


def test_the_page_and_its_files_are_guarded_against_other_scripts() -> None:
    with calling(create_app(Settings(runner="echo"))) as client:
        answers = [client.get("/", headers=HTML), *(client.get(f"{page.FILES}/{file.name}") for file in FILES)]

    for answer in answers:
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert [answer.headers["content-type"].partition(";")[0] for answer in answers[:1]] == ["text/html"]


def test_the_page_loads_nothing_from_elsewhere_and_has_nothing_inline() -> None:
    for file in FILES:
        text = file.read_text()
        links = set(re.findall(r"https?://[^\s\"'`)]+", text))
        assert links <= {"http://www.w3.org/2000/svg"}, file.name
        assert not re.search(r"innerHTML|insertAdjacentHTML|eval\(|document\.write|\.style\b", text), file.name
    html = (Path(page.__file__).parent / "static/index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", html)


def test_clients_of_the_api_get_json() -> None:
    with calling(create_app(Settings(runner="echo"))) as client:
        for accept in ("*/*", "application/json"):
            answer = client.get("/", headers={"accept": accept})
            assert (answer.status_code, answer.json()["name"], answer.json()["needs_key"]) == (
                200,
                "claude-relay",
                False,
            )
        assert client.head("/").status_code == 200
        assert client.get("/", headers={"accept": "*/*", "host": "evil.example"}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/console/files/main.js"])
def test_without_a_key_the_page_is_for_this_machine_alone(path: str) -> None:
    with calling(create_app(Settings(runner="echo")), ELSEWHERE) as client:
        assert client.get(path, headers=HTML).status_code == 401


@pytest.mark.parametrize("peer", [LOCAL, ELSEWHERE])
def test_with_a_key_the_page_is_for_all_and_what_it_asks_for_is_not(peer: str) -> None:
    with calling(create_app(Settings(runner="echo", api_keys=(f"ann={ANN}",))), peer) as client:
        assert client.get("/", headers=HTML).status_code == 200
        assert client.get("/").json()["needs_key"] is True
        assert client.get("/console/files/main.js").status_code == 200
        for path in ("events", "responses", "responses/resp_1", "files/../events"):
            assert client.get(f"/v1/console/{path}").status_code == 401
        assert client.post("/v1/console/approvals/mcpr_1", json={"approve": True}).status_code == 401
        assert client.post("/", json={}).status_code == 401


@pytest.mark.parametrize(
    "path", ["/console/files/../controller.py", "/console/files/%2e%2e/page.py", "/console/files/x"]
)
def test_no_other_file_is_served(path: str) -> None:
    with calling(create_app(Settings(runner="echo"))) as client:
        assert client.get(path).status_code == 404


def test_the_operator_can_do_without() -> None:
    settings = Settings(runner="echo", console=False)
    with calling(create_app(settings)) as client:
        for path in ("/", "/console/files/main.js", "/v1/console/events", "/v1/console/responses"):
            assert client.get(path, headers=HTML).status_code == 404
    with calling(create_app(Settings(runner="echo", console=False, api_keys=(f"ann={ANN}",)))) as client:
        assert client.get("/", headers=HTML).status_code == 401


def test_programs_of_users_that_nobody_knows_see_nothing_of_each_other() -> None:
    with calling(create_app(Settings(runner="echo"), open_store=memory.open_store)) as client:
        client.post("/v1/responses", json={"model": "sonnet", "input": "kept"}, headers=of("dummy"))

        assert client.get("/v1/console/responses").json() == {"data": []}
        assert len(client.get("/v1/console/responses", headers=of("dummy")).json()["data"]) == 1


def test_nothing_is_listed_where_nothing_is_kept() -> None:
    with calling(create_app(Settings(runner="echo", store=False))) as client:
        assert client.get("/v1/console/responses").json() == {"data": []}
        assert client.get("/v1/console/responses/resp_1").status_code == 404
        assert client.post("/v1/console/responses/resp_1/stop").status_code == 204
