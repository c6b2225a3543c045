"""Who may call, over everything that a request shows and an operator chooses."""

import pytest
from msgspec.structs import replace

from claude_relay.access.policy import (
    Caller,
    Policy,
    RequestHead,
    authenticate,
    client_of,
    is_open,
    policy_of,
    source_of,
)
from claude_relay.errors import OriginNotAllowedError, RelayError, UnauthenticatedError, UnsupportedMediaTypeError
from claude_relay.settings import Settings
from claude_relay.settings_loading import keyring, metrics_key

OPEN = frozenset({"/health"})
JSON = {"content-type": "application/json", "content-length": "2"}


def policy(hostname: str = "workshop", **choices: object) -> Policy:
    chosen = Settings(**choices)  # type: ignore[arg-type] # fields by their names
    return policy_of(chosen, keyring(chosen), hostname, OPEN)


def head(
    peer: str | None = "127.0.0.1", method: str = "POST", path: str = "/v1/chat/completions", **headers: str
) -> RequestHead:
    return RequestHead(method, path, peer, {name.replace("_", "-"): value for name, value in headers.items()})


def verdict(asked: RequestHead, whom: Policy) -> str | None:
    """Return the code of the refusal, or the caller's name."""
    try:
        return authenticate(asked, whom).name
    except RelayError as refusal:
        return refusal.code


NOBODY = policy()
KEYS = ("alice=correct-horse", "battery-staple")
KEYED = policy(api_keys=KEYS)
LOCAL = ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"]
ELSEWHERE = ["192.0.2.7", "10.0.0.1", "172.17.0.1", "2001:db8::1", "::ffff:192.0.2.7", "testclient", "", None]


# --- without a key ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("peer", LOCAL)
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer unused"}, {"x_api_key": "x"}, {"api_key": "x"}])
def test_programs_of_this_machine_need_no_key_and_may_send_any(peer: str, headers: dict[str, str]) -> None:
    assert verdict(head(peer, **headers, host="localhost:8082"), NOBODY) == "local"


@pytest.mark.parametrize("peer", ELSEWHERE)
def test_nobody_else_is_served_and_everybody_is_told_what_to_do(peer: str | None) -> None:
    with pytest.raises(UnauthenticatedError) as raised:
        authenticate(head(peer, authorization="Bearer unused", host="localhost"), NOBODY)

    assert raised.value.code == "local_only"
    assert raised.value.status == 401
    for word in ("--api-key", "CLAUDE_RELAY_API_KEYS", "Authorization: Bearer"):
        assert word in raised.value.message


def test_programs_that_send_different_keys_are_different_callers_and_no_key_is_part_of_a_name() -> None:
    sent = [
        {},
        {"authorization": "Bearer one"},
        {"authorization": "Bearer two"},
        {"x_api_key": "one"},
        {"api_key": "2"},
    ]
    callers = [authenticate(head(**headers), NOBODY) for headers in sent]

    assert len({caller.identity for caller in callers}) == len(sent)
    assert callers == [authenticate(head(**headers), NOBODY) for headers in sent]
    assert callers[0] == Caller("local/", "local", "local")
    assert not any("one" in caller.identity or "two" in caller.identity for caller in callers)
    assert {caller.name for caller in callers} == {caller.account for caller in callers} == {"local"}


def test_what_a_program_sends_changes_nothing_of_whose_use_it_is_and_its_user_does() -> None:
    def called(user: int | None, key: str = "x", **headers: str) -> Caller:
        return authenticate(RequestHead("GET", "/", "127.0.0.1", {"x-api-key": key, **headers}, user=user), TRUSTING)

    assert [called(1000, key).account for key in ("one", "two")] == ["local:1000"] * 2
    assert called(0).account == "local:0"
    # the same word from another user is another caller
    assert called(1000).identity != called(1001).identity
    # a proxy's user is not the client's, nor what came on its connection
    assert (
        authenticate(RequestHead("GET", "/", "127.0.0.1", {"x-forwarded-for": "::1"}, True, 33), TRUSTING).account
        == "local"
    )
    assert called(33, **{"x-forwarded-for": "127.0.0.1"}).account == "local"


