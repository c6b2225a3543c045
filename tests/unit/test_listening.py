"""Where the server listens: both families, and Unix sockets that nobody else can open."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from claude_relay.errors import ListenError
from claude_relay.listening import listening
from claude_relay.settings import Settings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay.sock"


def refusal(settings: Settings) -> str:
    with pytest.raises(ListenError) as raised, listening(settings):
        pass  # pragma: no cover
    assert "\n" not in raised.value.message
    return raised.value.message


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def reaches(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "four", "six"),
    [
        ("::", True, True),
        ("0:0:0:0:0:0:0:0", True, True),
        ("0.0.0.0", True, False),
        ("127.0.0.1", True, False),
        ("::1", False, True),
        ("::ffff:127.0.0.1", True, False),
    ],
)
def test_what_is_listened_on_is_what_was_chosen(host: str, four: bool, six: bool) -> None:
    port = free_port()

    with listening(Settings(host=host, port=port)):
        assert (reaches("127.0.0.1", port), reaches("::1", port)) == (four, six)
    assert not reaches("127.0.0.1", port)


def test_a_name_is_listened_on_at_each_of_its_addresses_that_this_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*texts: str) -> None:
        entries = [
            (socket.AF_INET6 if ":" in text else socket.AF_INET, socket.SOCK_STREAM, 0, "", (text, port))
            for text in texts
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)

    port = free_port()
    found("::1", "127.0.0.1", "203.0.113.1")
    with listening(Settings(host="box", port=port)) as place:
        assert [opened.getsockname()[0] for opened in place.sockets] == ["::1", "127.0.0.1"]
    found("203.0.113.1", "203.0.113.2")
    assert "Cannot assign" in refusal(Settings(host="box", port=port))


@pytest.mark.parametrize(("taken", "host"), [("127.0.0.1", "::"), ("::1", "::"), ("127.0.0.1", "localhost")])
def test_an_address_that_is_taken_in_either_family_is_told_before_anything_begins(taken: str, host: str) -> None:
    family = socket.AF_INET6 if ":" in taken else socket.AF_INET
    with socket.create_server((taken, 0), family=family) as other:
        message = refusal(Settings(host=host, port=other.getsockname()[1]))

    assert "in use" in message
    assert "--port" in message


@pytest.mark.parametrize("host", ["", "no such name", "nothing.invalid"])
def test_a_host_that_is_none_is_told(host: str) -> None:
    assert "--host" in refusal(Settings(host=host, port=free_port()))


# --- unix sockets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_user_can_open_the_socket_and_it_goes_with_the_server(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with listening(Settings(uds=str(path))) as place:
            assert stat.S_IMODE(path.lstat().st_mode) == 0o600
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
            assert (place.base_url, str(path) in place.place) == ("http://localhost", True)
            assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert not path.exists()


def test_the_socket_of_a_server_that_was_killed_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    assert path.is_socket()

    with listening(Settings(uds=str(path))), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@contextmanager
def listener(path: Path) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(0)
        yield


@pytest.mark.parametrize("waiting", [0, 3])
def test_a_socket_that_somebody_listens_on_is_left_alone_even_if_nothing_is_accepted(path: Path, waiting: int) -> None:
    clients = [socket.socket(socket.AF_UNIX) for _ in range(waiting)]
    with listener(path):
        for client in clients:
            client.setblocking(False)
            client.connect_ex(str(path))

        assert "another server listens there" in refusal(Settings(uds=str(path)))
        assert path.is_socket()
    for client in clients:
        client.close()


@pytest.mark.parametrize("kind", ["file", "directory", "link to a socket", "pipe"])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, path: Path, kind: str) -> None:
    match kind:
        case "file":
            path.write_text("mine")
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case _:
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(str(tmp_path / "other"))
            path.symlink_to(tmp_path / "other")
    before = path.lstat()

    message = refusal(Settings(uds=str(path)))

    assert "no socket" in message
    assert str(path) in message
    assert os.path.samestat(path.lstat(), before)


def test_the_socket_of_another_user_is_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(path))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    assert "another user" in refusal(Settings(uds=str(path)))
    assert path.is_socket()


def test_a_path_that_cannot_be_is_told(path: Path) -> None:
    assert "No such file" in refusal(Settings(uds=str(path.parent / "missing" / "relay.sock")))
    assert "too long" in refusal(Settings(uds=str(path.parent / ("x" * 120))))


def test_what_took_the_place_meanwhile_stays(path: Path) -> None:
    with listening(Settings(uds=str(path))):
        path.unlink()
        path.write_text("another's")

    assert path.read_text() == "another's"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_process_removes_the_socket_too(path: Path, number: signal.Signals) -> None:
    code = (
        "import signal, sys\nfrom claude_relay.listening import listening\nfrom claude_relay.settings import Settings\n"
        "with listening(Settings(uds=sys.argv[1])):\n    print('there', flush=True)\n    signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        process.send_signal(number)
        process.wait(20)

    assert process.returncode == -number
    assert not path.exists()
