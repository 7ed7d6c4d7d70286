"""A real Chromium, a real `sandloop serve` with a sandbox server behind it, and the scripted model.

Playwright's objects live on one event loop, the session's: the tests of this folder are marked so by `on_one_loop`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright, expect

from tests.sandbox_server.conftest import RunningServer, start_server, stop_server
from tests.sandbox_server.waiting import wait_until
from tests.sandloop.http.conftest import SECRET, token

from .line import Line

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_MS = 45_000
"""For a loaded machine; what is there is found at once."""

expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip where there is no browser; put all of this folder on the loop that the browser is on."""
    for item in items:
        if not item.path.is_relative_to(Path(__file__).parent) or "page_url" not in getattr(item, "fixturenames", ()):
            continue
        item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
        if CHROMIUM is None:
            item.add_marker(pytest.mark.skip(reason="there is no chromium: see scripts/setup-browser"))


@pytest.fixture(scope="session")
def sandbox_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The worker's own sandbox server."""
    running = start_server(tmp_path_factory.mktemp("run"))
    yield running
    stop_server(running)


@pytest.fixture(scope="session")
def page_url(sandbox_server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`sandloop serve`, with the page that `make web` has built."""
    if not (ROOT / "sandloop" / "web_static" / "index.html").is_file():
        pytest.fail("the page is not built: run 'make web'")
    folder = tmp_path_factory.mktemp("sandloop")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SANDLOOP_", "OPENAI_"))}
    environ |= {
        "E2B_API_URL": sandbox_server.url,
        "E2B_SANDBOX_URL": sandbox_server.url,
        "E2B_API_KEY": "test-key",
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "SANDLOOP_AUTH_SECRET": SECRET,
        "SANDLOOP_LIMITS_REQUESTS": "100000/minute",
        "SANDLOOP_LIMITS_REFUSED": "100000/minute",
    }
    log = folder / "serve.log"
    command = [sys.executable, "-m", "sandloop", "serve", "--port", "0"]
    with open(log, "w") as opened:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=opened, text=True)
    try:
        wait_until(lambda: process.poll() is not None or "listening on " in log.read_text(), 90)
        url = next(line.split()[-1] for line in log.read_text().splitlines() if line.startswith("listening on "))
        wait_until(lambda: _answers(url), 90)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The worker's own Chromium."""
    async with async_playwright() as playwright:
        # The sandbox of Chromium itself does not work for root, and what it opens here is our own page.
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@dataclass
class Visit:
    """One browser of a person: cookies and storage of its own.

    Attributes:
        url: by which the browser reaches the server.
        server: its own address.
        foreign: requests that were for another origin than the page's.
        complaints: errors of scripts, and what the Content-Security-Policy has stopped.
    """

    url: str
    server: str
    subject: str
    context: BrowserContext
    page: Page
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note what must not happen."""

        def on_request(request: Request) -> None:
            if not request.url.startswith((f"{self.url}/", "data:", "blob:")):
                self.foreign.append(request.url)

        self.context.on("request", on_request)
        # What a result's own scripts try in their frame, and are refused, is no complaint about the page.
        self.page.on(
            "pageerror", lambda error: self.complaints.append(str(error)) if "/assets/" in (error.stack or "") else None
        )
        self.page.on("console", self._on_message)

    def _on_message(self, message: ConsoleMessage) -> None:
        is_ours = message.location["url"] in (f"{self.url}/", self.page.url) or "/assets/" in message.location["url"]
        if is_ours and "Content Security Policy" in message.text:
            self.complaints.append(message.text)

    async def open(self, place: str = "") -> Page:
        """Log in and open a place such as `chat`."""
        answer = await self.context.request.post(f"{self.url}/auth/login", data={"token": token(self.subject)})
        assert answer.ok
        await self.page.goto("about:blank")
        await self.page.goto(f"{self.url}/#/{place}")
        return self.page

    def api(self) -> httpx.Client:
        """The same person, without a browser."""
        headers = {"Authorization": f"Bearer {token(self.subject)}"}
        return httpx.Client(base_url=self.server, headers=headers, timeout=60)


NewVisit = Callable[..., Awaitable[Visit]]


@pytest_asyncio.fixture(loop_scope="session")
async def new_visit(
    browser: Browser, page_url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[NewVisit]:
    """Open browsers. In none of them a request may leave the server's origin, or a script fail."""
    made: list[Visit] = []
    subject = f"{request.node.name[:60]}-{tmp_path.name[-8:]}"

    async def new(url: str = page_url, **options: Any) -> Visit:
        context = await browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(PATIENCE_MS)
        await context.grant_permissions(["clipboard-read", "clipboard-write"])
        visit = Visit(url, page_url, subject, context, await context.new_page())
        visit.watch()
        made.append(visit)
        return visit

    yield new
    for visit in made:
        await visit.context.close()
    if made:
        with made[0].api() as api:
            for sandbox in api.get("/sandboxes").json():
                api.delete(f"/sandboxes/{sandbox['sandbox_id']}")
    for visit in made:
        assert (visit.foreign, visit.complaints) == ([], [])


@pytest_asyncio.fixture(loop_scope="session")
async def line(page_url: str) -> AsyncIterator[Line]:
    """A line to the server that can be cut."""
    async with Line(page_url) as line:
        yield line


@pytest_asyncio.fixture(loop_scope="session")
async def visit(new_visit: NewVisit) -> Visit:
    """One browser."""
    return await new_visit()
