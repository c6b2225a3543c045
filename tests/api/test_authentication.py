"""Every endpoint authenticates, before it reads a body, and refuses in the one shape of errors."""

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from claude_relay import __version__
from claude_relay.access.throttle import FREE
from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.engine.limits.limited import limited
from claude_relay.engine.limits.quotas import quotas
from claude_relay.engine.vocabulary import RunRequest
from claude_relay.settings import Settings
from claude_relay.store.counters import MemoryCounters
from tests.api.conftest import Client
from tests.api.sockets import answer, connected, head, listening
from tests.callers import ELSEWHERE, calling

HELLO = {"messages": [{"role": "user", "content": "hi"}]}
KEY = {"authorization": "Bearer correct-horse"}
DOORS = [
    ("GET", "/v1/models"),
    ("GET", "/models/sonnet"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/chat/completions"),
    ("GET", "/chat/completions"),
    ("OPTIONS", "/v1/models"),
    ("HEAD", "/v1/models"),
    ("DELETE", "/v1/models"),
    ("FROB", "/v1/models"),
    ("POST", "/health"),
    ("POST", "/"),
    ("GET", "/console"),
    ("GET", "/v1/console/events"),
    ("GET", "/nothing"),
    ("GET", "/v1/nothing"),
    ("GET", "/favicon.ico"),
]
DOCUMENTATION = [
    ("GET", "/schema"),
    ("GET", "/schema/swagger"),
    ("GET", "/schema/openapi.json"),
    ("GET", "/schema/assets/swagger-ui.css"),
    ("GET", "/"),
    ("GET", "/console/files/main.js"),
]


def app(**choices: object) -> Any:
    return create_app(Settings(**choices), EchoRunner())  # type: ignore[arg-type] # fields by their names


@pytest.fixture(scope="module")
def stranger() -> Iterator[Client]:
    """A client on another machine; the operator set no key."""
    with calling(app(), ELSEWHERE) as client:
        yield client


@pytest.fixture(scope="module")
def keyed() -> Iterator[Client]:
    """A client on another machine; the operator set a key."""
    with calling(app(api_keys=("alice=correct-horse",)), ELSEWHERE) as client:
        yield client


@pytest.fixture
def guessed() -> Iterator[Client]:
    """A client on another machine, which has sent no wrong key yet."""
    with calling(app(api_keys=("alice=correct-horse",)), ELSEWHERE) as client:
        yield client


def assert_refused(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status
    assert re.fullmatch(r"req_\w{32}", response.headers["x-request-id"])
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    if response.request.method != "HEAD":
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["code"] == code
        assert error["type"] == {401: "authentication_error", 403: "permission_error"}.get(
            status, "invalid_request_error"
        )


@pytest.mark.parametrize(("method", "path"), [*DOORS, *DOCUMENTATION])
def test_without_a_key_every_door_is_closed_to_other_machines(stranger: Client, method: str, path: str) -> None:
    assert_refused(stranger.request(method, path, headers=KEY), 401, "local_only")


@pytest.mark.parametrize(("method", "path"), DOORS)
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer unused"}, {"x-api-key": "alice"}])
def test_with_a_key_every_door_is_closed_to_who_has_it_not(
    keyed: Client, method: str, path: str, headers: dict[str, str]
) -> None:
    assert_refused(keyed.request(method, path, headers=headers), 401, "invalid_api_key")


@pytest.mark.parametrize(("method", "path"), DOCUMENTATION)
def test_with_a_key_anybody_may_read_the_documentation_so_that_it_can_ask_for_the_key(
    keyed: Client, method: str, path: str
) -> None:
    assert keyed.request(method, path).status_code == 200


def test_the_documentation_asks_for_the_key(keyed: Client) -> None:
    document = keyed.get("/schema/openapi.json").json()

    (scheme,) = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert document["security"] == [{name: []} for name in document["components"]["securitySchemes"]] + [{}]


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key"])
def test_who_has_a_key_is_served_from_anywhere(keyed: Client, header: str) -> None:
    value = "Bearer correct-horse" if header == "authorization" else "correct-horse"
    anywhere = {header: value, "origin": "https://app.example", "host": "relay.example", "x-forwarded-for": "1.2.3.4"}

    answered = keyed.post("/v1/chat/completions", json=HELLO, headers=anywhere)

    assert answered.status_code == 200
    assert answered.headers["access-control-allow-origin"] == "*"
    assert keyed.get("/nothing", headers=anywhere).status_code == 404


@pytest.mark.parametrize("path", ["/health", "/v1/health", "/health/"])
def test_a_probe_is_told_the_status_and_nothing_else(keyed: Client, stranger: Client, path: str) -> None:
    for probe in (keyed, stranger):
        assert probe.get(path).json() == {"status": "ok"}
    known = keyed.get(path, headers=KEY).json()
    assert (known["version"], known["runner"]) == (__version__, "echo")


def test_a_page_of_elsewhere_sees_the_status_too_and_nothing_else(client: Client) -> None:
    assert client.get("/health", headers={"origin": "https://evil.example"}).json() == {"status": "ok"}
    assert client.get("/health").json()["runner"] == "echo"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"origin": "https://evil.example"}, 403, "origin_not_allowed"),
        ({"host": "evil.example:8082", "origin": "http://evil.example:8082"}, 403, "host_not_allowed"),
        ({"sec-fetch-site": "cross-site"}, 403, "origin_not_allowed"),
        ({"x-forwarded-for": "203.0.113.9"}, 401, "local_only"),
        ({"origin": "http://localhost:3000", "content-type": "text/plain"}, 415, "unsupported_media_type"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/nothing", "/schema/openapi.json"])
def test_a_page_behind_the_users_back_is_refused_in_words_it_can_read(
    client: Client, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    response = client.post(path, content=json.dumps(HELLO), headers={"content-type": "application/json", **headers})

    assert_refused(response, status, code)
    if "origin" in headers:
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["access-control-expose-headers"] == "*"


def test_preflights_are_answered_so_that_a_page_can_read_its_refusal(stranger: Client, keyed: Client) -> None:
    asked = {"origin": "https://a.example", "access-control-request-method": "POST"}

    for client in (stranger, keyed):
        answered = client.options("/v1/chat/completions", headers=asked)
        assert (answered.status_code, answered.headers["access-control-allow-origin"]) == (204, "*")


def test_a_page_that_the_operator_allows_is_served() -> None:
    with calling(app(allow_origin=("https://app.example",))) as client:
        for origin, status in (("https://app.example", 200), ("https://evil.example", 403)):
            assert client.get("/v1/models", headers={"origin": origin}).status_code == status


def test_curl_without_a_content_type_is_served(client: Client) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}

    answered = client.post("/v1/chat/completions", content=json.dumps(HELLO), headers=form)

    assert answered.json()["choices"][0]["message"]["content"] == "hi"


def test_who_calls_is_part_of_the_question_by_the_name_of_the_key() -> None:
    asked: list[str] = []

    class Listening(EchoRunner):
        def run(self, request: RunRequest) -> Any:
            asked.append(request.caller)
            return super().run(request)

    keys = ("alice=correct-horse", "battery-staple")
    with calling(create_app(Settings(api_keys=keys), Listening())) as client:
        for key in ("correct-horse", "battery-staple"):
            client.post("/v1/chat/completions", json=HELLO, headers={"x-api-key": key})
    with calling(create_app(Settings(), Listening())) as client:
        for key in ("one", "two", "one"):
            client.post("/v1/chat/completions", json=HELLO, headers={"x-api-key": key})

    assert asked[:2] == ["alice", "key-2"]
    assert asked[2] == asked[4] != asked[3]


@pytest.mark.parametrize("peer", [None, "", "testclient", "10.0.0.1"])
def test_who_cannot_be_told_to_be_local_is_not(peer: str | None) -> None:
    with calling(app(), peer) as client:
        assert_refused(client.get("/v1/models"), 401, "local_only")


def test_there_are_no_websockets(client: Client) -> None:
    with (
        pytest.raises(Exception, match="WebSockets are not supported") as raised,
        client.websocket_connect("/v1/chat/completions"),
    ):
        pass  # pragma: no cover

    assert type(raised.value).__name__ == "WebSocketDisconnect"


def test_a_refusal_is_logged_under_its_id_without_the_key(keyed: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "claude_relay")

    keyed.get("/v1/models", headers={"authorization": "Bearer sEcReTsEcReT"})

    (fields,) = [vars(record)["fields"] for record in caplog.records if record.name == "claude_relay.web.access_log"]
    assert fields["client"] == ELSEWHERE
    assert fields["error"] == "invalid_api_key"
    assert "sEcReT" not in f"{caplog.text} {fields}"


def test_a_body_is_not_read_of_who_may_not_send_one() -> None:
    with listening(app(api_keys=("correct-horse",))) as place, connected(place) as connection:
        # a body is promised and never sent; who reads it first waits for ever
        connection.sendall(head(content_length="1000000", content_type="application/json"))

        assert answer(connection).startswith(b"HTTP/1.1 401 ")


def test_a_server_knows_programs_of_its_machine_by_their_address() -> None:
    with listening(app()) as (host, port):
        local = httpx.get(f"http://{host}:{port}/v1/models")
        forwarded = httpx.get(f"http://{host}:{port}/v1/models", headers={"x-forwarded-for": "127.0.0.1"})

    assert local.status_code == 200
    assert_refused(forwarded, 401, "local_only")


def test_a_trusted_proxy_tells_who_calls() -> None:
    with calling(app(trusted_proxy=("127.0.0.1",))) as client:
        assert client.get("/v1/models", headers={"x-forwarded-for": "127.0.0.1"}).status_code == 200
        assert_refused(client.get("/v1/models", headers={"x-forwarded-for": "203.0.113.9"}), 401, "local_only")
    with calling(app(trusted_proxy=("10.0.0.5",)), "10.0.0.5") as client:
        assert_refused(client.get("/v1/models", headers={"x-forwarded-for": "127.0.0.1"}), 401, "local_only")
        assert_refused(
            client.get("/v1/models", headers=[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "::1")]),
            401,
            "local_only",
        )
        assert_refused(client.get("/v1/models"), 401, "local_only")