@pytest.mark.parametrize(
    "host",
    [
        *(
            "",
            "localhost",
            "LOCALHOST:8082",
            "app.localhost",
            "127.0.0.1:8082",
            "127.9.9.9",
            "[::1]:8082",
            "0.0.0.0:8082",
        ),
        *("[::]:8082", "workshop", "Workshop:8082", "workshop.local", "workshop.local.:8082"),
        *("host.docker.internal:8082", "gateway.docker.internal", "host.containers.internal"),
    ],
)
def test_this_machine_answers_to_its_own_names(host: str) -> None:
    assert verdict(head(host=host), NOBODY) == "local"


def test_a_request_without_a_host_is_no_browsers() -> None:
    assert verdict(head(), NOBODY) == "local"


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8082", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.7:8082"),
        *("localhost, evil.example", "evil.example, localhost", "workshop.evil.example", "a b", "localhost/@evil", "["),
    ],
)
def test_a_page_whose_name_was_made_to_lead_here_is_refused(host: str) -> None:
    with pytest.raises(OriginNotAllowedError, match="--allow-origin") as raised:
        authenticate(head(host=host), NOBODY)

    assert (raised.value.status, raised.value.code) == (403, "host_not_allowed")


@pytest.mark.parametrize(
    ("hostname", "host", "allowed"),
    [
        ("box.lan", "box.lan", True),
        ("box.lan", "box", True),
        ("box.lan", "box.local", True),
        ("Box.", "box", True),
        ("box", "other.local", False),
        ("", "", True),
        ("", ".local", False),
    ],
)
def test_the_machines_name_is_what_the_machine_says(hostname: str, host: str, allowed: bool) -> None:
    assert (verdict(head(host=host), policy(hostname)) == "local") is allowed


PAGES = [
    ("http://localhost:3000", True),
    ("https://localhost", True),
    ("http://127.0.0.1:5173", True),
    ("http://[::1]:3000", True),
    ("http://app.localhost:8080", True),
    ("tauri://localhost", True),
    ("http://workshop:8082", True),
    ("https://evil.example", False),
    ("http://workshop:9999", False),
    ("http://localhost.evil.example", False),
    ("http://evil.example:8082", False),
    ("http://localhost:3000, https://evil.example", False),
    ("null", False),
    ("", False),
    ("chrome-extension://abcdef", False),
    ("file://", False),
]


@pytest.mark.parametrize(("origin", "welcome"), PAGES)
@pytest.mark.parametrize("site", [None, "cross-site", "same-site", "same-origin", "none"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_pages_of_this_machine_may_call_and_others_may_not(
    origin: str, welcome: bool, site: str | None, method: str
) -> None:
    headers = {"origin": origin, "host": "workshop:8082", **JSON, **({"sec-fetch-site": site} if site else {})}

    assert verdict(RequestHead(method, "/v1/models", "127.0.0.1", headers), NOBODY) == (
        "local" if welcome else "origin_not_allowed"
    )


def test_a_refused_page_is_told_how_to_be_allowed() -> None:
    with pytest.raises(OriginNotAllowedError, match=r"--allow-origin https://app\.example, or with a key") as raised:
        authenticate(head(origin="https://app.example", host="localhost"), NOBODY)

    assert (raised.value.status, raised.value.type) == (403, "permission_error")


@pytest.mark.parametrize(
    ("headers", "served"),
    [
        ({}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, False),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, False),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, True),
    ],
)
def test_without_an_origin_a_browser_still_says_where_a_request_is_from(headers: dict[str, str], served: bool) -> None:
    assert (verdict(RequestHead("GET", "/v1/models", "::1", headers), NOBODY) == "local") is served


def test_only_a_link_may_be_followed_from_elsewhere_never_a_form() -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}

    assert verdict(RequestHead("POST", "/v1/chat/completions", "::1", headers), NOBODY) == "origin_not_allowed"


def test_pages_that_the_operator_allows_may_call_and_their_hosts_may_be_this_machine() -> None:
    allowed = policy(allow_origin=("https://app.example", "HTTPS://Other.Example:8443", "null"))

    for origin in ("https://app.example", "https://app.example:443", "https://other.example:8443", "null"):
        assert verdict(head(origin=origin, sec_fetch_site="cross-site", **_host("localhost")), allowed) == "local"
    for origin in ("http://app.example", "https://app.example:444", "https://sub.app.example", "https://evil.example"):
        assert verdict(head(origin=origin, **_host("localhost")), allowed) == "origin_not_allowed"
    assert verdict(head(host="app.example"), allowed) == "local"
    assert verdict(head(host="evil.example"), allowed) == "host_not_allowed"


