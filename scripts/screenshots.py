"""Makes docs/images: the four pages, light and dark, of a real `sandloop serve` with the scripted model."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect, sync_playwright

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
DATA = ROOT / "examples" / "data" / "bicycle_counts.csv"
KEY = "key-of-the-screenshots"
SIZE = {"width": 1280, "height": 800}
NARROW = {"width": 360, "height": 740}
ANALYST = {
    "name": "Analyst",
    "description": "Charts first, and few words",
    "systemPrompt": "Show a chart whenever there are numbers.",
    "defaultPackages": ["polars"],
}
CAREFUL = {
    "name": "Careful",
    "description": "Asks before it runs anything",
    "enableNetwork": True,
    "networkApproval": "ask",
}


def main() -> None:
    """Take the pictures of a server of our own, so that nobody's sandboxes are in them."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, served(folder) as url:
        take(url)


@contextmanager
def served(folder: str) -> Iterator[str]:
    """Start `sandloop serve` with a sandbox server of its own, with all files in the folder; yield its address."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SANDLOOP_", "OPENAI_"))}
    environ |= {"XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_RUNTIME_DIR": folder}
    arguments = ("sandbox_server", "serve", "--port", "0", "--api-key", KEY)
    with started(arguments, environ, subprocess.PIPE, None) as sandboxes:
        environ |= {"E2B_API_URL": sandboxes, "E2B_SANDBOX_URL": sandboxes, "E2B_API_KEY": KEY}
        with started(("sandloop", "serve", "--port", "0", "--no-auth"), environ, None, subprocess.PIPE) as url:
            with httpx.Client(base_url=url, timeout=60, transport=httpx.HTTPTransport(retries=20)) as api:
                api.get("/health").raise_for_status()
            yield url


@contextmanager
def started(
    arguments: Sequence[str], environ: Mapping[str, str], stdout: int | None, stderr: int | None
) -> Iterator[str]:
    """Start a server and yield the address that it says it listens at."""
    command = [sys.executable, "-m", *arguments]
    process = subprocess.Popen(command, env=environ, stdout=stdout, stderr=stderr, text=True, cwd=ROOT)
    try:
        said = process.stdout or process.stderr
        assert said is not None
        yield next(line for line in said if line.startswith("listening on ")).split()[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def take(url: str) -> None:
    """Take the pictures."""
    with httpx.Client(base_url=url, timeout=60) as api:
        for policy in (ANALYST, CAREFUL):
            api.post("/agents/configs", json={"policy": policy}).raise_for_status()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]
                page.set_default_timeout(120_000)
                pictures(page, url, scheme)
                page.close()
            browser.close()


def pictures(page: Page, url: str, scheme: str) -> None:
    """Take those of one theme."""

    def picture(name: str) -> None:
        page.screenshot(path=IMAGES / f"{name}-{scheme}.png", animations="disabled", caret="hide")

    page.goto(f"{url}/#/code")
    page.locator(".monaco-editor").wait_for()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_test_id("run-end").wait_for()
    page.get_by_role("button", name="Interactive").click()
    page.get_by_test_id("file-picker").set_input_files(DATA)
    page.get_by_role("button", name=DATA.name).first.wait_for()
    page.get_by_test_id("status-line").get_by_text("Memory").wait_for()
    page.locator(".chart svg").hover(position={"x": 180, "y": 110})
    picture("code")

    page.goto(f"{url}/#/chat")
    page.get_by_test_id("attach").set_input_files(DATA)
    page.get_by_label("Message", exact=True).fill("Analyse bicycle_counts.csv and make a chart")
    page.get_by_role("button", name="Send").click()
    page.get_by_test_id("run-end").wait_for()
    page.locator(".messages").evaluate("box => { box.scrollTop = 0; }")
    picture("chat")
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    picture("chat-narrow")
    page.set_viewport_size(SIZE)  # type: ignore[arg-type]

    page.goto(f"{url}/#/agents/new")
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Default packages").fill("polars\nhttpx>=0.27")
    picture("agents")

    page.goto(f"{url}/#/sandboxes")
    page.get_by_test_id("sandbox").nth(1).wait_for()
    # The curves grow by a point every two seconds.
    expect(page.locator(".curve polyline").first).to_have_attribute("points", re.compile(r"(\S+ ){4}"), timeout=60_000)
    picture("sandboxes")


if __name__ == "__main__":
    main()
