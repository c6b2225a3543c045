"""Which names and addresses are this machine, and what an origin is."""

from ipaddress import ip_network

import pytest

from claude_relay.addresses import Authority, Origin, authority, is_local, is_loopback, is_within, network, origin


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port"),
    [
        ("https://app.example", "https", "app.example", 443),
        ("http://app.example", "http", "app.example", 80),
        ("HTTPS://App.Example:8443", "https", "app.example", 8443),
        ("https://app.example:443", "https", "app.example", 443),
        ("http://localhost:3000", "http", "localhost", 3000),
        ("http://localhost.:3000", "http", "localhost", 3000),
        ("http://[::1]:3000", "http", "::1", 3000),
        ("http://[::1]", "http", "::1", 80),
        ("tauri://localhost", "tauri", "localhost", None),
        ("chrome-extension://abcdef", "chrome-extension", "abcdef", None),
        ("null", "null", "", None),
    ],
)
def test_an_origin_is_a_scheme_a_host_and_a_port(text: str, scheme: str, host: str, port: int | None) -> None:
    assert origin(text) == Origin(scheme, Authority(host, port))


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "app.example", "localhost:3000", "https://", "https://app.example/", "https://app.example/path"),
        *("https://app.example?q", "https://app.example#x", "https://user@localhost", "https://a b", "https://a:b"),
        *("https://a, https://b", "http://localhost@evil.example", "http://evil.example\\@localhost", "http://[::1"),
        *("http://local\thost", "//localhost", "http:localhost", "http://localhost:123456", "nullx", "http://:80"),
    ],
)
def test_anything_else_is_no_origin(text: str) -> None:
    assert origin(text) is None


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost", "localhost", None),
        ("LocalHost:8082", "localhost", 8082),
        ("[::1]:8082", "::1", 8082),
        ("127.0.0.1", "127.0.0.1", None),
        ("my-machine.local.:80", "my-machine.local", 80),
    ],
)
def test_an_authority_is_a_host_and_perhaps_a_port(text: str, host: str, port: int | None) -> None:
    assert authority(text) == Authority(host, port)


@pytest.mark.parametrize("text", ["", "::1", "a, b", "a b", "http://a", "a/b", "a@b", "[a", "a:", ":80"])
def test_anything_else_is_no_authority(text: str) -> None:
    assert authority(text) is None


@pytest.mark.parametrize("text", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_these_addresses_are_of_this_machine_alone(text: str) -> None:
    assert is_loopback(text)
    assert is_local(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "192.0.2.7", "10.0.0.1", "169.254.1.1", "0.0.0.0", "::", "fe80::1", "fe80::1%eth0", "::ffff:192.0.2.7"),
        *("testclient", "127.0.0.1.evil.example", "128.0.0.1", "0177.0.0.1", "2130706433", "127.1", "127.0.0.1 "),
    ],
)
def test_these_are_not(text: str) -> None:
    assert not is_loopback(text)
    assert not is_local(text)


def test_localhost_and_names_under_it_are_this_machine_as_names_not_as_addresses() -> None:
    assert is_local("localhost")
    assert is_local("app.localhost")
    assert not is_local("localhost.evil.example")
    assert not is_local("notlocalhost")
    assert not is_loopback("localhost")


def test_an_address_belongs_to_a_network_or_not() -> None:
    networks = (ip_network("10.0.0.5"), ip_network("192.168.0.0/16"), ip_network("fd00::/8"))

    assert [is_within(text, networks) for text in ("10.0.0.5", "192.168.3.4", "fd00::1", "::ffff:10.0.0.5")] == [
        True
    ] * 4
    assert [is_within(text, networks) for text in ("10.0.0.6", "193.168.0.1", "fe00::1", "proxy", "")] == [False] * 5


@pytest.mark.parametrize("text", ["", "proxy.example", "10.0.0.1/8", "10.0.0.0/33", "*", "10.0.0"])
def test_what_is_no_network_is_none(text: str) -> None:
    assert network(text) is None
