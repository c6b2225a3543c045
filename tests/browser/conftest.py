"""The console in Debian's Chromium, without a display."""

import shutil
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Request, sync_playwright

from claude_relay.asgi import create_app
from claude_relay.settings import Settings
from claude_relay.store import memory
from claude_relay.web.protocol import BoundedProtocol
from tests.serving import serving

SECONDS = 10
KEY = "secret-key-of-ann"


class Visit:
    """A page of the console, and what went on beside it.

    Attributes:
        page: The page.
        errors: What its scripts failed with, and what its console calls errors.
        elsewhere: Requests to other hosts.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.page = context.new_page()
        self.page.set_default_timeout(1000 * SECONDS)
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        context.on("request", self._requested)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(message.text)

    def _requested(self, request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:")):
            self.elsewhere.append(request.url)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    # for one module: its event loop is in the way of asynchronous tests
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path is not None, "the console is tested in Debian's chromium: apt-get install chromium"
    # root may not run it otherwise
    running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
    yield running
    running.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(permissions=["clipboard-read", "clipboard-write"], reduced_motion="reduce")
    yield opened
    opened.close()


@pytest.fixture
def visit(context: BrowserContext) -> Iterator[Visit]:
    """A page on which nothing may fail, and which may ask nobody else."""
    made = Visit(context)
    yield made
    assert made.errors == []
    assert made.elsewhere == []


@pytest.fixture
def page(visit: Visit) -> Page:
    return visit.page


def _served(**choices: object) -> Iterator[str]:
    app = create_app(Settings(runner="echo", **choices), open_store=memory.open_store)  # type: ignore[arg-type]
    config = uvicorn.Config(app, port=0, http=BoundedProtocol, log_config=None, timeout_graceful_shutdown=1)
    with serving(config) as (_, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A relay without keys over the echo runner."""
    yield from _served()


@pytest.fixture(scope="module")
def keyed_url() -> Iterator[str]:
    """A relay with keys over the echo runner."""
    yield from _served(api_keys=(f"ann={KEY}", "bob=another-secret-key"))
