"""The console as people use it."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import KEY, Visit
from tests.live.relay import clean_environment, relay
from tests.upstream import FakeUpstream, Message, Text, Thinking, ToolUse, text

FAMILIES = ("chat", "responses", "messages")
WORDS = "one two three four five six seven eight nine ten"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)


def chat(url: str, content: str, model: str = "sonnet:chat", **headers: str) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": content}]}
    return httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=30)


def ask(page: Page, url: str, family: str, prompt: str) -> None:
    page.goto(f"{url}/#playground")
    page.get_by_label("API", exact=True).select_option(family)
    page.get_by_label("Message").fill(prompt)
    page.get_by_role("button", name="Send").click()


def test_requests_appear_as_programs_send_them(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("#connection")).to_have_text("ok")

    chat(url, WORDS, authorization="Bearer unused")
    row = page.locator("#recent tr", has_text="sonnet:chat").first
    expect(row).to_contain_text("stop")

    chat(url, "!echo error=429\n")
    expect(page.locator("#recent tr .error").first).to_contain_text("429")
    expect(page.locator("#tiles div", has_text="Errors").locator("dd")).to_contain_text("1")
    tokens = page.get_by_role("img", name="Tokens")
    expect(tokens).to_have_accessible_name(re.compile("in at most"))
    page.get_by_label("Last day").check()
    expect(tokens.locator("rect.second").first).to_be_attached()


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_is_watched_as_it_is_written(page: Page, url: str, family: str) -> None:
    ask(page, url, family, f"!echo interval=0.1\n{WORDS}")

    answer = page.locator(".turn.assistant")
    expect(answer).to_have_class(re.compile("busy"))
    expect(answer.locator(".text")).to_have_text(re.compile("^one two"))
    expect(answer.locator("footer")).to_contain_text("10 out")
    expect(answer.locator(".text")).to_have_text(WORDS)

    page.get_by_label("Message").fill("and on")
    page.get_by_label("Message").press("Control+Enter")
    expect(page.locator(".turn.assistant").nth(1).locator(".text")).to_have_text("and on")


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_is_stopped(page: Page, url: str, family: str) -> None:
    ask(page, url, family, f"!echo interval=0.1 repeat=100\n{WORDS}")
    expect(page.locator(".turn.assistant .text")).to_have_text(re.compile("^one two"))

    page.get_by_role("button", name="Stop").click()

    expect(page.locator(".turn.assistant footer")).to_contain_text("Stopped")
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    page.get_by_role("link", name="Overview").click()
    expect(page.locator("#running")).to_contain_text("Nothing runs.")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_failure_within_an_answer_is_shown(page: Page, url: str, family: str) -> None:
    ask(page, url, family, f"!echo error=503 after=2\n{WORDS}")

    expect(page.locator(".turn.assistant .error")).to_contain_text("told to fail with status 503")
    expect(page.locator(".turn.assistant .text")).to_have_text(re.compile("^one two"))


def test_a_refusal_is_shown(visit: Visit, url: str) -> None:
    ask(visit.page, url, "chat", "!echo error=404\n")

    expect(visit.page.locator(".turn.assistant .error")).to_contain_text("status 404")
    # the browser tells of it by itself
    (told,) = visit.errors
    assert "404" in told
    visit.errors.clear()


def test_a_stored_response_is_read(page: Page, url: str) -> None:
    body = {"model": "sonnet", "input": "Keep this.", "instructions": "Be brief."}
    httpx.post(f"{url}/v1/responses", json=body, headers={"authorization": "Bearer unused"}).raise_for_status()

    page.goto(f"{url}/#responses")
    page.get_by_role("button", name="Keep this.").click()

    response = page.get_by_role("article", name="Response")
    expect(response.locator(".turn.user")).to_have_text("Keep this.")
    expect(response.locator(".turn.assistant .text")).to_have_text("Keep this.")
    response.get_by_text("Instructions").click()
    expect(response.get_by_text("Be brief.")).to_be_visible()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_copied_request_works_in_a_shell(page: Page, url: str, family: str) -> None:
    page.goto(f"{url}/#playground")
    page.get_by_label("API", exact=True).select_option(family)
    page.get_by_label("System prompt").fill("It's \"odd\": $HOME, `x` & 'y'\n→")
    page.get_by_label("Message").fill("It's a test")
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#copied")).to_contain_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")

    answer = subprocess.run(["bash", "-c", copied], capture_output=True, text=True, check=True, timeout=20)

    assert all(f'"{word}' in answer.stdout for word in ("It's", "a ", "test"))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_copied_request_is_python(page: Page, url: str, family: str, capsys: pytest.CaptureFixture[str]) -> None:
    page.goto(f"{url}/#playground")
    page.get_by_label("API", exact=True).select_option(family)
    page.get_by_label("Message").fill('It\'s "a" test\nof → 🎈')
    page.get_by_label("Copy the request as").select_option("python")
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#copied")).to_contain_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")

    compile(copied, "copied", "exec")
    if family != "messages":
        exec(copied)
        assert capsys.readouterr().out == 'It\'s "a" test\nof → 🎈'


def test_a_key_is_asked_for_and_kept_in_the_tab(visit: Visit, keyed_url: str) -> None:
    page = visit.page
    chat(keyed_url, "of ann", authorization=f"Bearer {KEY}")
    chat(keyed_url, "!echo error=502\nof bob", authorization="Bearer another-secret-key")
    page.goto(keyed_url)
    expect(page.get_by_role("heading", name="API key")).to_be_visible()
    expect(page.get_by_role("link", name="Playground")).to_be_hidden()

    page.get_by_label("Key of this relay").fill("wrong-key")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#login-error")).to_contain_text("Incorrect API key")
    (told,) = visit.errors
    assert "401" in told
    visit.errors.clear()

    page.get_by_label("Key of this relay").fill(KEY)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#about")).to_contain_text("ann")
    expect(page.locator("#recent tr")).to_have_count(1)
    expect(page.locator("#recent")).not_to_contain_text("502")
    page.reload()
    expect(page.locator("#about")).to_contain_text("ann")
    page.goto(f"{keyed_url}/#playground")
    page.get_by_label("Message").fill("with the key")
    page.get_by_role("button", name="Copy").click()
    assert KEY not in page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".turn.assistant .text")).to_have_text("with the key")

    page.get_by_role("button", name="Forget key").click()
    expect(page.get_by_role("heading", name="API key")).to_be_visible()
    assert page.evaluate("JSON.stringify([sessionStorage, localStorage, document.cookie])") == '[{},{},""]'


def test_all_is_reached_by_keyboard(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("#connection")).to_have_text("ok")
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent || document.activeElement.value"))
    assert reached[:5] == ["Skip to the content", "Overview", "Playground", "Responses", "minutes"]

    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("System prompt")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("dark", 1280), ("light", 360)])
def test_there_is_no_serious_fault_for_people_who_see_or_hear_it_differently(
    browser: Browser, url: str, scheme: str, width: int
) -> None:
    chat(url, "!echo error=429\n")
    httpx.post(f"{url}/v1/responses", json={"model": "sonnet", "input": "Keep this."}).raise_for_status()
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800}, reduced_motion="reduce")  # type: ignore[arg-type]
    found: list[tuple[str, str, str]] = []
    ask(page, url, "chat", WORDS)
    expect(page.locator(".turn.assistant footer")).to_contain_text("10 out")
    for view in ("playground", "overview", "responses"):
        page.goto(f"{url}/#{view}")
        expect(page.locator(f"[data-view={view}]")).to_be_visible()
        if view == "responses":
            page.get_by_role("button", name="Keep this.").first.click()
            expect(page.locator("#response .turn").first).to_be_visible()
        # nothing is wider than the screen
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        violations = Axe().run(page).response["violations"]
        found += [
            (view, fault["id"], node["html"])
            for fault in violations
            for node in fault["nodes"]
            if fault["impact"] in {"serious", "critical"}
        ]
    page.close()

    assert found == []


@contextmanager
def command(home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server as a user does, and end it as the system does."""
    options = ["--runner", "echo", "--host", "127.0.0.1", "--port", str(port), "--log-level", "error"]
    server = subprocess.Popen(
        [sys.executable, "-m", "claude_relay", "serve", *options], env=clean_environment(home), cwd=home
    )
    try:
        yield server
        server.terminate()
        # viewers hold nobody up: answers would get five seconds
        assert server.wait(4) is not None
    finally:
        server.kill()
        server.wait()


