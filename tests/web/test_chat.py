"""The chat page: runs as they go, approvals, and runs that were broken off."""

import json
import re
import uuid
import zipfile
from pathlib import Path

from playwright.async_api import Page, expect

from .conftest import ROOT, NewVisit, Visit
from .line import Line
from .workbench import approve_with, ask_first, finished, say, thread_of

ENDLESS = "import time\nfor n in range(10_000):\n    print('tick', n, flush=True)\n    time.sleep(0.1)"
BLOCKED = "import os\nos.mkfifo('/home/user/bicycle_counts.csv')"
FREED = "rm /home/user/bicycle_counts.csv; echo a,b > /home/user/bicycle_counts.csv"


async def blocked_run(visit: Visit) -> tuple[Page, str]:
    """Let a run wait in its first call, which reads from a pipe that nobody writes to; it is a file afterwards."""
    thread = f"blocked-{uuid.uuid4()}"
    with visit.api() as api:
        message = {"message": "Calculate the factorial of 3", "thread_id": thread}
        api.post("/agents/run", json=message).raise_for_status()
        api.post("/code/execute", json={"code": BLOCKED, "thread_id": thread}).raise_for_status()
    page = await visit.open(f"chat/{thread}")
    await expect(page.get_by_test_id("cell")).to_have_count(1)
    await say(page, "Analyse /home/user/bicycle_counts.csv")
    await expect(page.get_by_test_id("cell").last).to_have_attribute("data-state", "running")
    return page, thread


def free(visit: Visit, thread: str) -> None:
    """Make the pipe a file, by another kernel than the one that waits."""
    with visit.api() as api:
        call = {"code": FREED, "language": "bash", "thread_id": thread}
        assert api.post("/code/execute", json=call).raise_for_status().json()["success"]


async def test_a_run_shows_words_code_output_and_what_it_took(visit: Visit):
    page = await visit.open("chat")
    await expect(page.get_by_text("Scripted model")).to_be_visible()
    await say(page, "Calculate the factorial of 10")
    cell = page.get_by_test_id("cell")
    await expect(cell).to_contain_text("math.factorial(10)")
    await expect(cell).to_contain_text("3628800")
    await expect(page.get_by_test_id("words").last).to_have_text("The factorial of 10 is 3628800.")
    await expect(page.get_by_test_id("run-end")).to_contain_text("tokens")
    await expect(page.get_by_text("Scripted model")).to_be_visible()

    await say(page, "Calculate the factorial of 5")
    await expect(page.get_by_test_id("words").last).to_have_text("The factorial of 5 is 120.")
    await page.reload()
    await expect(page.get_by_test_id("user")).to_have_count(2)
    await expect(page.get_by_test_id("cell").last).to_contain_text("120")


async def test_an_error_its_repair_the_chart_and_the_downloads(visit: Visit):
    page = await visit.open("chat")
    await page.get_by_test_id("attach").set_input_files(ROOT / "examples" / "data" / "bicycle_counts.csv")
    await say(page, "Analyse bicycle_counts.csv")
    await expect(page.get_by_test_id("cell").first).to_have_attribute("data-state", "failed")
    await finished(page)
    await expect(page.get_by_test_id("cell").nth(1)).to_have_attribute("data-state", "done")
    await expect(page.locator("img.result-image").first).to_be_visible()

    async with page.expect_download() as started:
        await page.get_by_role("link", name="Notebook").click()
    notebook = json.loads(Path(await (await started.value).path()).read_text())
    assert any(cell["cell_type"] == "code" for cell in notebook["cells"])
    async with page.expect_download() as started:
        await page.get_by_role("link", name="Zip").click()
    with zipfile.ZipFile(await (await started.value).path()) as archive:
        assert any(name.endswith(".ipynb") for name in archive.namelist())

    await page.get_by_role("link", name="Files").click()
    await expect(page.get_by_test_id("files")).to_contain_text("bicycle_counts.csv")


async def test_an_approval_survives_a_reload_and_lets_the_run_go_on(visit: Visit):
    page = await ask_first(visit)
    await expect(page.get_by_role("complementary").get_by_text("waits for you")).to_be_visible()
    await page.reload()
    approval = page.get_by_test_id("approval")
    await expect(approval).to_contain_text("math.factorial(10)")
    await approval.get_by_role("button", name="Approve").click()
    await expect(page.get_by_test_id("words").last).to_contain_text("3628800")
    await expect(approval).to_have_count(0)


