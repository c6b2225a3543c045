import os
import shutil
import socket
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from tests.clients.open_webui.page import Page
from tests.live.relay import Relay, clean_environment

START_TIMEOUT = 600
"""Seconds; the first start compiles what it imports."""


@pytest.fixture(scope="session")
def page(shared_relay: Relay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page of an Open WebUI of its own, whose connection is the relay, for who has just signed up."""
    command = shutil.which(os.environ.get("OPEN_WEBUI", "open-webui"))
    assert command is not None, ".ci/open-webui installs Open WebUI and names its command"
    home = tmp_path_factory.mktemp("open-webui")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environ = clean_environment(home) | {
        "ANONYMIZED_TELEMETRY": "false",
        "DATA_DIR": str(home / "data"),
        "DO_NOT_TRACK": "true",
        "ENABLE_OLLAMA_API": "false",
        "OFFLINE_MODE": "true",
        "OPENAI_API_BASE_URL": f"{shared_relay.url}/v1",
        "OPENAI_API_KEY": "unused",
        # by default it loads a model for that
        "RAG_EMBEDDING_ENGINE": "openai",
        "SCARF_NO_ANALYTICS": "true",
        "WEBUI_SECRET_KEY": "secret",
    }
    arguments = [command, "serve", "--host", "127.0.0.1", "--port", str(port)]
    with (
        (home / "log").open("wb") as log,
        subprocess.Popen(arguments, env=environ, cwd=home, stdout=log, stderr=log) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http,
    ):
        try:
            Relay.wait_until(lambda: server.poll() is not None or _answers(http), START_TIMEOUT)
            assert server.poll() is None, (home / "log").read_text()
            yield Page.of_new_user(http)
        finally:
            server.kill()


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/health").status_code == 200
    except httpx.TransportError:
        return False
