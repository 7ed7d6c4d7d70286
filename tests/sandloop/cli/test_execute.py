from __future__ import annotations

import json
import signal

import pytest
from e2b_code_interpreter import Sandbox

from agent_tools.languages import LANGUAGES
from tests.agent_tools.languages.cases import CASES
from tests.sandbox_server.conftest import RunningServer
from tests.sandbox_server.waiting import wait_until

from .conftest import Cli, running_sandboxes

ENDINGS = {language.name: language.ending for language in LANGUAGES}
TWELVE = sorted(CASES.keys() - {"r", "julia"})
HELLO = {
    "python": "print('hi')",
    "javascript": "console.log('hi')",
    "typescript": "const a: string = 'hi'; console.log(a)",
    "bash": "echo hi",
    "go": 'package main\nimport "fmt"\nfunc main() { fmt.Println("hi") }',
    "rust": 'fn main() { println!("hi"); }',
    "java": 'class A { public static void main(String[] a) { System.out.println("hi"); } }',
    "c": '#include <stdio.h>\nint main(void) { puts("hi"); }',
    "cpp": '#include <iostream>\nint main() { std::cout << "hi\\n"; }',
    "csharp": 'class A { static void Main() { System.Console.WriteLine("hi"); } }',
    "ruby": "puts 'hi'",
    "php": '<?php echo "hi\\n";',
}


@pytest.mark.parametrize("language", TWELVE)
def test_a_file_runs_in_the_language_of_its_ending(cli: Cli, language: str) -> None:
    file = cli.write(f"program{ENDINGS[language]}", HELLO[language])
    done = cli("execute", "--file", file)
    if "MissingLanguage" in done.stderr:
        pytest.skip(done.stderr)
    assert (done.stdout, done.returncode) == ("hi\n", 0), done.stderr


def test_a_program_comes_from_standard_input_and_its_first_line_says_the_language(cli: Cli) -> None:
    done = cli("execute", "-", stdin="#!/usr/bin/env node\nconsole.log([1, 2].map(x => x + 1).join())")
    assert (done.stdout, done.returncode) == ("2,3\n", 0)


def test_the_language_is_the_configured_one_where_nothing_says_it(cli: Cli) -> None:
    cli.configure(
        '[e2b]\napi_key = "${E2B_API_KEY}"\ntimeout = 30000\nstream = true\ndefault_language = "javascript"\n'
    )
    done = cli("execute", "--code", "console.log(typeof require)")
    assert (done.stdout, done.returncode) == ("function\n", 0)


def test_output_values_and_errors_go_to_the_streams_that_they_belong_to(cli: Cli) -> None:
    done = cli("execute", "-c", "import sys; print('out'); print('err', file=sys.stderr)\n6 * 7")
    assert (done.stdout, done.stderr, done.returncode) == ("out\n42\n", "err\n", 0)


@pytest.mark.parametrize(
    ("language", "code", "exit_code"),
    [
        ("python", "import sys; sys.exit(3)", 3),
        ("python", "raise SystemExit", 0),
        ("bash", "exit 0", 0),
        ("bash", "exit 7", 7),
        ("javascript", "process.exit(4)", 4),
        ("c", "int main(void) { return 5; }", 5),
    ],
)
def test_the_exit_code_is_the_programs_own(cli: Cli, language: str, code: str, exit_code: int) -> None:
    done = cli("execute", "-l", language, "-c", code)
    assert done.returncode == exit_code
    assert "sandloop:" not in done.stderr


def test_code_that_fails_exits_with_1_and_shows_why(cli: Cli) -> None:
    done = cli("execute", "-c", "print('before')\n1 / 0")
    assert (done.stdout, done.returncode) == ("before\n", 1)
    assert "ZeroDivisionError: division by zero" in done.stderr


def test_what_a_compiler_refuses_exits_with_1_and_its_text(cli: Cli) -> None:
    done = cli("execute", "-l", "c", "-c", "int main(void) { return missing; }")
    assert (done.stdout, done.returncode) == ("", 1)
    assert "main.c:1" in done.stderr and "CompileError" in done.stderr