async def test_a_rejection_tells_the_model_why(visit: Visit):
    page = await ask_first(visit)
    await page.get_by_role("button", name="Reject").click()
    await page.get_by_label("What the model is told").fill("not on a Sunday")
    await page.get_by_role("button", name="Reject").click()
    await finished(page)
    await expect(page.get_by_test_id("cell")).to_contain_text("not on a Sunday")


async def test_an_edited_call_runs_as_edited_until_it_is_cancelled(visit: Visit):
    page = await ask_first(visit)
    await approve_with(page, ENDLESS)
    await expect(page.get_by_test_id("cell")).to_contain_text("tick 3")
    await page.get_by_role("button", name="Cancel the run").click()
    await expect(page.get_by_text(re.compile("^Cancelled"))).to_be_visible()


async def test_a_reload_during_a_run_takes_it_up_again(visit: Visit):
    page, thread = await blocked_run(visit)
    free(visit, thread)
    await page.reload()
    await finished(page)
    await expect(page.get_by_test_id("cell").nth(1)).to_contain_text("Interrupted")
    await expect(page.get_by_test_id("cell").nth(2)).to_be_visible()


async def test_a_cancelled_run_can_go_on(visit: Visit):
    page, thread = await blocked_run(visit)
    await page.get_by_role("button", name="Cancel the run").click()
    await expect(page.get_by_text(re.compile("^Cancelled"))).to_be_visible()
    free(visit, thread)
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_test_id("cell").nth(2)).to_be_visible()


async def test_a_run_that_a_person_let_through_waits_for_them_again_after_a_reload(visit: Visit):
    page = await ask_first(visit)
    await approve_with(page, ENDLESS)
    await expect(page.get_by_test_id("cell")).to_contain_text("tick 3")
    await page.reload()
    await page.get_by_test_id("approval").get_by_role("button", name="Approve").click()
    await finished(page)


async def test_a_lost_connection_is_regained(new_visit: NewVisit, line: Line):
    visit = await new_visit(line.url)
    page, thread = await blocked_run(visit)
    free(visit, thread)
    await line.cut()
    await expect(page.get_by_text("The connection was lost")).to_be_visible()
    await line.mend()
    await finished(page)
    await expect(page.get_by_text("The connection was lost")).to_have_count(0)


async def test_two_browsers_see_the_same_conversation(visit: Visit, new_visit: NewVisit):
    page = await ask_first(visit)
    await approve_with(
        page, "import os, time\nwhile not os.path.exists('/home/user/go'):\n    time.sleep(0.05)\nprint('gone on')"
    )
    await expect(page.get_by_test_id("cell")).to_contain_text("running")
    other = await (await new_visit()).open(f"chat/{thread_of(page)}")
    await expect(other.get_by_text("goes on in another window")).to_be_visible()
    with visit.api() as api:
        api.post(
            "/code/write-file", json={"thread_id": thread_of(page), "path": "go", "content": ""}
        ).raise_for_status()
    await finished(page)
    await expect(other.get_by_test_id("cell")).to_contain_text("gone on")
    await expect(other.get_by_text("goes on in another window")).to_have_count(0)


async def test_threads_are_renamed_and_deleted(visit: Visit):
    page = await visit.open("chat")
    await say(page, "Calculate the factorial of 3")
    await finished(page)
    threads = page.get_by_role("complementary", name="Conversations")
    await threads.get_by_role("listitem").hover()
    await threads.get_by_role("button", name=re.compile("^Rename")).click()
    await page.get_by_label("Title").fill("Six")
    await page.get_by_role("button", name="Rename", exact=True).click()
    await expect(threads.get_by_role("link")).to_contain_text("Six")
    await threads.get_by_role("listitem").hover()
    await threads.get_by_role("button", name=re.compile("^Delete")).click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(threads).to_contain_text("Conversations are kept here")
    await expect(page.get_by_role("heading", name="What should it work on?")).to_be_visible()


async def test_a_thread_that_does_not_exist_is_told(visit: Visit):
    page = await visit.open("chat/nobody-knows-this")
    await expect(page.get_by_role("alert")).to_be_visible()