def test_the_directory_is_the_operators_and_a_client_that_names_one_is_told_so(client: Client) -> None:
    body = {**HELLO, "cwd": "/etc", "permission_mode": "bypassPermissions", "add_dirs": ["/"], "env": {"A": "1"}}

    answered = client.post("/v1/chat/completions", json=body)

    assert answered.status_code == 200
    assert set(answered.headers["x-claude-relay-ignored"].split(", ")) == {"cwd", "permission_mode", "add_dirs", "env"}


def test_without_keys_limits_count_by_user_whatever_a_program_calls_itself() -> None:
    used = Settings(max_per_minute=2)
    with listening(create_app(used, limited(EchoRunner(), used, quotas(used, MemoryCounters())))) as (host, port):
        statuses = []
        for number in range(4):
            # each time another program, as far as headers and connections tell
            answered = httpx.post(
                f"http://{host}:{port}/v1/chat/completions",
                json=HELLO,
                headers={"authorization": f"Bearer invented-{number}", "x-api-key": f"other-{number}"},
            )
            statuses.append(answered.status_code)

    assert statuses == [200, 200, 429, 429]


def test_a_program_without_a_key_shares_no_process_with_one_that_sends_another() -> None:
    asked: list[tuple[str, str]] = []

    class Listening(EchoRunner):
        def run(self, request: RunRequest) -> Any:
            asked.append((request.caller, request.account))
            return super().run(request)

    with listening(create_app(Settings(), Listening())) as (host, port):
        for key in ("one", "two"):
            httpx.post(f"http://{host}:{port}/v1/chat/completions", json=HELLO, headers={"x-api-key": key})

    (first, first_account), (second, second_account) = asked
    assert first != second
    assert first_account == second_account == f"local:{os.getuid()}"