def _host(name: str) -> dict[str, str]:
    return {"host": name}


def test_a_star_allows_all_pages_but_no_other_machine() -> None:
    everyone = policy(allow_origin=("*",))

    assert verdict(head(origin="https://evil.example", host="evil.example"), everyone) == "local"
    assert verdict(head(sec_fetch_site="cross-site"), everyone) == "local"
    assert verdict(head("192.0.2.7", origin="https://evil.example"), everyone) == "local_only"


# --- proxies ---------------------------------------------------------------------------------------------------------

PROXIED = [
    *("x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-host", "x-forwarded-proto", "via", "x-client-ip"),
    *("cf-connecting-ip", "true-client-ip", "x-forwarded"),
]


@pytest.mark.parametrize("header", PROXIED)
@pytest.mark.parametrize("value", ["127.0.0.1", "for=127.0.0.1", "", "192.0.2.7"])
def test_what_came_through_a_proxy_is_no_local_program(header: str, value: str) -> None:
    with pytest.raises(UnauthenticatedError, match="--trusted-proxy") as raised:
        authenticate(RequestHead("GET", "/v1/models", "127.0.0.1", {header: value}), NOBODY)

    assert raised.value.code == "local_only"
    assert "--api-key" in raised.value.message


TRUSTING = policy(trusted_proxy=("127.0.0.1", "10.0.0.0/8"))


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        ("127.0.0.1", {}, "127.0.0.1"),
        ("192.0.2.7", {}, "192.0.2.7"),
        (None, {}, None),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.7"}, "192.0.2.7"),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1, 192.0.2.7"}, "192.0.2.7"),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.7, 10.1.1.1"}, "192.0.2.7"),
        # another machine's own address is that machine
        ("10.9.9.9", {"x-forwarded-for": "127.0.0.1"}, "10.9.9.9"),
        ("10.9.9.9", {"x-forwarded-for": "127.0.0.1, 10.1.1.1"}, "10.1.1.1"),
        ("10.9.9.9", {"x-forwarded-for": "192.0.2.7, 127.0.0.1"}, "10.9.9.9"),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1, 10.1.1.1"}, "10.1.1.1"),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.7, 127.0.0.1"}, "192.0.2.7"),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1, 127.0.0.1"}, "127.0.0.1"),
        ("127.0.0.1", {"x-forwarded-for": "127.5.5.5"}, "127.5.5.5"),
        *(
            ("10.9.9.9", {"x-forwarded-for": hop}, "10.9.9.9")
            for hop in ("::1", "[::1]:80", "::ffff:127.0.0.1", "::1%lo")
        ),
        # all of them proxies: the first one that is known
        ("10.9.9.9", {"x-forwarded-for": "10.2.2.2, 10.1.1.1"}, "10.2.2.2"),
        ("::ffff:10.9.9.9", {"x-forwarded-for": "::ffff:192.0.2.7"}, "192.0.2.7"),
        ("10.9.9.9", {"x-forwarded-for": "192.0.2.7, fe80::1%eth0"}, "fe80::1"),
        ("10.9.9.9", {"x-forwarded-for": "192.0.2.7:5555"}, "192.0.2.7"),
        ("10.9.9.9", {"x-forwarded-for": "[2001:db8::1]:80"}, "2001:db8::1"),
        *(
            ("10.9.9.9", {"x-forwarded-for": f"127.0.0.1, 192.0.2.7, {hop}"}, None)
            for hop in ("nonsense", "unknown", "_hidden", "", "localhost", "for=1.2.3.4")
        ),
        ("127.0.0.1", {"x-forwarded-for": "unknown"}, None),
        ("10.9.9.9", {"x-forwarded-for": ""}, None),
        ("10.9.9.9", {"x-forwarded-for": "127.0.0.1,"}, None),
        ("10.9.9.9", {"x-real-ip": "127.0.0.1"}, None),
        ("10.9.9.9", {"forwarded": "for=127.0.0.1"}, None),
        ("::1", {"x-forwarded-for": "127.0.0.1"}, None),
        ("192.0.2.7", {"x-forwarded-for": "127.0.0.1"}, None),
        (None, {"x-forwarded-for": "127.0.0.1"}, None),
    ],
)
def test_a_trusted_proxy_tells_who_calls_and_no_other_does(
    peer: str | None, headers: dict[str, str], client: str | None
) -> None:
    assert client_of(RequestHead("GET", "/v1/models", peer, headers), TRUSTING) == client


