from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import nbformat
import pytest

from agent_tools import SandboxPolicy, ToolExecutor
from agent_tools.context import CallContext
from graphs import AgentService, AgentSettings
from graphs.errors import ConfigNotFound, DatabaseUnavailable, ThreadNotFound, UnknownAgentType

from .asking import ask, python
from .conftest import OpenService
from .openai_server import OpenAIServer, Reply


async def test_threads_are_listed_with_the_last_used_first(service: AgentService, openai: OpenAIServer) -> None:
    openai.answer(lambda _: Reply("Hello."))
    await ask(service, "First question\nwith more", thread_id="a")
    await ask(service, "Second question", thread_id="b", agent_type="chat")
    await ask(service, "More", thread_id="a")
    assert [(t.id, t.title, t.agent_type) for t in await service.threads()] == [
        ("a", "First question", "coding"),
        ("b", "Second question", "chat"),
    ]
    await service.rename_thread("b", "  Another  ")
    assert (await service.thread("b")).title == "Another"


async def test_a_thread_shows_who_said_what_and_each_call_with_its_result(
    service: AgentService, openai: OpenAIServer
) -> None:
    openai.replies(python("print(7)"), Reply("Seven."))
    answer = await ask(service, "Print 7", thread_id="t")
    detail = await service.thread("t")
    assert [(m.role, m.text, len(m.steps)) for m in detail.messages] == [
        ("user", "Print 7", 0),
        ("assistant", "", 1),
        ("assistant", "Seven.", 0),
    ]
    assert detail.messages[1].steps == answer.steps
    assert detail.sandbox_id == answer.sandbox_id


async def test_another_owners_threads_do_not_exist(service: AgentService, openai: OpenAIServer) -> None:
    openai.answer(lambda _: Reply("Hello."))
    await ask(service, "Hello", thread_id="t", owner="bobby")
    for owner in ("bob", "local", "bobby/t", "b_bby", "BOBBY"):
        assert await service.threads(owner=owner) == []
        for action in (
            service.thread("t", owner=owner),
            service.delete_thread("t", owner=owner),
            service.rename_thread("t", "x", owner=owner),
            service.export_thread("t", owner=owner),
        ):
            with pytest.raises(ThreadNotFound):
                await action
        assert not await service.cancel("t", owner=owner)
    assert len(await service.threads(owner="bobby")) == 1


async def test_odd_owners_and_ids_are_kept_apart(service: AgentService, openai: OpenAIServer) -> None:
    openai.answer(lambda _: Reply("Hello."))
    pairs = [("a.b@example.org", "1"), ("a", "b/1"), ("a/b", "1"), ("ä %2F", "ü.*"), ("*", "t"), ("langgraph", "t")]
    for owner, thread_id in pairs:
        await ask(service, f"{owner} {thread_id}", thread_id=thread_id, owner=owner)
    for owner, thread_id in pairs:
        assert [t.id for t in await service.threads(owner=owner)] == [thread_id]
        assert (await service.thread(thread_id, owner=owner)).messages[0].text == f"{owner} {thread_id}"


async def test_a_deleted_thread_is_gone_with_its_sandbox(
    service: AgentService, openai: OpenAIServer, executor: ToolExecutor
) -> None:
    openai.replies(python("x = 1"), Reply("Kept."), Reply("Who are you?"))
    await ask(service, "Set x", thread_id="t")
    await service.delete_thread("t")
    assert await executor.sandboxes.find(CallContext(thread_id="t")) is None
    with pytest.raises(ThreadNotFound):
        await service.thread("t")
    await ask(service, "Hello again", thread_id="t")
    assert len((await service.thread("t")).messages) == 2


async def test_a_deleted_thread_takes_the_sandbox_of_an_earlier_agent_type_with_it(
    service: AgentService, openai: OpenAIServer, executor: ToolExecutor
) -> None:
    openai.replies(python("x = 1"), Reply("Kept."), Reply("Hello."))
    await ask(service, "Set x", thread_id="t")
    await ask(service, "Hello", thread_id="t", agent_type="chat")
    await service.delete_thread("t")
    assert await executor.sandboxes.find(CallContext(thread_id="t")) is None


async def test_a_thread_is_exported_as_a_notebook_that_has_what_was_seen(
    service: AgentService, openai: OpenAIServer
) -> None:
    openai.replies(
        python("import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show(); print('drawn')"),
        python("1 / 0"),
        Reply("Here is the chart."),
    )
    await ask(service, "Draw", thread_id="t")
    notebook = nbformat.reads((await service.export_thread("t")).decode(), as_version=4)
    nbformat.validate(notebook)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert [output["ename"] for output in outputs if output["output_type"] == "error"] == ["ZeroDivisionError"]
    assert "drawn" in json.dumps(outputs)


async def test_a_zip_has_notebook_artifacts_and_files(service: AgentService, openai: OpenAIServer) -> None:
    openai.replies(
        python(
            "import os; os.makedirs('out'); open('out/result.txt', 'w').write('42')\n"
            "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()"
        ),
        Reply("Saved."),
    )
    await ask(service, "Save", thread_id="t")
    archive = zipfile.ZipFile(io.BytesIO(await service.export_thread("t", format="zip")))
    assert archive.read("files/out/result.txt") == b"42"
    assert archive.read("artifacts/step-1-png-1.png").startswith(b"\x89PNG")
    assert {"notebook.ipynb", "thread.json"} <= set(archive.namelist())


async def test_configurations_are_saved_changed_and_deleted(service: AgentService, open_service: OpenService) -> None:
    made = await service.create_config(SandboxPolicy(name="mine", allowed_packages=("polars",)), "data_science")
    other = await open_service()
    assert await other.get_config(made.id) == made
    changed = await other.update_config(made.id, SandboxPolicy(name="yours"))
    assert (changed.agent_type, changed.policy.name) == ("data_science", "yours")
    assert [config.policy.name for config in await service.configs()] == ["yours"]
    assert await service.configs(owner="bob") == []
    with pytest.raises(ConfigNotFound):
        await service.get_config(made.id, owner="bob")
    with pytest.raises(UnknownAgentType):
        await service.create_config(SandboxPolicy(), "poet")
    await service.delete_config(made.id)
    with pytest.raises(ConfigNotFound):
        await service.delete_config(made.id)


async def test_a_database_that_cannot_be_opened_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "threads.sqlite", tmp_path):
        with pytest.raises(DatabaseUnavailable, match="SANDLOOP_DATABASE"):
            async with AgentService(AgentSettings(database=str(place))):
                pass


async def test_a_database_in_memory_lives_as_long_as_the_service(
    open_service: OpenService, openai: OpenAIServer
) -> None:
    openai.answer(lambda _: Reply("Hello."))
    service = await open_service(database=":memory:")
    await ask(service, "Hello", thread_id="t")
    await ask(service, "Hello", thread_id="t")
    assert len((await service.thread("t")).messages) == 4
