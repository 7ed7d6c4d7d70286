"""Every page in light and dark, narrow and wide: readable by everybody, and nothing beyond the edge."""

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from .conftest import NewVisit
from .workbench import finished, run, say

SERIOUS = ("serious", "critical")


async def findings(page: Page) -> list[str]:
    results = (await Axe().run(page)).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]}" for one in results if one["impact"] in SERIOUS for node in one["nodes"]
    ]


async def overflow(page: Page) -> int:
    return int(await page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_has_a_serious_finding_or_is_wider_than_its_window(new_visit: NewVisit, scheme: str, width: int):
    visit = await new_visit(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = visit.page
    await page.goto(visit.url)
    await expect(page.get_by_label("Token")).to_be_visible()
    seen = {"login": await findings(page)}

    await visit.open("code")
    await run(page, "print('x' * 2000)\n1 / 0")
    await finished(page)
    seen["code"] = await findings(page)
    assert await overflow(page) == 0

    await page.goto(f"{visit.url}/#/chat")
    await say(page, "Calculate the factorial of 10")
    await finished(page)
    seen["chat"] = await findings(page)
    assert await overflow(page) == 0

    await page.goto(f"{visit.url}/#/agents/new")
    await page.get_by_role("button", name="Next").click()
    await expect(page.get_by_label("Timeout", exact=True)).to_be_visible()
    seen["agents"] = await findings(page)
    assert await overflow(page) == 0

    await page.goto(f"{visit.url}/#/sandboxes")
    await expect(page.get_by_test_id("sandbox").first).to_be_visible()
    seen["sandboxes"] = await findings(page)
    assert await overflow(page) == 0
    assert not any(seen.values()), seen


async def test_the_theme_is_chosen_and_kept(new_visit: NewVisit):
    visit = await new_visit(color_scheme="light")
    page = await visit.open("agents")
    await page.get_by_role("button", name="Use the dark theme").click()
    dark = await page.evaluate("getComputedStyle(document.body).colorScheme")
    await page.reload()
    await expect(page.get_by_role("button", name="Use the light theme")).to_be_visible()
    assert await page.evaluate("getComputedStyle(document.body).colorScheme") == dark


async def test_the_chat_loads_without_the_editor(new_visit: NewVisit):
    visit = await new_visit()
    loaded: list[str] = []
    visit.page.on("request", lambda request: loaded.append(request.url))
    page = await visit.open("chat")
    await expect(page.get_by_label("Message", exact=True)).to_be_visible()
    assert not [url for url in loaded if "Monaco" in url or "worker" in url]
