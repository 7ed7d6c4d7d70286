"""What comes out of a sandbox reaches neither the page's origin nor its session, and does not bring the page down."""

import json

from playwright.async_api import FrameLocator, Page, expect

from .conftest import Visit
from .workbench import approve_with, ask_first, finished, run

HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'><svg onload='window.hacked = 1'>"
PROBES = {
    "parent": "parent.parent.document.body.innerHTML",
    "top": "top.document.cookie",
    "go": "top.location = 'about:blank'",
    "cookies": "document.cookie",
    "storage": "localStorage.length",
    "opened": "String(window.open('about:blank'))",
}


async def untouched(page: Page) -> None:
    assert await page.evaluate("window.hacked") is None
    assert await page.evaluate("document.querySelectorAll('#main script, #main [onerror], #main [onload]').length") == 0


def frame(page: Page) -> FrameLocator:
    return page.frame_locator("iframe.html-frame").frame_locator("iframe")


async def test_markup_in_output_errors_and_values_is_text(visit: Visit):
    page = await visit.open("code")
    code = f"import sys\nx = {HOSTILE!r}\nprint(x)\nprint(x, file=sys.stderr)\nraise ValueError(x)"
    output = await run(page, code)
    await expect(output.locator(".text-stdout")).to_have_text(HOSTILE)
    await expect(output.locator(".text-stderr").first).to_have_text(HOSTILE)
    await expect(output.get_by_role("alert")).to_contain_text("<script>window.hacked = 1</script>")
    await untouched(page)


async def test_markdown_keeps_no_html_and_only_harmless_links(visit: Visit):
    page = await visit.open("code")
    text = f"{HOSTILE}\n\n[bad](javascript:alert(1)) [data](data:text/html,x) [good](https://example.org/)\n\n![p](https://example.org/p.png)"
    output = await run(page, f"from IPython.display import Markdown\nMarkdown({text!r})")
    shown = output.locator(".markdown")
    await expect(shown).to_contain_text("<img src=x")
    links = [await link.get_attribute("href") for link in await shown.get_by_role("link").all()]
    assert links == ["https://example.org/", "https://example.org/p.png"]
    assert await shown.locator("img").count() == 0
    await untouched(page)


async def test_scripts_in_an_svg_do_not_run(visit: Visit):
    page = await visit.open("code")
    attributes = 'xmlns="http://www.w3.org/2000/svg" width="20" height="20" onload="top.hacked = 1"'
    svg = f"<svg {attributes}><script>top.hacked = 1</script></svg>"
    output = await run(page, f"from IPython.display import SVG\nSVG({svg!r})")
    await expect(output.locator("img.result-image")).to_be_visible()
    await untouched(page)


async def test_html_results_cannot_reach_the_page_its_session_or_any_server(visit: Visit):
    page = await visit.open("code")
    tries = "".join(
        f"try {{ found.{name} = String({probe}); }} catch (error) {{ found.{name} = error.name; }}\n"
        for name, probe in PROBES.items()
    )
    script = f"""
      const found = {{}};
      {tries}
      const tried = (url) => fetch(url, {{ credentials: "include" }}).then(() => "reached", (error) => error.name);
      Promise.all([tried("{visit.url}/auth/me"), tried("https://example.org/")]).then(([own, other]) => {{
        document.body.textContent = JSON.stringify({{ ...found, own, other }});
      }});
    """
    await run(page, f"from IPython.display import HTML\nHTML({f'<body><script>{script}</script></body>'!r})")
    body = frame(page).locator("body")
    await expect(body).to_contain_text('"other"')
    found = json.loads(await body.inner_text())
    assert {found[name] for name in ("parent", "top", "go", "cookies", "storage")} == {"SecurityError"}
    assert (found["opened"], found["own"], found["other"]) == ("null", "TypeError", "TypeError")
    assert page.url.startswith(visit.url)


async def test_an_html_result_that_navigates_or_sends_forms_stays_where_it_is(visit: Visit):
    page = await visit.open("code")
    html = (
        "<meta http-equiv=refresh content='0;url=https://example.org/'>"
        "<form id=f action='https://example.org/' target=_top></form>"
        "<script>try { document.getElementById('f').submit() } catch (e) {}; location.href = 'https://example.org/?a'</script>"
    )
    await run(page, f"from IPython.display import HTML\nHTML({html!r})")
    await finished(page)
    await expect(page.locator("iframe.html-frame")).to_be_visible()
    await run(page, "'still here'")
    await expect(page.get_by_test_id("value")).to_have_text("still here")
    assert page.url.startswith(visit.url)


async def test_file_names_are_text(visit: Visit):
    page = await visit.open("code")
    names = ["<img src=x onerror=window.hacked=1>", "a\u202etxt.exe", "'\"&<b>.py"]
    await run(page, "\n".join(f"open({name!r}, 'w').close()" for name in names))
    await finished(page)
    files = page.get_by_test_id("files")
    await expect(files).to_contain_text(names[0])
    await expect(files).to_contain_text("a⟨RLO⟩txt.exe")
    await files.get_by_role("button", name=names[2]).first.click()
    await expect(page.locator(".doc-tab").last).to_contain_text("'\"&<b>.py")
    await untouched(page)


async def test_escape_sequences_and_direction_marks_are_not_obeyed(visit: Visit):
    page = await visit.open("code")
    text = "\x1b[31mred\x1b[0m\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07\x1b[2J \u202eevil \x07\x08 end"
    output = await run(page, f"print({text!r})")
    await expect(output.locator(".text-stdout")).to_contain_text("redlink")
    shown = await output.locator(".text-stdout").inner_text()
    assert not set(shown) & set("\x1b\x07\x08\u202e")
    assert await output.locator(".text-stdout a").count() == 0


async def test_fifty_megabytes_of_output_leave_the_page_usable(visit: Visit):
    page = await visit.open("code")
    output = await run(page, "line = 'x' * 99\nfor n in range(500_000):\n    print(n, line)\nprint('the end')")
    await finished(page)
    await expect(output.get_by_text("are not shown here")).to_be_visible()
    await expect(output.get_by_role("link", name="Download all of it")).to_be_visible()
    assert await output.evaluate("box => box.textContent.length") < 1_000_000
    await run(page, "6 * 7")
    await expect(page.get_by_test_id("value")).to_have_text("42")


async def test_what_a_tool_returns_in_the_chat_is_as_harmless(visit: Visit):
    page = await ask_first(visit)
    await approve_with(
        page,
        f"from IPython.display import HTML, Markdown, display\nprint({HOSTILE!r})\n"
        f"display(Markdown({HOSTILE!r}))\ndisplay(HTML('<p>framed</p><script>top.hacked = 1</script>'))",
    )
    await finished(page)
    await expect(page.get_by_test_id("cell")).to_contain_text("<script>window.hacked = 1</script>")
    await expect(frame(page).locator("p")).to_have_text("framed")
    await untouched(page)


async def test_another_page_cannot_frame_this_one(visit: Visit):
    page = visit.page
    answer = await page.goto(visit.url)
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy and "'unsafe-eval'" not in policy
    assert "script-src" not in policy and "default-src 'self'" in policy
    answer = await page.goto(f"{visit.url}/frame.html")
    assert answer is not None
    assert answer.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")