def test_the_page_outlives_the_server(visit: Visit, home: Path) -> None:
    page = visit.page
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with command(home, port):
        with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:
            client.get(f"http://127.0.0.1:{port}/health")
        page.goto(f"http://127.0.0.1:{port}")
        expect(page.locator("#connection")).to_have_text("ok")
    expect(page.locator("#connection")).to_have_text("not connected")

    with command(home, port):
        expect(page.locator("#connection")).to_have_text("ok")
        chat(f"http://127.0.0.1:{port}", WORDS)
        expect(page.locator("#recent tr", has_text="sonnet:chat")).to_have_count(1)
    assert all("ERR_CONNECTION_REFUSED" in told or "ERR_INCOMPLETE" in told for told in visit.errors)
    visit.errors.clear()


@pytest.mark.timeout(60)
def test_agents_are_watched_and_permitted(
    page: Page, home: Path, claude_path: str, upstream: FakeUpstream, tmp_path: Path
) -> None:
    picture = tmp_path / "pixel.png"
    picture.write_bytes(PIXEL)
    touching = ToolUse("toolu_1", "Bash", {"command": "touch made; echo it is made"})
    with (
        relay(home, clean_environment(home, upstream), claude_path=claude_path, permission_mode="ask") as running,
        ThreadPoolExecutor(1) as others,
    ):
        upstream.replies(Message(blocks=(Thinking("I wonder."), Text("I make it."), touching)), text("Done."))
        page.goto(f"{running.url}/#playground")
        page.get_by_label("API", exact=True).select_option("responses")
        page.get_by_label("Model").select_option("sonnet:agent")
        page.get_by_label("Image").set_input_files(picture)
        expect(page.locator("#preview")).to_be_visible()
        page.get_by_label("Message").fill("Make it.")
        page.get_by_role("button", name="Send").click()

        page.get_by_role("log").get_by_role("button", name="Approve: Bash").click()
        expect(page.locator(".turn.assistant").last).to_contain_text("Done.")
        assert (home / "made").exists()
        thought = page.get_by_text("I wonder.")
        expect(thought).to_be_hidden()
        page.get_by_text("Thinking", exact=True).click()
        expect(thought).to_be_visible()
        page.get_by_text("✓ Bash").click()
        expect(page.locator("details.step pre", has_text="it is made").last).to_be_visible()
        assert "image" in json.dumps(upstream.messages_requests[0].body)

        # another program waits, with a dummy key of its own
        upstream.replies(
            Message(blocks=(ToolUse("toolu_2", "Bash", {"command": "touch other"}),)), text("As you like.")
        )
        asked = others.submit(chat, running.url, "Other.", "sonnet:agent", authorization="Bearer unused")
        panel = page.get_by_role("region", name="Waiting for your permission")
        expect(panel).to_contain_text("touch other")
        expect(page).to_have_title("(1) claude-relay")
        panel.get_by_role("button", name="Deny: Bash").click()
        expect(panel).to_be_hidden()
        assert "As you like." in asked.result(20).text
        assert not (home / "other").exists()
        page.get_by_role("link", name="Overview").click()
        expect(page.locator("#tiles div", has_text="Processes busy")).to_contain_text("idle")
        page.get_by_role("link", name="Responses").click()
        page.get_by_role("button", name="Done.").click()
        expect(page.locator("#response")).to_contain_text("Bash")