def test_a_program_out_of_time_exits_with_124(cli: Cli) -> None:
    done = cli("execute", "--timeout", "1s", "-c", "print('begun', flush=True)\nwhile True: pass")
    assert (done.stdout, done.returncode) == ("begun\n", 124)
    assert "ExecutionTimeout" in done.stderr


def test_a_plain_number_of_the_timeout_is_milliseconds(cli: Cli) -> None:
    done = cli("execute", "--timeout", "700", "-l", "bash", "-c", "sleep 60")
    assert done.returncode == 124


def test_output_comes_while_the_program_runs(cli: Cli) -> None:
    code = "import os, time\nprint('first', flush=True)\nwhile not os.path.exists('/tmp/go'): time.sleep(.01)"
    process = cli.start("execute", "-c", code, "--timeout", "60s")
    assert process.stdout is not None
    assert process.stdout.readline() == "first\n"
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def test_without_a_stream_the_same_output_comes_at_the_end(cli: Cli) -> None:
    done = cli("execute", "--no-stream", "-c", "print('a', end='\\t')\nprint('b')\n'value'")
    assert (done.stdout, done.returncode) == ("a\tb\nvalue\n", 0)


def test_to_a_pipe_goes_exactly_what_the_program_printed(cli: Cli) -> None:
    done = cli("execute", "-c", r"print('\x1b[31mred\x1b[0m \x07', end='')")
    assert done.stdout == "\x1b[31mred\x1b[0m \x07"


def test_on_a_terminal_no_control_character_of_the_program_arrives(cli: Cli) -> None:
    code = (
        r"import time; print('\x1b]0;title\x07a\x1b[2', end='', flush=True)"
        "\n"
        r"time.sleep(.1); print('Jb \u202ec', end='')"
    )
    with cli.at_terminal("execute", "-c", code) as terminal:
        assert terminal.end() == 0
    assert terminal.text == "ab c"


def test_images_are_saved_beside_and_replace_nothing(cli: Cli) -> None:
    file = cli.write("chart.py", "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.show()")
    for name in ("chart-1.png", "chart-2.png"):
        done = cli("execute", file)
        assert (done.returncode, done.stderr) == (0, f"saved {name}\n")
        assert (cli.folder / name).read_bytes().startswith(b"\x89PNG")


def test_files_are_copied_in_and_out(cli: Cli) -> None:
    cli.write("data.txt", "one two")
    code = "open('out.txt', 'w').write(open('/tmp/in/data.txt').read().upper()); None"
    done = cli("execute", "-c", code, "--upload", "data.txt:/tmp/in/", "--download", "out.txt:back.txt")
    assert done.returncode == 0, done.stderr
    assert (cli.folder / "back.txt").read_text() == "ONE TWO"


def test_a_download_that_is_missing_fails_after_the_program_has_run(cli: Cli) -> None:
    done = cli("execute", "-c", "print(1)", "--download", "nothing.txt")
    assert (done.stdout, done.returncode) == ("1\n", 1)
    assert "there is no /home/user/nothing.txt" in done.stderr


def test_a_kept_sandbox_is_gone_on_in(cli: Cli, server: RunningServer) -> None:
    first = cli("execute", "--keep", "-c", "x = 41")
    assert first.returncode == 0
    sandbox_id = first.stderr.split()[-1]
    again = cli("execute", "--sandbox", sandbox_id, "-c", "x + 1")
    assert (again.stdout, again.returncode) == ("42\n", 0)
    assert sandbox_id in running_sandboxes(server)


def test_another_owners_sandbox_is_not_gone_on_in(cli: Cli, server: RunningServer) -> None:
    sandbox = Sandbox.create(metadata={"sandloop.owner": "somebody", "sandloop.thread": "t"}, **server.options)
    done = cli("execute", "--sandbox", sandbox.sandbox_id, "-c", "1")
    sandbox.kill()
    assert done.returncode == 2
    assert f"you have no sandbox '{sandbox.sandbox_id}'" in done.stderr