LOOPBACK_HOPS = ["127.0.0.1", "127.9.9.9:80", "::1", "[::1]:80", "::ffff:127.0.0.1", "[::ffff:7f00:1]"]


@pytest.mark.parametrize("hop", LOOPBACK_HOPS)
@pytest.mark.parametrize("way", ["{}", "{}, 10.1.1.1", "{}, {}", "192.0.2.7, {}", "{}, 127.0.0.1, 10.1.1.1", "{},"])
@pytest.mark.parametrize("peer", ["10.9.9.9", "::ffff:10.9.9.9", "fd00::9"])
def test_no_proxy_on_another_machine_makes_anybody_a_program_of_this_one(peer: str, way: str, hop: str) -> None:
    trusting = policy(trusted_proxy=("127.0.0.0/8", "::1", "10.0.0.0/8", "fd00::/8"))

    assert verdict(head(peer, x_forwarded_for=way.format(hop, hop), host="localhost"), trusting) == "local_only"


# --- unix sockets ----------------------------------------------------------------------------------------------------


def test_a_program_that_can_open_the_unix_socket_is_one_of_this_machine() -> None:
    asked = RequestHead("GET", "/v1/models", "unix", {"host": "localhost"}, user=1000)

    assert authenticate(asked, NOBODY).account == "local:1000"
    assert verdict(asked, KEYED) == "invalid_api_key"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"host": "evil.example"}, "host_not_allowed"),
        ({"host": "localhost", "origin": "https://evil.example"}, "origin_not_allowed"),
        ({"host": "localhost", "x-forwarded-for": "127.0.0.1"}, "local_only"),
    ],
)
def test_what_a_proxy_before_a_unix_socket_passes_on_is_judged_as_elsewhere(headers: dict[str, str], code: str) -> None:
    assert verdict(RequestHead("GET", "/v1/models", "unix", headers), NOBODY) == code


@pytest.mark.parametrize(
    ("way", "client"), [("127.0.0.1", "127.0.0.1"), ("192.0.2.7", "192.0.2.7"), ("unix:", None), ("", None)]
)
def test_a_proxy_that_connects_by_the_unix_socket_may_be_trusted(way: str, client: str | None) -> None:
    asked = head("unix", x_forwarded_for=way)

    assert client_of(asked, policy(trusted_proxy=("unix",))) == client
    assert client_of(asked, policy(trusted_proxy=("127.0.0.1",))) is None


# --- where guesses come from -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "headers", "user", "source"),
    [
        ("192.0.2.7", {}, None, "192.0.2.7"),
        ("2001:db8::7", {}, None, "2001:db8::/64"),
        ("127.0.0.1", {}, None, "loopback"),
        ("127.0.0.1", {}, 1000, "user 1000"),
        ("unix", {}, 1000, "user 1000"),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.7"}, 33, "192.0.2.7"),
        ("10.9.9.9", {"x-forwarded-for": "192.0.2.7"}, None, "192.0.2.7"),
        # nobody trusts this proxy: it is all that is known
        ("198.51.100.1", {"x-forwarded-for": "192.0.2.7"}, None, "198.51.100.1"),
        (None, {}, None, ""),
    ],
)
def test_wrong_keys_are_counted_where_they_come_from(
    peer: str | None, headers: dict[str, str], user: int | None, source: str
) -> None:
    assert source_of(RequestHead("GET", "/", peer, headers, user=user), TRUSTING) == source


# --- proxies and programs --------------------------------------------------------------------------------------------


def test_a_program_of_this_machine_may_come_through_a_trusted_proxy_and_a_stranger_may_not() -> None:
    assert verdict(head(x_forwarded_for="127.0.0.1", host="localhost"), TRUSTING) == "local"
    assert verdict(head(x_forwarded_for="127.0.0.1, 192.0.2.7", host="localhost"), TRUSTING) == "local_only"
    assert verdict(head("10.0.0.1", host="localhost"), TRUSTING) == "local_only"


