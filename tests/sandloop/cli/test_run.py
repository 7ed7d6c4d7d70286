from __future__ import annotations

import json
import re
import signal

import pytest

from tests.graphs.openai_server import Call, OpenAIServer, Refusal, Reply
from tests.sandbox_server.conftest import RunningServer
from tests.sandbox_server.waiting import wait_until

from .conftest import ROOT, Cli

DATA = ROOT / "examples/data/bicycle_counts.csv"
ENDLESS = "import time\nprint('be' + 'gun', flush=True)\nwhile True: time.sleep(.01)"


def python(code: str, text: str = "", **more: object) -> Reply:
    return Reply(text, (Call("execute_python_code", {"code": code, **more}),))


def thread_in(text: str) -> str:
    found = re.search(r"--thread ([\w-]+)", text)
    assert found, text
    return found[1]


def test_the_first_run_analyses_the_data_repairs_its_error_and_saves_the_chart(cli: Cli) -> None:
    task = "Analyse /home/user/bicycle_counts.csv and make a chart"
    done = cli("run", task, "--file", str(DATA), "--save-dir", "out")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("This is the scripted model") and "OPENAI_API_KEY" in done.stderr.partition("\n")[0]
    assert "✗ ValueError: Missing column" in done.stderr  # an error on the way ...
    assert "busiest month: July" in done.stderr  # ... which is repaired
    assert "saved as out/bicycles.png" in done.stderr
    assert (cli.folder / "out/bicycles.png").read_bytes().startswith(b"\x89PNG")
    assert "The chart is saved as /home/user/bicycles.png." in done.stdout
    assert "╭" not in done.stdout  # only the answer is data


def test_on_a_terminal_the_steps_are_seen_while_they_happen(agent: Cli, openai: OpenAIServer) -> None:
    code = (
        "import os, time\nprint('a live' + ' line', flush=True)\nwhile not os.path.exists('/tmp/go'): time.sleep(.01)"
    )
    openai.replies(python(code, "I look into it."), Reply("Never."))
    with agent.at_terminal("run", "begin") as terminal:
        terminal.wait_for("I look into it.")
        terminal.wait_for("a live line")
        assert terminal.process.poll() is None
        assert "\x1b[" in terminal.text and "while" in terminal.text  # the code, with colours
        terminal.type("\x03")
        terminal.wait_for("stopped")
        assert terminal.end() == 130


def test_ctrl_c_stops_the_code_and_the_thread_goes_on(agent: Cli, openai: OpenAIServer, server: RunningServer) -> None:
    openai.replies(python("x = 41"), Reply("x is set."))
    first = agent("run", "set x")
    thread = thread_in(first.stderr)
    openai.replies(python(ENDLESS))
    with agent.at_terminal("run", "--thread", thread, "wait") as terminal:
        terminal.wait_for("begun")
        terminal.type("\x03")
        terminal.wait_for(f"go on with: sandloop run --thread {thread}")
        assert terminal.end() == 130
        assert "Traceback" not in terminal.text
    openai.replies(python("print(x + 1)"), Reply("It was 41."))
    resumed = agent("run", "--thread", thread)
    assert resumed.returncode == 0, resumed.stderr
    assert "Interrupted" in resumed.stderr and "│ 42" in resumed.stderr  # not repeated, and variables live on
    assert resumed.stdout == "It was 41.\n"


def test_a_signal_without_a_terminal_ends_it_and_says_how_to_go_on(agent: Cli, openai: OpenAIServer) -> None:
    openai.replies(python(ENDLESS))
    process = agent.start("run", "wait")
    assert process.stderr is not None
    wait_until(lambda: "begun" in (process.stderr.readline() if process.stderr else ""), 90)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "")
    assert "go on with: sandloop run --thread" in err and "Traceback" not in err


def test_json_is_the_whole_response(agent: Cli, openai: OpenAIServer) -> None:
    openai.replies(python("print(6 * 7)"), Reply("42"))
    done = agent("run", "--json", "six times seven?")
    response = json.loads(done.stdout)
    assert (response["answer"], response["stopped_because"]) == ("42", "answered")
    assert response["steps"][0]["content"]["output"] == "42"