def test_json_holds_the_result_and_nothing_else_is_on_stdout(cli: Cli) -> None:
    done = cli(
        "execute", "--json", "-c", "print('x' * 3_000_000)\nimport matplotlib.pyplot as plt\nplt.plot([1]); plt.show()"
    )
    result = json.loads(done.stdout)
    assert (result["success"], result["exit_code"], result["language"]) == (True, 0, "python")
    assert len(result["output"]) >= 3_000_000
    assert [entry["saved"] for entry in result["results"] if "saved" in entry] == ["output-1.png"]


def test_a_large_output_arrives_whole(cli: Cli) -> None:
    done = cli("execute", "-l", "bash", "-c", "seq 300000")
    assert done.stdout.splitlines() == [str(number) for number in range(1, 300001)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_program_and_leaves_no_sandbox(
    cli: Cli, server: RunningServer, sandboxes: set[str], number: signal.Signals
) -> None:
    process = cli.start("execute", "-c", "print('begun', flush=True)\nwhile True: pass", "--timeout", "90s")
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (128 + number, "", "")
    wait_until(lambda: running_sandboxes(server) <= sandboxes)


def test_a_reader_that_leaves_ends_it_without_a_word(cli: Cli) -> None:
    process = cli.start("execute", "-c", "while True: print('y', flush=True)", "--timeout", "90s")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(60) == 141


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "give one of --file PATH, --code TEXT and -"),
        (("--code", "1", "--file", "x.py"), 2, "give one of"),
        (("--file", "missing.py"), 2, "missing.py cannot be read: No such file or directory"),
        (("-c", "1", "-l", "klingon"), 2, "language 'klingon' is not known; there are python"),
        (("-c", "1", "--timeout", "soon"), 2, "'soon' is not a time"),
        (("-c", "1", "--timeout", "0"), 2, "'0' is not a time"),
        (("-c", "1", "--install", "requests; rm -rf /"), 2, "requests; rm"),
        (("-c", "1", "--upload", "missing"), 2, "no file 'missing' to upload"),
        (("-c", "1", "--download", "a:nowhere/b"), 2, "no folder 'nowhere'"),
        (("-c", "1", "--sandbox", "none"), 2, "you have no sandbox 'none'"),
        (("-c", ""), 2, "empty"),
    ],
)
def test_wrong_usage_is_one_line_that_says_what_to_do(
    cli: Cli, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = cli("execute", *arguments)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.startswith("sandloop: ") and message in done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_what_the_policy_forbids_exits_with_77(cli: Cli) -> None:
    cli.configure('[policy]\nallowedLanguages = ["javascript"]\n')
    done = cli("execute", "-c", "1", "-l", "python")
    assert (done.returncode, done.stdout) == (77, "")
    assert "python" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[e2b]\ntimeout = 'soon'\n", "e2b.timeout"),
        ("[e2b]\nkey = 'x'\n", "e2b.key"),
        ("[e2b\n", "sandloop.toml"),
    ],
)
def test_wrong_settings_exit_with_78_and_name_their_place(cli: Cli, text: str, message: str) -> None:
    cli.configure(text)
    done = cli("execute", "-c", "1")
    assert (done.returncode, done.stdout) == (78, "")
    assert message in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "change",
    [{"E2B_API_KEY": "wrong"}, {"E2B_API_URL": "http://127.0.0.1:9", "E2B_SANDBOX_URL": "http://127.0.0.1:9"}],
    ids=["key", "address"],
)
def test_where_no_sandbox_can_be_had_it_exits_with_69_and_says_what_to_do(cli: Cli, change: dict[str, str]) -> None:
    done = cli("execute", "-c", "1", **change)
    assert (done.returncode, done.stdout) == (69, "")
    assert "Check" in done.stderr and "Traceback" not in done.stderr
