"""What a person does on the pages, in the words of the tests."""

from __future__ import annotations

from playwright.async_api import Locator, Page, expect

from .conftest import Visit

CAREFUL = {"name": "Careful", "enableNetwork": True, "networkApproval": "ask"}
"""A policy under which every call waits for a person, who can change its code to any other."""


async def write(page: Page, code: str) -> None:
    """Replace what is in the editor."""
    editor = page.locator(".monaco-editor").first
    await editor.wait_for()
    await editor.click()
    await page.keyboard.press("ControlOrMeta+a")
    # Pasted: what is typed, Monaco indents and completes.
    await page.evaluate("text => navigator.clipboard.writeText(text)", code)
    await page.keyboard.press("ControlOrMeta+v")


async def run(page: Page, code: str) -> Locator:
    """Run code on the code page and return its output, which may still come."""
    await write(page, code)
    await page.keyboard.press("ControlOrMeta+Enter")
    return page.get_by_role("region", name="Output")


async def finished(page: Page) -> None:
    """Wait for the end of a run."""
    await expect(page.get_by_test_id("run-end").last).to_be_visible()


async def say(page: Page, message: str) -> None:
    """Send a message in the chat."""
    await page.get_by_label("Message", exact=True).fill(message)
    await page.get_by_role("button", name="Send").click()


async def ask_first(visit: Visit) -> Page:
    """Open a chat with the careful agent, and let its call wait."""
    with visit.api() as api:
        saved = api.post("/agents/configs", json={"agent_type": "coding", "policy": CAREFUL}).raise_for_status().json()
    page = await visit.open("chat")
    await page.get_by_label("Agent", exact=True).select_option(f"config:{saved['id']}")
    await say(page, "Calculate the factorial of 10")
    await expect(page.get_by_test_id("approval")).to_be_visible()
    return page


async def approve_with(page: Page, code: str) -> None:
    """Change the code of the call that waits, and let it run."""
    await page.get_by_role("button", name="Edit", exact=True).click()
    await write(page, code)
    await page.get_by_role("button", name="Run this instead").click()


def thread_of(page: Page) -> str:
    """The id of the thread that is open."""
    return page.url.rpartition("/")[2]