def guesses(client: Client, number: int, **headers: str) -> list[int]:
    """Try different keys, and return how that was answered."""
    return [
        client.get("/v1/models", headers={"x-api-key": f"guess-{index}-of-{number}", **headers}).status_code
        for index in range(number)
    ]


def test_who_guesses_keys_has_to_wait_and_learns_nothing_meanwhile(guessed: Client) -> None:
    assert guesses(guessed, FREE) == [401] * FREE

    refused = guessed.get("/v1/models", headers={"x-api-key": "another"})

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_wrong_keys")
    assert refused.headers["retry-after"] == "1"
    assert guessed.get("/v1/models", headers=KEY).status_code == 429
    # an open path tells it no more than a stranger either
    assert guessed.get("/health", headers=KEY).json() == {"status": "ok"}
    # a program with an old key is not sent away for longer than the key is wrong
    assert guessed.get("/v1/models", headers={"x-api-key": f"guess-0-of-{FREE}"}).status_code == 401
    assert guessed.get("/v1/models").status_code == 401


def test_a_guesser_keeps_out_nobody_else_and_behind_a_trusted_proxy_that_is_by_client() -> None:
    with calling(app(api_keys=("alice=correct-horse",), trusted_proxy=(ELSEWHERE,)), ELSEWHERE) as client:
        assert guesses(client, FREE + 1, **{"x-forwarded-for": "203.0.113.9"})[-1] == 429

        for other in ("203.0.113.10", "203.0.113.9, 203.0.113.10"):
            assert client.get("/v1/models", headers={**KEY, "x-forwarded-for": other}).status_code == 200
        made_up = {**KEY, "x-forwarded-for": "203.0.113.10, 203.0.113.9"}
        assert client.get("/v1/models", headers=made_up).status_code == 429


def test_the_log_tells_of_guessing_once_for_each_wait(guessed: Client, caplog: pytest.LogCaptureFixture) -> None:
    guesses(guessed, FREE + 5)

    (warning,) = [record for record in caplog.records if record.name == "claude_relay.web.auth_middleware"]
    assert ELSEWHERE in warning.getMessage()
    assert "guess-" not in caplog.text


def test_without_keys_nothing_is_guessed(client: Client) -> None:
    assert set(guesses(client, 2 * FREE)) == {200}


METRICS = {"authorization": "Bearer only-the-figures"}


@pytest.mark.parametrize("choices", [{}, {"api_keys": ("alice=correct-horse",)}], ids=["no key", "a key"])
def test_the_key_for_figures_reads_them_and_passes_no_other_door(choices: dict[str, Any]) -> None:
    with calling(app(metrics_key="only-the-figures", **choices), ELSEWHERE) as client:
        for path in ("/metrics", "/v1/metrics"):
            assert "claude_relay_ok 1.0" in client.get(path, headers=METRICS).text
            assert client.get(path).status_code == 401
        for method, path in (*DOORS, ("POST", "/metrics"), ("GET", "/v1/metrics/nothing")):
            assert client.request(method, path, headers=METRICS).status_code == 401, path


def test_who_guesses_the_key_for_figures_has_to_wait() -> None:
    with calling(app(metrics_key="only-the-figures"), ELSEWHERE) as client:
        guesses(client, FREE + 1)

        assert client.get("/metrics", headers=METRICS).status_code == 429
