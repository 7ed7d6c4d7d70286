"""How soon the page is there: first paint, and the editor ready to type in. `python -m bench.page`."""

from __future__ import annotations

import shutil
import statistics
import tempfile

from playwright.sync_api import Browser, sync_playwright

from scripts.screenshots import served

ROUNDS = 5
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, served(folder) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        measure(browser, url)  # The sandbox server warms up.
        found = [measure(browser, url) for _ in range(ROUNDS)]
        browser.close()
    for name, values in zip(("first paint", "editor ready"), zip(*found, strict=True), strict=True):
        print(f"{name:13} median {statistics.median(values):5.0f} ms, worst {max(values):5.0f} ms")


def measure(browser: Browser, url: str) -> tuple[float, float]:
    """Visit with an empty cache; return the milliseconds."""
    page = browser.new_context().new_page()
    page.goto(f"{url}/#/code")
    page.locator(".monaco-editor .view-line").first.wait_for()
    ready = page.evaluate("performance.now()")
    paint = page.evaluate(PAINT)
    page.context.close()
    return paint, ready


if __name__ == "__main__":
    main()
