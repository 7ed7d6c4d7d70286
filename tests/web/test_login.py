"""Logging in, and what becomes of the token."""

import time

from playwright.async_api import expect

from tests.sandloop.http.conftest import token

from .conftest import Visit

STORED = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"


async def test_a_token_logs_in_and_no_script_can_read_it(visit: Visit):
    page, secret = visit.page, token("somebody")
    await page.goto(visit.url)
    await page.get_by_label("Token").fill(secret)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    await expect(page.get_by_text("somebody")).to_be_visible()
    stored = await page.evaluate(STORED)
    assert not [part for part in secret.split(".") if part in stored]
    cookie = next(one for one in await visit.context.cookies() if one["name"] == "sandloop_session")
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")

    await page.reload()
    await expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_label("Token")).to_be_visible()
    assert await visit.context.cookies() == []


async def test_a_bad_token_is_refused_with_what_to_do(visit: Visit):
    await visit.page.goto(visit.url)
    await visit.page.get_by_label("Token").fill("no token")
    await visit.page.get_by_role("button", name="Log in").click()
    await expect(visit.page.get_by_role("alert")).to_contain_text("sandloop token")


async def test_an_expired_token_leads_back_to_the_login(visit: Visit):
    page = await visit.open("agents")
    await expect(page.get_by_role("link", name="New agent")).to_be_visible()
    expired = token(visit.subject, exp=int(time.time()) - 60)
    await visit.context.add_cookies([{"name": "sandloop_session", "value": expired, "url": visit.url}])
    await page.get_by_role("link", name="Sandboxes").click()
    await expect(page.get_by_text("Your token has expired")).to_be_visible()

    await page.get_by_label("Token").fill(token(visit.subject))
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("heading", name="No sandboxes")).to_be_visible()


async def test_the_keyboard_alone_is_enough(visit: Visit):
    page = visit.page
    await page.goto(visit.url)
    await expect(page.get_by_label("Token")).to_be_focused()
    await page.keyboard.insert_text(token(visit.subject))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for name in ("Sandloop", "Code", "Chat"):
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name=name, exact=True)).to_be_focused()
    await page.keyboard.press("Enter")
    message = page.get_by_label("Message", exact=True)
    for _ in range(30):
        await page.keyboard.press("Tab")
        if await message.evaluate("box => box === document.activeElement"):
            break
    await page.keyboard.insert_text("Calculate the factorial of 5")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("words").last).to_have_text("The factorial of 5 is 120.")
