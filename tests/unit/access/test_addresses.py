"""Which names and addresses are this machine, and what an origin is."""

from ipaddress import ip_network

import pytest

from claude_relay.access.addresses import (
    UNIX,
    Authority,
    Origin,
    address,
    authority,
    client_network,
    hop,
    is_here,
    is_local,
    is_loopback,
    is_within,
    network,
    origin,
)


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

    inside = ("10.0.0.5", "192.168.3.4", "fd00::1", "::ffff:10.0.0.5", "fd00::1%eth0")
    assert [is_within(text, networks) for text in inside] == [True] * 5
    assert [is_within(text, networks) for text in ("10.0.0.6", "193.168.0.1", "fe00::1", "proxy", "")] == [False] * 5


@pytest.mark.parametrize("text", ["", "proxy.example", "10.0.0.1/8", "10.0.0.0/33", "*", "10.0.0"])
def test_what_is_no_network_is_none(text: str) -> None:
    assert network(text) is None


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("::ffff:10.0.0.5", "10.0.0.5/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
    ],
)
def test_a_network_of_ipv4_that_is_written_as_ipv6_is_one_of_ipv4(text: str, written: str) -> None:
    assert str(network(text)) == written


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" 192.0.2.7\t", "192.0.2.7"),
        ("192.0.2.7:5555", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%eth0]:80", "fe80::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("[::ffff:192.0.2.7]:80", "192.0.2.7"),
        *((text, None) for text in ("", " ", "unknown", "_hidden", "_SEVKISEK", "for=192.0.2.7", "localhost", "1.2.3")),
        *((text, None) for text in ("192.0.2.7:", "192.0.2.7:123456", "[2001:db8::1", "192.0.2.7 127.0.0.1", "[]:80")),
    ],
)
def test_an_element_of_x_forwarded_for_is_an_address_perhaps_with_a_port(text: str, found: str | None) -> None:
    assert hop(text) == (None if found is None else address(found))


@pytest.mark.parametrize(
    ("texts", "one"),
    [
        (("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"), "loopback"),
        (("192.0.2.7", "::ffff:192.0.2.7"), "192.0.2.7"),
        (("2001:db8:1:2::3", "2001:db8:1:2:ffff::"), "2001:db8:1:2::/64"),
        ((UNIX,), UNIX),
        (("",), ""),
    ],
)
def test_one_client_has_one_address_of_ipv4_a_network_of_ipv6_or_this_machine(texts: tuple[str, ...], one: str) -> None:
    assert {client_network(text) for text in texts} == {one}


def test_a_program_of_this_machine_comes_from_loopback_or_a_unix_socket() -> None:
    assert [is_here(peer) for peer in ("127.0.0.1", "::1", "unix")] == [True] * 3
    assert [is_here(peer) for peer in ("192.0.2.7", "localhost", "", "unix:1", "Unix")] == [False] * 5