# --- with a key ------------------------------------------------------------------------------------------------------

RIGHT = [
    {"authorization": "Bearer correct-horse"},
    {"authorization": "bearer  correct-horse "},
    {"x-api-key": "correct-horse"},
    {"api-key": "correct-horse"},
    {"authorization": "Bearer unused", "x-api-key": "correct-horse"},
    {"authorization": "Basic dXNlcg==", "api-key": "correct-horse"},
]
WRONG = [
    {},
    {"authorization": ""},
    {"authorization": "Bearer"},
    {"authorization": "Bearer "},
    {"authorization": "Bearer unused"},
    {"authorization": "correct-horse"},
    {"authorization": "Basic correct-horse"},
    {"authorization": "Bearer correct-horse, Bearer correct-horse"},
    {"authorization": "Bearer alice=correct-horse"},
    {"authorization": "Bearer correct-hors"},
    {"authorization": "Bearer ÿÿÿÿÿÿÿÿ"},
    {"x-api-key": "alice"},
    {"cookie": "api-key=correct-horse"},
    {"proxy-authorization": "Bearer correct-horse"},
]


@pytest.mark.parametrize("headers", RIGHT)
@pytest.mark.parametrize("peer", ["127.0.0.1", "192.0.2.7", "testclient", None])
def test_who_has_a_key_may_call_from_anywhere_by_the_keys_name(peer: str | None, headers: dict[str, str]) -> None:
    anywhere = {"host": "relay.example", "origin": "https://app.example", "sec-fetch-site": "cross-site"}
    proxied = {"x-forwarded-for": "203.0.113.9"}

    for more in ({}, anywhere, proxied):
        assert authenticate(RequestHead("GET", "/v1/models", peer, {**headers, **more}), KEYED) == Caller(
            "alice", "alice", "alice"
        )


@pytest.mark.parametrize("headers", WRONG)
@pytest.mark.parametrize("peer", ["127.0.0.1", "192.0.2.7"])
def test_nobody_else_may_not_even_a_program_of_this_machine(peer: str, headers: dict[str, str]) -> None:
    with pytest.raises(UnauthenticatedError) as raised:
        authenticate(RequestHead("GET", "/v1/models", peer, headers), KEYED)

    error = raised.value
    assert (error.status, error.type, error.code) == (401, "authentication_error", "invalid_api_key")
    assert "Authorization: Bearer" in error.message
    assert not any(len(value) > 8 and value in error.message for value in headers.values())


def test_each_key_is_a_caller_of_its_own() -> None:
    assert authenticate(head(x_api_key="battery-staple"), KEYED) == Caller("key-2", "key-2", "key-2")


# --- bodies of web pages ---------------------------------------------------------------------------------------------

UNASKED = [
    "text/plain",
    "TEXT/Plain;charset=utf-8",
    "application/x-www-form-urlencoded",
    "multipart/form-data; x=y",
    "",
]
ASKED = ["application/json", "application/json; charset=utf-8", "text/json", "application/vnd.api+json"]
WITH_KEY = {"authorization": "Bearer correct-horse"}


@pytest.mark.parametrize("whom", [NOBODY, KEYED])
@pytest.mark.parametrize("media_type", [None, *UNASKED])
@pytest.mark.parametrize("size", [{"content-length": "5"}, {"transfer-encoding": "chunked"}])
def test_a_body_that_a_page_may_send_unasked_is_refused(
    whom: Policy, media_type: str | None, size: dict[str, str]
) -> None:
    headers = {"host": "localhost", **WITH_KEY, **size, **({} if media_type is None else {"content-type": media_type})}

    with pytest.raises(UnsupportedMediaTypeError, match="application/json"):
        authenticate(RequestHead("POST", "/", "::1", {**headers, "origin": "http://localhost:3000"}), whom)
    # a program such as curl has no origin
    assert verdict(RequestHead("POST", "/", "::1", headers), whom) in {"local", "alice"}


