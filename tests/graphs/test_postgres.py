"""Threads in PostgreSQL: a server of the test's own, where Debian's is installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graphs import AgentRequest
from graphs.errors import DatabaseUnavailable, ThreadBusy

from .asking import all_of, ask, python, response
from .conftest import OpenService
from .openai_server import OpenAIServer, Reply
from .test_approvals import ASKS, SHELL, decide

pytest.importorskip("psycopg", reason='needs the extra "postgres"')


def _program(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")) if Path("/usr/lib/postgresql").is_dir() else []
    return str(found[-1]) if found else shutil.which(name)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a server on a Unix socket, which ends with the module."""
    initdb, server = _program("initdb"), _program("postgres")
    if initdb is None or server is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    # A short path: the name of a socket holds 107 bytes. PostgreSQL does not run as root.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    options: dict[str, Any] = {"user": user} if os.geteuid() == 0 else {}
    shutil.chown(folder, user)
    try:
        made = subprocess.run(
            [initdb, "-D", str(folder / "data"), "-U", "test", "--auth=trust", "--no-sync"],
            capture_output=True,
            text=True,
            cwd=folder,
            **options,
        )
        assert made.returncode == 0, made.stderr
        process = subprocess.Popen(
            [server, "-D", str(folder / "data"), "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"],
            stderr=subprocess.DEVNULL,
            cwd=folder,
            **options,
        )
        yield f"postgresql://test@/postgres?host={folder}"
        process.terminate()
        process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def test_threads_live_in_postgres_and_workers_share_them(
    open_service: OpenService, openai: OpenAIServer, postgres: str
) -> None:
    one, other = await open_service(database=postgres), await open_service(database=postgres)
    openai.replies(python("x = 41"), Reply("Kept."), python("print(x + 1)"), Reply("42"))
    await ask(one, "Remember", thread_id="t")
    answer = await ask(other, "Add one", thread_id="t")
    assert answer.steps[0].content["output"] == "42"
    assert [thread.id for thread in await one.threads()] == ["t"]
    assert await one.threads(owner="bob") == []
    await one.delete_thread("t")
    assert await other.threads() == []


async def test_an_approval_of_one_worker_is_decided_at_another(
    open_service: OpenService, openai: OpenAIServer, postgres: str
) -> None:
    one, other = await open_service(database=postgres), await open_service(database=postgres)
    openai.replies(python(SHELL), Reply("Done."))
    waiting = await ask(one, "Go", policy=ASKS)
    assert (await decide(other, waiting, "approve")).answer == "Done."


async def test_two_workers_do_not_run_one_thread(
    open_service: OpenService, openai: OpenAIServer, postgres: str
) -> None:
    one, other = await open_service(database=postgres), await open_service(database=postgres)
    openai.replies(python("import time; print('on'); time.sleep(60)"), Reply("Free."))
    events = one.stream(AgentRequest(message="Wait", thread_id="busy"))
    async for event in events:
        if event.type == "tool_output":
            break
    with pytest.raises(ThreadBusy):
        await ask(other, "Hello", thread_id="busy")
    assert await one.cancel("busy")
    assert response(await all_of(events)).stopped_because == "cancelled"
    assert (await ask(other, "Hello", thread_id="busy")).answer == "Free."


async def test_a_server_that_does_not_answer_is_said_without_the_password(open_service: OpenService) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        await open_service(database="postgresql://user:secret@127.0.0.1:9/db?connect_timeout=1")
    assert "secret" not in str(caught.value)
