"""The code page: running, seeing, files, packages."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from .conftest import NewVisit, Visit
from .line import Line
from .workbench import finished, run, write

CHART = """
import matplotlib.pyplot as plt
plt.plot([1, 2, 3], [2, 4, 8], label="growth")
plt.title("Growing")
plt.show()
"""
# E2B's own reading of matplotlib's box plots fails for most of them, so this is its result, by hand.
BOX = """
class Plot:
    def _repr_e2b_chart_(self):
        box = {"label": "a", "min": 1, "first_quartile": 2, "median": 3, "third_quartile": 4, "max": 5, "outliers": [9]}
        labels = {"x_label": "group", "y_label": "size", "x_unit": None, "y_unit": None}
        return {"type": "box_and_whisker", "title": "Boxes", "elements": [box], **labels}
Plot()
"""
LIVE = """
import sys, time
print("to stdout", flush=True)
print("to stderr", file=sys.stderr, flush=True)
time.sleep(600)
"""
DROPPED = """() => {
    const moved = new DataTransfer();
    moved.items.add(new File(["dropped"], "dropped.txt"));
    return moved;
}"""
RICH = r"""
import pandas as pd
from IPython.display import HTML, SVG, Latex, Markdown, display
display(SVG('<svg xmlns="http://www.w3.org/2000/svg" width="30" height="30"><circle cx="15" cy="15" r="9"/></svg>'))
display(Latex(r"$\frac{1}{2}$"))
display(Markdown("# Heading\n\nsome **bold** text\n\n| a | b |\n|---|---|\n| 1 | 2 |"))
display(HTML("<p id='p'>before</p><script>document.getElementById('p').textContent = 'a script ran'</script>"))
pd.DataFrame({"city": ["Bern", "Oslo"], "people": [134, 709]})
"""


async def test_output_comes_live_with_stderr_apart_and_stop_ends_the_run(visit: Visit):
    page = await visit.open("code")
    output = await run(page, LIVE)
    await expect(output.locator(".text-stdout")).to_have_text("to stdout")
    await expect(output.locator(".text-stderr")).to_have_text("to stderr")
    await page.get_by_role("button", name="Stop").click()
    await expect(page.get_by_test_id("run-end")).to_have_text("Stopped")

    await run(page, "40 + 2")
    await expect(page.get_by_test_id("value")).to_have_text("42")


async def test_a_chart_is_an_image_and_an_interactive_one(visit: Visit):
    page = await visit.open("code")
    output = await run(page, CHART)
    await expect(output.locator("img.result-image")).to_be_visible()
    await output.get_by_role("button", name="Interactive").click()
    chart = output.locator(".chart svg")
    await expect(chart).to_contain_text("Growing")
    await chart.focus()
    await page.keyboard.press("ArrowRight")
    await expect(output.locator(".chart-tip")).to_contain_text("y: 2")
    await page.keyboard.press("ArrowRight")
    await expect(output.locator(".chart-tip")).to_contain_text("y: 4")


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("plt.bar(['a', 'b'], [3, 5])", "b: 5"),
        ("plt.scatter([1, 2], [7, 9])", "y: 9"),
        ("plt.pie([1, 3], labels=['x', 'z'])", "z: 75.0 %"),
    ],
    ids=["bar", "scatter", "pie"],
)
async def test_every_kind_of_chart_tells_its_values(visit: Visit, code: str, seen: str):
    page = await visit.open("code")
    output = await run(page, f"import matplotlib.pyplot as plt\n_ = {code}\nplt.show()")
    await output.get_by_role("button", name="Interactive").click()
    await output.locator(".chart svg").focus()
    await page.keyboard.press("ArrowLeft")
    await expect(output.locator(".chart-tip")).to_contain_text(seen)


async def test_a_box_plot_tells_its_values(visit: Visit):
    page = await visit.open("code")
    output = await run(page, BOX)
    await output.locator(".chart svg").focus()
    await page.keyboard.press("ArrowRight")
    await expect(output.locator(".chart-tip")).to_contain_text("median 3")


async def test_rich_results_are_shown_as_what_they_are(visit: Visit):
    page = await visit.open("code")
    output = await run(page, RICH)
    await expect(output.locator("[data-kind=svg] img")).to_be_visible()
    await expect(output.locator("math mfrac")).to_be_visible()
    await expect(output.get_by_role("heading", name="Heading")).to_be_visible()
    await expect(output.locator(".markdown td").first).to_have_text("1")
    inner = page.frame_locator("iframe.html-frame").first.frame_locator("iframe")
    await expect(inner.locator("#p")).to_have_text("a script ran")
    table = output.get_by_role("region", name="Table")
    await expect(table.get_by_role("row").nth(1)).to_contain_text("Bern")
    await table.get_by_role("button", name="people").click()
    await table.get_by_role("button", name="people").click()
    await expect(table.get_by_role("row").nth(1)).to_contain_text("Oslo")


async def test_a_traceback_leads_to_the_line(visit: Visit):
    page = await visit.open("code")
    output = await run(page, "def broken():\n    return 1 / 0\n\nbroken()")
    await expect(output.get_by_role("alert")).to_contain_text("ZeroDivisionError")
    await expect(page.locator(".squiggly-error")).to_be_visible()
    await output.get_by_role("button", name=re.compile("line 2")).click()
    await expect(page.locator(".line-numbers.active-line-number")).to_have_text("2")


async def test_other_languages_run_too(visit: Visit):
    page = await visit.open("code")
    await page.locator(".monaco-editor").wait_for()
    for language, code, printed in (
        ("javascript", "console.log([1, 2].map((x) => x * 2).join())", "2,4"),
        ("bash", "echo $((6 * 7))", "42"),
    ):
        await page.get_by_label("Language").select_option(language)
        output = await run(page, code)
        await expect(output.locator(".text-stdout")).to_have_text(printed)
        await finished(page)
    assert len(await page.get_by_label("Language").locator("option").all()) >= 12


async def test_files_are_made_changed_renamed_moved_in_and_out_and_deleted(visit: Visit, tmp_path: Path):
    page = await visit.open("code")
    files = page.get_by_test_id("files")
    await page.locator(".monaco-editor").wait_for()
    await page.get_by_role("button", name="New file").click()
    await page.get_by_label("Name").fill("notes.py")
    await page.get_by_role("button", name="Create").click()
    await expect(files.get_by_role("button", name="notes.py").first).to_be_visible()

    await write(page, "print('from a file')")
    await expect(page.get_by_role("img", name="unsaved")).to_be_visible()
    await page.keyboard.press("ControlOrMeta+s")
    await expect(page.get_by_role("img", name="unsaved")).to_be_hidden()

    await files.get_by_role("listitem").first.hover()
    await page.get_by_role("button", name="Rename notes.py").click()
    await page.get_by_label("New name").fill("kept.py")
    await page.get_by_role("button", name="Rename", exact=True).click()
    await expect(files.get_by_role("button", name="kept.py").first).to_be_visible()

    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    await page.get_by_test_id("file-picker").set_input_files(tmp_path / "table.csv")
    await expect(files.get_by_role("button", name="table.csv").first).to_be_visible()
    moved = await page.evaluate_handle(DROPPED)
    await files.dispatch_event("drop", {"dataTransfer": moved})
    await expect(files.get_by_role("button", name="dropped.txt").first).to_be_visible()

    await files.get_by_role("listitem").filter(has_text="kept.py").hover()
    async with page.expect_download() as started:
        await page.get_by_role("link", name="Download kept.py").click()
    download = await started.value
    assert download.suggested_filename == "kept.py"
    assert Path(await download.path()).read_text() == "print('from a file')"

    await files.get_by_role("listitem").filter(has_text="table.csv").hover()
    await page.get_by_role("button", name="Delete table.csv").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(files.get_by_role("button", name="table.csv")).to_have_count(0)


async def test_packages_are_listed_and_a_refused_one_is_explained(visit: Visit):
    page = await visit.open("code")
    await run(page, "1")
    await finished(page)
    await page.get_by_role("button", name="Packages", exact=True).click()
    await page.get_by_label("Installed Python packages").fill("numpy")
    await expect(page.locator(".package-list li").first).to_contain_text("numpy")
    await page.get_by_label("Install for Python").fill("x;rm")
    await page.get_by_role("button", name="Install", exact=True).click()
    await expect(page.locator(".packages").get_by_role("alert")).to_be_visible()


async def test_the_status_line_extends_the_life_of_the_sandbox(visit: Visit):
    page = await visit.open("code")
    await run(page, "1")
    await finished(page)
    status = page.get_by_test_id("status-line")
    await expect(status).to_contain_text(re.compile(r"\d+ min \d+ s left"))
    await expect(status).to_contain_text("Memory")
    await expect(status).to_contain_text("Package registries only")
    await status.get_by_role("button", name="Extend").click()
    await expect(status).to_contain_text(re.compile(r"59 min|1 h"))


async def test_a_killed_sandbox_is_told_and_the_next_run_gets_a_new_one(visit: Visit):
    page = await visit.open("code")
    output = await run(page, "import time\nkept = 1\nprint('up', flush=True)\ntime.sleep(600)")
    await expect(output.locator(".text-stdout")).to_have_text("up")
    with visit.api() as api:
        for sandbox in api.get("/sandboxes").json():
            api.delete(f"/sandboxes/{sandbox['sandbox_id']}").raise_for_status()
    await expect(output.get_by_role("alert")).to_contain_text("sandbox ended")
    await run(page, "'kept' in globals()")
    await expect(page.get_by_test_id("value")).to_have_text("False")


async def test_a_lost_connection_is_told(new_visit: NewVisit, line: Line):
    page = await (await new_visit(line.url)).open("code")
    output = await run(page, "import time\nprint('up', flush=True)\ntime.sleep(600)")
    await expect(output.locator(".text-stdout")).to_have_text("up")
    await line.cut()
    await expect(output.get_by_role("alert")).to_contain_text("connection was lost")
    await line.mend()
    await run(page, "7 * 6")
    await expect(page.get_by_test_id("value")).to_have_text("42")
