"""The sandboxes page."""

import re

from playwright.async_api import expect

from .conftest import Visit


async def test_sandboxes_are_listed_with_their_threads_and_curves_and_end_on_demand(visit: Visit):
    with visit.api() as api:
        api.post("/code/execute", json={"code": "1", "thread_id": "mine"}).raise_for_status()
    page = await visit.open("sandboxes")
    row = page.get_by_test_id("sandbox")
    await expect(row).to_contain_text("mine")
    await expect(row).to_contain_text(re.compile(r"\d+ min"))
    await expect(row.get_by_role("img", name=re.compile(r"Memory: [1-9]\d* MiB"))).to_be_visible()
    await expect(row.get_by_role("img", name=re.compile("CPU"))).to_be_visible()
    await row.get_by_role("button", name=re.compile("^End")).click()
    await page.get_by_role("button", name="End it").click()
    await expect(page.get_by_role("heading", name="No sandboxes")).to_be_visible()
