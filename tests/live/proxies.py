"""Reverse proxies of everyday, each with a configuration as its documentation shows it, in a directory of their own."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.serving import Place

NGINX = """
daemon off;
{user}
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {shown}
}}
"""
"""What every configuration needs in a directory of its own, around what is shown."""
_NGINX = NGINX.replace(
    "    {shown}\n",
    """\
    upstream relay {{ {servers} keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://relay;
            proxy_set_header Host $host;
            {headers}
        }}
    }}
""",
)

_HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend clients
    bind 127.0.0.1:{port}
    default_backend relay
backend relay
    {options}
    server relay 127.0.0.1:{relay}
"""

_CADDY = """
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{relay}
}}
"""

_USER = "user root;" if os.geteuid() == 0 else ""
_UPGRADING = (
    "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"
    " proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
)
_REUSING = 'proxy_http_version 1.1; proxy_set_header Connection "";'

KINDS: dict[str, tuple[str, str, dict[str, str]]] = {
    "nginx, with what is written for WebSockets": ("nginx", _NGINX, {"user": _USER, "headers": _UPGRADING}),
    "nginx, with connections that are used again": ("nginx", _NGINX, {"user": _USER, "headers": _REUSING}),
    "nginx, as it is": ("nginx", _NGINX, {"user": _USER, "headers": ""}),
    "HAProxy, as it is": ("haproxy", _HAPROXY, {"options": ""}),
    "HAProxy, with connections that all share": (
        "haproxy",
        _HAPROXY,
        {"options": "http-reuse always\n    option forwardfor"},
    ),
    "Caddy": ("caddy", _CADDY, {}),
}
"""By name: the program, its configuration, and what is filled in there."""

_COMMANDS = {
    "nginx": ("-p", "{folder}", "-c", "{file}"),
    "haproxy": ("-db", "-f", "{file}"),
    "caddy": ("run", "--config", "{file}", "--adapter", "caddyfile"),
}


@contextmanager
def proxy(kind: str, relay: Place, folder: Path, *further: Place) -> Iterator[Place]:
    """Run a proxy before a relay until the block ends, and tell where it listens.

    Args:
        kind: Which proxy.
        relay: Where the relay listens.
        folder: For the proxy's files.
        further: Relays that nginx asks in turn with the first.
    """
    program, template, filling = KINDS[kind]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        place: Place = probe.getsockname()[:2]
    servers = " ".join(f"server 127.0.0.1:{port};" for _, port in (relay, *further))
    text = template.format(folder=folder, port=place[1], relay=relay[1], servers=servers, **filling)
    with running(program, text, folder, place):
        yield place


@contextmanager
def running(program: str, configuration: str, folder: Path, place: Place) -> Iterator[None]:
    """Run a proxy with a configuration until the block ends, once it listens at a place."""
    file = folder / "configuration"
    file.write_text(configuration)
    arguments = [argument.format(folder=folder, file=file) for argument in _COMMANDS[program]]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [installed(program), *arguments], env=_environment(folder), stdout=output, stderr=output
        )
        try:
            deadline = time.monotonic() + 20
            while not _listens(place):
                assert process.poll() is None, (folder / "output").read_text()
                assert time.monotonic() < deadline, (folder / "output").read_text()
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(20)


def installed(program: str) -> str:
    """Return where a program is; a test that needs it fails without it."""
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found is not None, f"{program} is not installed; .ci/run installs it where apt-get is"
    return found


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_DATA_HOME": str(folder)}


def _listens(place: Place) -> bool:
    try:
        socket.create_connection(place, timeout=1).close()
    except OSError:
        return False
    return True
