"""`chat` and `threads`: what is kept between commands."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from tests.graphs.openai_server import OpenAIServer, Reply
from tests.sandbox_server.conftest import RunningServer
from tests.sandbox_server.waiting import wait_until

from .conftest import Cli, running_sandboxes
from .test_run import ENDLESS, python, thread_in


def threads(cli: Cli) -> list[dict[str, object]]:
    done = cli("threads", "list", "--json")
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    assert isinstance(listed, list)
    return listed


def test_a_chat_keeps_variables_from_turn_to_turn_and_ctrl_c_ends_only_the_turn(
    agent: Cli, openai: OpenAIServer
) -> None:
    openai.replies(python("x = 41"), Reply("x is set."))
    with agent.at_terminal("chat") as terminal:
        terminal.wait_for("›")
        terminal.type("set x\n")
        terminal.wait_for("x is set.")
        terminal.wait_for("›", times=2)
        openai.replies(python(ENDLESS))
        terminal.type("wait\n")
        terminal.wait_for("begun")
        terminal.type("\x03")
        terminal.wait_for("cancelled")
        terminal.wait_for("›", times=3)
        openai.replies(python("print(x + 1)"), Reply("Still there."))
        terminal.type("x + 1?\n")
        terminal.wait_for("Still there.")
        terminal.wait_for("›", times=4)
        terminal.type("\x04")
        assert terminal.end() == 0
    assert "42" in terminal.text
    assert [thread["interrupted"] for thread in threads(agent)] == [False]


def test_a_chat_takes_its_turns_from_a_pipe_and_goes_on_with_the_last_thread(agent: Cli, openai: OpenAIServer) -> None:
    openai.replies(Reply("One."), Reply("Two."))
    done = agent("chat", stdin="first\nsecond\n")
    assert (done.stdout, done.returncode) == ("One.\nTwo.\n", 0), done.stderr
    openai.replies(Reply("Three."))
    again = agent("chat", "--last", stdin="third\n")
    assert (again.stdout, again.returncode) == ("Three.\n", 0), again.stderr
    assert [message["content"] for message in openai.requests[-1].messages if message["role"] == "user"] == [
        "first",
        "second",
        "third",
    ]
    assert "second" in again.stderr and "Two." in again.stderr  # a reminder of where it stopped
    assert len(threads(agent)) == 1


def test_threads_are_listed_shown_renamed_exported_and_deleted(
    agent: Cli, openai: OpenAIServer, server: RunningServer
) -> None:
    openai.replies(python("print(6 * 7)"), Reply("It is **42**."))
    thread = thread_in(agent("run", "six times seven?").stderr)
    short = thread[:8]

    listed = agent("threads", "list")
    assert short in listed.stdout and "six times seven?" in listed.stdout and "\x1b" not in listed.stdout

    shown = agent("threads", "show", short)
    assert "print(6 * 7)" in shown.stdout and "│ 42" in shown.stdout and "It is **42**." in shown.stdout

    assert agent("threads", "rename", short, "An easy \x1b[31mone").returncode == 0
    assert "\x1b" not in agent("threads", "list").stdout

    exported = agent("threads", "export", short, "it.ipynb")
    assert exported.stdout == "it.ipynb\n"
    assert "print(6 * 7)" in (agent.folder / "it.ipynb").read_text()
    assert agent("threads", "export", short, "it.zip").returncode == 0
    assert any(name.endswith(".ipynb") for name in zipfile.ZipFile(agent.folder / "it.zip").namelist())
    assert json.loads(agent("threads", "export", short, "-").stdout)["nbformat"] == 4

    [sandbox] = [str(json.loads(agent("threads", "show", short, "--json").stdout)["sandbox_id"])]
    assert agent("threads", "delete", short).returncode == 0
    assert threads(agent) == []
    wait_until(lambda: sandbox not in running_sandboxes(server))


@pytest.mark.parametrize(
    "arguments", [("show", "nothing!"), ("export", "nothing!"), ("rename", "nothing!", "x"), ("delete", "nothing!")]
)
def test_an_unknown_thread_is_one_line(cli: Cli, arguments: tuple[str, ...]) -> None:
    done = cli("threads", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "sandloop: there is no thread 'nothing!': 'sandloop threads list' shows those there are\n"


def test_without_threads_the_list_says_how_to_begin_one(cli: Cli) -> None:
    done = cli("threads", "list")
    assert (done.stdout, done.returncode) == ("", 0)
    assert "sandloop run" in done.stderr


def test_an_export_holds_what_a_zip_can(agent: Cli, openai: OpenAIServer) -> None:
    openai.replies(python("open('note.txt', 'w').write('kept')"), Reply("Written."))
    thread = thread_in(agent("run", "write it").stderr)
    done = agent("threads", "export", thread, "--format", "zip")
    assert done.stdout == f"{thread[:8]}.zip\n"
    archive = zipfile.ZipFile(io.BytesIO((agent.folder / f"{thread[:8]}.zip").read_bytes()))
    assert any(name.endswith("note.txt") for name in archive.namelist())