@pytest.mark.parametrize("whom", [NOBODY, KEYED])
@pytest.mark.parametrize(
    "headers", [*({"content-type": kind, "content-length": "5"} for kind in ASKED), {}, {"content-length": "0"}]
)
def test_a_page_may_send_json_and_requests_without_a_body(whom: Policy, headers: dict[str, str]) -> None:
    more = {"host": "localhost", "origin": "http://localhost:3000", **WITH_KEY}

    assert verdict(RequestHead("POST", "/", "::1", {**headers, **more}), whom) in {"local", "alice"}


def test_a_stranger_is_not_told_about_media_types() -> None:
    headers = {"origin": "https://evil.example", "content-length": "5", "content-type": "text/plain"}

    assert verdict(RequestHead("POST", "/", "192.0.2.7", headers), NOBODY) == "local_only"
    assert verdict(RequestHead("POST", "/", "127.0.0.1", headers), NOBODY) == "origin_not_allowed"
    assert verdict(RequestHead("POST", "/", "127.0.0.1", headers), KEYED) == "invalid_api_key"


# --- what everybody may see ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "without_key", "with_key"),
    [
        ("GET", "/health", True, True),
        ("HEAD", "/health", True, True),
        ("POST", "/health", False, False),
        ("GET", "/healthy", False, False),
        ("GET", "/health/more", False, False),
        ("GET", "/schema", False, True),
        ("GET", "/schema/swagger", False, True),
        ("HEAD", "/schema/assets/swagger-ui.css", False, True),
        ("POST", "/schema", False, False),
        ("GET", "/schemas", False, False),
        ("GET", "/", False, False),
        ("GET", "/v1/models", False, False),
        ("OPTIONS", "/v1/models", False, False),
    ],
)
def test_what_is_open_to_everybody(method: str, path: str, without_key: bool, with_key: bool) -> None:
    asked = RequestHead(method, path, "192.0.2.7", {})

    assert is_open(asked, NOBODY) is without_key
    assert is_open(asked, KEYED) is with_key


@pytest.mark.parametrize(
    ("headers", "preflight"), [({"origin": "https://a"}, True), ({"origin": ""}, False), ({}, False)]
)
def test_a_preflight_is_answered_for_every_path(headers: dict[str, str], preflight: bool) -> None:
    assert is_open(RequestHead("OPTIONS", "/v1/chat/completions", "192.0.2.7", headers), NOBODY) is preflight


METRICS = {"authorization": "Bearer only-the-figures"}
FIGURES = frozenset({"/v1/metrics", "/metrics"})


def reading(whom: Policy) -> Policy:
    chosen = Settings(metrics_key="only-the-figures")
    return replace(whom, metrics_key=metrics_key(chosen), metrics_paths=FIGURES)


@pytest.mark.parametrize("path", sorted(FIGURES))
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("whom", [NOBODY, KEYED], ids=["no key", "keys"])
def test_the_key_for_figures_opens_them_from_anywhere(path: str, method: str, whom: Policy) -> None:
    asked = RequestHead(method, path, "192.0.2.7", METRICS)

    assert verdict(asked, reading(whom)) == "metrics"
    assert verdict(asked, whom) != "metrics"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/v1/metrics/more"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/metrics"),
        ("DELETE", "/metrics"),
        ("GET", "/"),
    ],
)
def test_the_key_for_figures_opens_nothing_else(method: str, path: str) -> None:
    asked = RequestHead(method, path, "192.0.2.7", METRICS)

    assert verdict(asked, reading(KEYED)) == "invalid_api_key"
    assert verdict(asked, reading(NOBODY)) == "local_only"


def test_other_keys_open_figures_too_and_wrong_ones_do_not() -> None:
    def asked(key: str) -> RequestHead:
        return RequestHead("GET", "/metrics", "192.0.2.7", {"authorization": f"Bearer {key}"})

    assert verdict(asked("correct-horse"), reading(KEYED)) == "alice"
    assert verdict(asked("only-the-figure"), reading(KEYED)) == "invalid_api_key"
    assert verdict(asked("only-the-figure"), reading(NOBODY)) == "local_only"


def test_a_key_for_figures_leaves_programs_of_this_machine_as_they_are() -> None:
    assert verdict(RequestHead("GET", "/metrics", "127.0.0.1", {}), reading(NOBODY)) == "local"
    assert verdict(RequestHead("POST", "/v1/chat/completions", "127.0.0.1", METRICS), reading(NOBODY)) == "local"
