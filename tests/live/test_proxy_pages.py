"""What docs/proxies.md shows, run as it stands there but for addresses and the certificate."""

import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.settings import Settings
from tests.api.sockets import listening
from tests.docs.pages import section
from tests.live.proxies import NGINX, installed, running
from tests.serving import Place

CADDY = """
{{
    admin off
    auto_https disable_redirects
    skip_install_trust
}}
{shown}
"""
KEY = {"authorization": "Bearer a-key-of-mine"}


def shown(heading: str, language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", section("docs/proxies.md", heading), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate of its own making."""
    folder = tmp_path_factory.mktemp("certificate")
    key, made = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *(
                installed("openssl"),
                "req",
                "-x509",
                "-nodes",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
            ),
            *(
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost",
                "-keyout",
                str(key),
                "-out",
                str(made),
            ),
        ],
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_text(made.read_text() + key.read_text())
    return both


@contextmanager
def relay() -> Iterator[Place]:
    settings = Settings(api_keys=("me=a-key-of-mine",), trusted_proxy=("127.0.0.1",))
    with listening(create_app(settings, EchoRunner())) as place:
        yield place


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def nginx(text: str, folder: Path, port: int) -> Iterator[None]:
    user = "user root;" if folder.owner() == "root" else ""
    with running("nginx", NGINX.format(user=user, folder=folder, shown=text), folder, ("127.0.0.1", port)):
        yield


@contextmanager
def proxied(kind: str, relay_port: int, certificate: Path, folder: Path) -> Iterator[str]:
    """Run a proxy as the page shows it, and yield its URL."""
    port = free_port()
    if kind == "nginx":
        text = shown("## nginx", "nginx").replace("127.0.0.1:8082", f"127.0.0.1:{relay_port}")
        text = text.replace("listen 443", f"listen 127.0.0.1:{port}").replace("relay.example;", "localhost;")
        text = re.sub(r"/etc/ssl/[\w.]+", str(certificate), text)
        with nginx(text, folder, port):
            yield f"https://localhost:{port}"
        return
    if kind == "haproxy":
        text = shown("## HAProxy", "haproxy").replace("127.0.0.1:8082", f"127.0.0.1:{relay_port}")
        text = text.replace("bind :443", f"bind 127.0.0.1:{port}").replace(
            "/etc/ssl/relay.example.pem", str(certificate)
        )
        with running("haproxy", text, folder, ("127.0.0.1", port)):
            yield f"https://localhost:{port}"
        return
    text = shown("## Caddy", "caddy").replace("127.0.0.1:8082", f"127.0.0.1:{relay_port}")
    text = text.replace("relay.example {", f"https://localhost:{port} {{\n    tls {certificate} {certificate}")
    with running("caddy", CADDY.format(shown=text), folder, ("127.0.0.1", port)):
        yield f"https://localhost:{port}"


@pytest.mark.parametrize("kind", ["nginx", "caddy", "haproxy"])
def test_behind_a_proxy_as_the_page_shows_it_answers_come_piece_by_piece_over_http_2(
    kind: str, certificate: Path, tmp_path: Path
) -> None:
    body = '{"stream": true, "messages": [{"role": "user", "content": "!echo interval=0.3\\none two three four"}]}'
    with relay() as (_, port), proxied(kind, port, certificate, tmp_path) as url:
        command = [installed("curl"), "-sSN", "--http2", "--cacert", str(certificate), f"{url}/v1/chat/completions"]
        options = ["-H", "Authorization: Bearer a-key-of-mine", "-H", "Content-Type: application/json", "-d", body]
        asking = subprocess.Popen(
            [*command, *options, "-w", "%{http_version} %{http_code}"], stdout=subprocess.PIPE, text=True
        )
        with asking:
            assert asking.stdout is not None
            came = [(time.monotonic(), line) for line in asking.stdout if line.strip()]
        assert asking.returncode == 0

    pieces = [moment for moment, line in came if '"content":"' in line and '"content":""' not in line]
    assert len(pieces) == 4
    assert pieces[-1] - pieces[0] > 0.7, "they came together"
    assert came[-1][1] == "2 200"


@pytest.mark.parametrize("kind", ["nginx", "caddy", "haproxy"])
def test_behind_a_proxy_as_the_page_shows_it_large_requests_pass_and_strangers_do_not(
    kind: str, certificate: Path, tmp_path: Path
) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "word " * 400_000}], "max_tokens": 1}
    trusted = ssl.create_default_context(cafile=str(certificate))
    with (
        relay() as (_, port),
        proxied(kind, port, certificate, tmp_path) as url,
        httpx.Client(base_url=url, verify=trusted, timeout=60) as client,
    ):
        answered = client.post("/v1/chat/completions", json=body, headers=KEY)
        refused = client.post("/v1/chat/completions", json=body | {"messages": []})

    assert answered.status_code == 200
    assert refused.status_code == 401


def test_a_key_stays_with_one_relay_and_another_takes_over_when_that_is_gone(tmp_path: Path) -> None:
    """The proxy notices by itself: no request fails."""
    port = free_port()
    upstream = shown("## Several relays", "nginx")
    server = f"{upstream} server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://relay; }} }}"

    def served_by(client: httpx.Client) -> list[int]:
        asked = [float(_figure(client, url)) for url in urls]
        body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
        answers = [client.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body) for _ in range(5)]
        assert {answer.status_code for answer in answers} == {200}
        return [int(float(_figure(client, url)) - before) for url, before in zip(urls, asked, strict=True)]

    with ExitStack() as stack, httpx.Client(headers=KEY, timeout=20) as client:
        stops = [ExitStack(), ExitStack()]
        places = [stack.enter_context(stop).enter_context(relay()) for stop in stops]
        urls = [f"http://127.0.0.1:{place[1]}" for place in places]
        for shown_port, place in zip((8082, 8083), places, strict=True):
            server = server.replace(f"127.0.0.1:{shown_port}", f"127.0.0.1:{place[1]}")
        stack.enter_context(nginx(server, tmp_path, port))

        first = served_by(client)
        assert sorted(first) == [0, 5]
        gone = first.index(5)
        stops[gone].close()
        del urls[gone]

        assert served_by(client) == [5]


def _figure(client: httpx.Client, url: str) -> str:
    found = re.search(r"^claude_relay_runs_total\{.*\} (\S+)$", client.get(f"{url}/metrics").text, re.MULTILINE)
    return found[1] if found else "0"
