"""The agents page: making, changing, trying and deleting saved configurations."""

from playwright.async_api import expect

from .conftest import Visit
from .workbench import finished, say


async def test_an_agent_is_made_in_four_steps_each_checked_by_the_server_and_tried(visit: Visit):
    page = await visit.open("agents")
    await page.get_by_role("link", name="New agent").click()
    await page.get_by_role("radio", name="coding").check()
    await page.get_by_role("button", name="Next").click()

    timeout = page.get_by_label("Timeout", exact=True)
    await timeout.fill("5")
    await page.get_by_label("Default packages").fill("--index-url=x")
    await page.get_by_role("button", name="Next").click()
    await expect(timeout).to_have_attribute("aria-invalid", "true")
    await expect(timeout).to_be_focused()
    await expect(page.get_by_label("Default packages")).to_have_attribute("aria-invalid", "true")
    await timeout.fill("600")
    await page.get_by_label("Default packages").fill("")
    await page.get_by_label("Enable GPU").check()
    await page.get_by_role("button", name="Next").click()
    await expect(page.locator(".field-error")).to_contain_text("GPU")
    await page.get_by_label("Enable GPU").uncheck()
    await page.get_by_text("All other rules").click()
    await page.get_by_label("Code checks").select_option("warn")
    await page.get_by_role("button", name="Next").click()

    await page.get_by_label("System prompt").fill("Answer with a number only.")
    await page.get_by_role("button", name="Next").click()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Name").fill("Counter")
    await page.get_by_role("button", name="Save and try").click()

    await expect(page.get_by_label("Agent", exact=True).locator("option:checked")).to_have_text("Counter")
    await say(page, "Calculate the factorial of 4")
    await finished(page)
    with visit.api() as api:
        [saved] = api.get("/agents/configs").json()
    assert (saved["policy"]["timeout"], saved["policy"]["codeChecks"]) == (600, "warn")
    assert saved["policy"]["systemPrompt"] == "Answer with a number only."


async def test_an_agent_is_changed_and_deleted(visit: Visit):
    with visit.api() as api:
        api.post("/agents/configs", json={"policy": {"name": "Before", "timeout": 99}}).raise_for_status()
    page = await visit.open("agents")
    await page.get_by_role("link", name="Before", exact=True).click()
    await page.get_by_role("button", name="Sandbox").click()
    await expect(page.get_by_label("Timeout", exact=True)).to_have_value("99")
    await page.get_by_role("button", name="Name and save").click()
    await page.get_by_label("Name").fill("After")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_test_id("agent")).to_contain_text("After")
    await page.get_by_role("button", name="Delete After").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("heading", name="No agents yet")).to_be_visible()