def test_options_reach_the_model(agent: Cli, openai: OpenAIServer) -> None:
    openai.replies(Reply("ok"))
    done = agent(
        *("run", "hello", "--model", "gpt-4o-mini", "--provider", "openai", "--system-prompt", "Speak like a pirate."),
        *("--system-prompt-mode", "replace", "--tools", "run_command,read_file"),
    )
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
    request = openai.requests[0]
    assert request.model == "gpt-4o-mini"
    assert sorted(request.tools) == ["read_file", "run_command"]
    assert "Speak like a pirate." in str(request.messages[0]) and "sandbox" not in str(request.messages[0])


def test_a_key_and_an_address_can_be_in_a_file_beside(cli: Cli, openai: OpenAIServer) -> None:
    cli.write(".env", f"OPENAI_API_KEY=sk-test-key-000000\nOPENAI_BASE_URL={openai.url}\nSANDLOOP_MODEL=gpt-4o\n")
    openai.replies(Reply("ok"))
    done = cli("run", "hello")
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


def test_new_and_changed_files_are_named_and_inputs_are_not(agent: Cli, openai: OpenAIServer) -> None:
    agent.write("data.csv", "a,b\n1,2\n")
    openai.replies(python("open('data.csv').read(); open('made.txt', 'w').write('x')"), Reply("made"))
    done = agent("run", "make it", "--file", "data.csv")
    assert "file  /home/user/made.txt  1 bytes" in done.stderr
    assert "file  /home/user/data.csv" not in done.stderr
    assert "--save-dir DIR saves them here" in done.stderr
    assert sorted(path.name for path in agent.folder.iterdir()) == ["data.csv"]


def test_saved_files_keep_their_folders_and_replace_nothing(agent: Cli, openai: OpenAIServer) -> None:
    (agent.folder / "out/sub").mkdir(parents=True)
    (agent.folder / "out/sub/a.txt").write_text("mine")
    code = "import os\nos.makedirs('sub')\nopen('sub/a.txt', 'w').write('theirs')\nopen('.bashrc', 'w').write('x')"
    openai.replies(python(code), Reply("made"))
    done = agent("run", "make it", "--save-dir", "out")
    assert done.returncode == 0, done.stderr
    files = {
        str(path.relative_to(agent.folder)): path.read_text() for path in agent.folder.rglob("*") if path.is_file()
    }
    assert files == {"out/sub/a.txt": "mine", "out/sub/a-2.txt": "theirs"}


HOSTILE = r"print('\x1b]0;pwned\x07\x1b[2J\x1b[31m[bold red]markup[/] \u202eevil')"


def test_what_the_sandbox_and_the_model_say_cannot_drive_the_terminal(agent: Cli, openai: OpenAIServer) -> None:
    sneaky = "print('seen')\rprint('hidden')\x1b[8m # \u202e"
    openai.replies(python(HOSTILE), python(sneaky), Reply("\x1b]0;title\x07\x1b[2J[bold]an answer[/bold] \u202e"))
    with agent.at_terminal("run", "go") as terminal:
        assert terminal.end() == 0
    assert "[bold red]markup[/] evil" in terminal.text
    assert "[bold]an answer[/bold]" in terminal.text
    for sequence in ("\x1b]0;", "\x1b[2J", "\x1b[8m", "\u202e", "\x07"):
        assert sequence not in terminal.text
    shown = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", terminal.text)
    assert r"\rprint" in shown and r"\x1b[8m" in shown and r"\u202e" in shown  # the code hides nothing


ASK = '[policy]\npackageApproval = "ask"\n'


def install() -> Reply:
    return Reply("", (Call("install_packages", {"packages": ["no-such-package-of-ours"]}),))


def test_never_rejects_what_needs_approval_and_the_model_is_told(agent: Cli, openai: OpenAIServer) -> None:
    agent.configure(ASK)
    openai.replies(install(), Reply("Then not."))
    done = agent("run", "install it", "--approve", "never")
    assert (done.returncode, done.stdout) == (0, "Then not.\n"), done.stderr
    assert "The user does not allow this" in str(openai.requests[1].messages[-1])


def test_always_lets_it_through(agent: Cli, openai: OpenAIServer) -> None:
    agent.configure(ASK)
    openai.replies(install(), Reply("It failed."))
    done = agent("run", "install it", "--approve", "always")
    assert (done.returncode, done.stdout) == (0, "It failed.\n"), done.stderr
    assert "InstallFailed" in done.stderr


def test_where_nobody_can_be_asked_it_waits_and_a_person_decides_later(agent: Cli, openai: OpenAIServer) -> None:
    agent.configure(ASK)
    openai.replies(install())
    done = agent("run", "install it")
    assert done.returncode == 3
    assert "no-such-package-of-ours" in done.stderr and "1 call(s) wait for your approval" in done.stderr
    openai.replies(Reply("I do without it."))
    with agent.at_terminal("run", "--thread", thread_in(done.stderr)) as terminal:
        terminal.wait_for("[y]es, [n]o, [e]dit, [l]ater?")
        terminal.type("n\n")
        terminal.wait_for("why")
        terminal.type("too risky\n")
        terminal.wait_for("I do without it.")
        assert terminal.end() == 0
    assert "too risky" in str(openai.requests[1].messages)


def test_a_call_can_be_edited_before_it_runs(agent: Cli, openai: OpenAIServer) -> None:
    agent.configure('[policy]\nenableNetwork = true\nnetworkApproval = "ask"\n')
    editor = agent.folder / "editor.sh"
    editor.write_text("#!/bin/sh\necho \"print('edit' + 'ed')\" > \"$1\"\n")
    editor.chmod(0o755)
    openai.replies(python("print('original')"), Reply("Fine."))
    with agent.at_terminal("run", "go", EDITOR=str(editor)) as terminal:
        terminal.wait_for("[y]es")
        terminal.type("e\n")
        terminal.wait_for("Fine.")
        assert terminal.end() == 0
    assert "│" in terminal.text and "edited" in terminal.text


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (Refusal(401, "bad key"), 1, "ModelKeyRejected"),
        (Reply("", finish_reason="stop"), 1, "ReplyEmpty"),
    ],
)
def test_a_model_that_fails_is_said_with_what_to_do(
    agent: Cli, openai: OpenAIServer, answer: Refusal | Reply, code: int, message: str
) -> None:
    openai.answer(lambda request: answer)
    done = agent("run", "hello")
    assert done.returncode == code
    assert message in done.stderr and "Traceback" not in done.stderr
    assert "sk-test-key" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, 'say what to do: sandloop run "…"'),
        (("",), 2, "the message is empty"),
        (("hi", "--file", "missing.csv"), 2, "missing.csv cannot be read"),
        (("hi", "--agent-type", "poet"), 2, 'no agent type "poet"'),
        (("hi", "--provider", "opnai", "--model", "x"), 2, 'Did you mean "openai"?'),
        (("hi", "--provider", "openai", "--model", "x"), 2, "OPENAI_API_KEY"),
        (("hi", "--provider", "openai"), 2, "SANDLOOP_MODEL"),
        (("hi", "--tools", "fly"), 2, "fly"),
        (("hi", "--thread", "nothing"), 2, "there is no thread 'nothing'"),
    ],
)
def test_wrong_usage_is_one_line_that_says_what_to_do(
    cli: Cli, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = cli("run", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr and done.stderr.startswith("sandloop: ")
    assert "Traceback" not in done.stderr


def test_a_database_that_cannot_be_opened_exits_with_69(cli: Cli) -> None:
    done = cli("run", "hi", SANDLOOP_DATABASE="/proc/none/threads.sqlite")
    assert (done.returncode, done.stdout) == (69, "")
    assert "Traceback" not in done.stderr


def test_where_no_sandbox_can_be_had_the_run_fails_and_says_why(agent: Cli, openai: OpenAIServer) -> None:
    openai.answer(lambda request: python("1"))
    done = agent("run", "go", E2B_API_KEY="wrong")
    assert done.returncode == 1
    assert "API key" in done.stderr and "Traceback" not in done.stderr
