"""Languages beside Python: their kernels, and the host's toolchains."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from e2b import SandboxException
from e2b_code_interpreter import Execution, Sandbox

NewSandbox = Callable[..., Sandbox]


def stdout(execution: Execution) -> str:
    assert execution.error is None, execution.error
    return "".join(execution.logs.stdout)


def value(execution: Execution) -> str | None:
    assert execution.error is None, execution.error
    text: str | None = execution.text
    return text


@pytest.mark.parametrize(
    ("name", "code", "printed"),
    [
        ("python", "print(1)", "1\n"),
        ("Python3", "print(1)", "1\n"),
        ("py", "print(1)", "1\n"),
        ("javascript", "console.log(1)", "1\n"),
        ("js", "console.log(1)", "1\n"),
        ("node", "console.log(1)", "1\n"),
        ("typescript", "console.log(1 as number)", "1\n"),
        ("ts", "console.log(1 as number)", "1\n"),
        ("bash", "echo 1", "1\n"),
        ("sh", "echo 1", "1\n"),
    ],
)
def test_a_language_has_the_names_people_use(sandbox: Sandbox, name: str, code: str, printed: str) -> None:
    assert stdout(sandbox.run_code(code, language=name)) == printed


def test_an_unknown_language_is_refused_with_those_there_are(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxException, match=r"'cobol' is not supported; there are python, javascript"):
        sandbox.run_code("DISPLAY 'HI'.", language="cobol")


@pytest.mark.parametrize(
    ("language", "read"), [("javascript", "process.env.NEW"), ("typescript", "process.env.NEW as any"), ("bash", "")]
)
def test_variables_of_an_execution_are_put_back_after_it(new_sandbox: NewSandbox, language: str, read: str) -> None:
    sandbox = new_sandbox(envs={"KEPT": "create"})
    code = "echo $KEPT $NEW" if language == "bash" else f"console.log(process.env.KEPT, {read} ?? '')"
    assert (
        stdout(sandbox.run_code(code, language=language, envs={"KEPT": "call", "NEW": "it's"})).strip() == "call it's"
    )
    assert stdout(sandbox.run_code(code, language=language)).strip() == "create"


# --- JavaScript and TypeScript


def test_javascript_and_typescript_share_their_state(sandbox: Sandbox) -> None:
    sandbox.run_code("let count = 1; function add(n) { return count += n }", language="javascript")
    assert value(sandbox.run_code("const two: number = 2; add(two)", language="typescript")) == "3"
    assert value(sandbox.run_code("count + two", language="javascript")) == "5"


@pytest.mark.parametrize(
    "declaration", ["let x", "const x", "class x", "function x", "import * as x from 'node:os';//"]
)
def test_a_name_may_be_declared_again(sandbox: Sandbox, declaration: str) -> None:
    again = {"class x": "class x { static y = 2 }", "function x": "function x() {}"}.get(
        declaration, f"{declaration} = 2"
    )
    sandbox.run_code(again.replace("2", "1"), language="js")
    assert sandbox.run_code(again, language="js").error is None


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("require('node:path').basename('/a/b')", "b"),
        ("import { basename } from 'node:path'; basename('/a/b')", "b"),
        ("import path from 'node:path'; path.basename('/a/b')", "b"),
        ("const { basename: last } = await import('node:path'); last('/a/b')", "b"),
        ("await Promise.resolve(42)", "42"),
        ("for await (const x of [1, 2]) { var last = x }; last", "2"),
        ("await (async () => 'inside')()", "inside"),
        ("[1, { a: 'b' }]", "[ 1, { a: 'b' } ]"),
        ("({ a: 1 })", "{ a: 1 }"),
        ("{ a: 1 }", "{ a: 1 }"),
        ("Buffer.from('hi').toString('hex')", "6869"),
        ("typeof fetch", "function"),
        ("10n ** 20n", "100000000000000000000n"),
        ("undefined", None),
        ("const x = 1", None),
    ],
)
def test_javascript_shows_the_value_of_its_last_expression(sandbox: Sandbox, code: str, shown: str | None) -> None:
    assert value(sandbox.run_code(code, language="javascript")) == shown


def test_javascript_imports_files_of_its_folder(sandbox: Sandbox) -> None:
    sandbox.files.write("shapes.mjs", "export const area = (side) => side ** 2;\n")
    sandbox.files.write("names.cjs", "exports.name = 'square';\n")
    code = "import { area } from './shapes.mjs';\nconst { name } = require('./names.cjs');\n`${name} ${area(3)}`"
    assert value(sandbox.run_code(code, language="javascript")) == "square 9"


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("interface P { x: number }\nconst p: P = { x: 1 };\np.x", "1"),
        ("enum Color { Red = 'r' }\nColor.Red", "r"),
        ("function id<T>(x: T): T { return x }\nid<string>('a')", "a"),
        ("class A { constructor(public n: number) {} }\nnew A(3).n", "3"),
        ("namespace N { export const x = 5 }\nN.x", "5"),
        ("import type { Stats } from 'node:fs';\nlet s: Stats | undefined;\ntypeof s", "undefined"),
        ("const f = async (): Promise<number> => 1;\nawait f()", "1"),
    ],
)
def test_typescript_runs(sandbox: Sandbox, code: str, shown: str) -> None:
    assert value(sandbox.run_code(code, language="typescript")) == shown


@pytest.mark.parametrize(
    ("language", "code", "name", "words", "place"),
    [
        ("javascript", "let a = 1;\nthrow new TypeError('bad')", "TypeError", "bad", "cell-1.js:2:7"),
        ("javascript", "1;\n2;\nnothing.x", "ReferenceError", "nothing is not defined", "cell-1.js:3:1"),
        ("javascript", "1;\nlet = = 2", "SyntaxError", "Unexpected token", "cell-1.js:2\n"),
        ("javascript", "f(", "SyntaxError", "", "cell-1.js:1\n"),
        ("javascript", "await Promise.reject(new RangeError('far'))", "RangeError", "far", "cell-1.js:1:22"),
        ("javascript", "require('no-such-module')", "Error", "Cannot find module 'no-such-module'", "cell-1.js:1"),
        ("javascript", "throw 'text'", "Uncaught", "text", ""),
        ("typescript", "const a: number = 1;\n\nnothing()", "ReferenceError", "not defined", "cell-1.ts:3:1"),
        ("typescript", "const a: = 1", "SyntaxError", "", "cell-1.ts:1"),
    ],
)
def test_javascript_errors_say_where(
    sandbox: Sandbox, language: str, code: str, name: str, words: str, place: str
) -> None:
    error = sandbox.run_code(code, language=language).error
    assert error is not None and error.name == name
    assert words in error.value and place in error.traceback


def test_javascript_tells_its_streams_apart(sandbox: Sandbox) -> None:
    execution = sandbox.run_code("console.log('out'); console.error('err'); process.stdout.write('x')", language="js")
    assert (stdout(execution), execution.logs.stderr) == ("out\nx", ["err\n"])


def test_javascript_output_arrives_while_the_code_runs(sandbox: Sandbox) -> None:
    code = "console.log('seen')\nconst fs = require('fs')\n"
    wait = "while (!fs.existsSync('/tmp/seen')) await new Promise((wake) => setTimeout(wake, 10))"
    execution = sandbox.run_code(
        code + wait, language="js", timeout=60, on_stdout=lambda _: sandbox.files.write("/tmp/seen", "")
    )
    assert stdout(execution) == "seen\n"


def test_javascript_shows_other_kinds_of_results(sandbox: Sandbox) -> None:
    code = "$$.html('<b>x</b>'); $$.png(new Uint8Array([1])); ({ _toMarkdown: () => '# x' })"
    html, png, main = sandbox.run_code(code, language="javascript").results
    assert (html.html, png.png, main.markdown, main.is_main_result) == ("<b>x</b>", "AQ==", "# x", True)


def test_leaving_javascript_ends_the_execution_and_keeps_the_state(sandbox: Sandbox) -> None:
    sandbox.run_code("let x = 1", language="javascript")
    error = sandbox.run_code("process.exit(3)\nx = 2", language="javascript").error
    assert error is not None and error.name == "ProcessExit"
    assert value(sandbox.run_code("x", language="javascript")) == "1"


def test_an_error_nobody_waits_for_does_not_end_javascript(sandbox: Sandbox) -> None:
    code = (
        "let x = 1; setTimeout(() => { throw new Error('late') }, 0); await new Promise((wake) => setTimeout(wake, 20))"
    )
    assert "late" in "".join(sandbox.run_code(code, language="javascript").logs.stderr)
    assert value(sandbox.run_code("x", language="javascript")) == "1"


# --- bash


def test_bash_keeps_folder_variables_and_functions(sandbox: Sandbox) -> None:
    sandbox.run_code('cd /tmp; name=ann; greet() { echo "hello $1 in $PWD"; }', language="bash")
    assert stdout(sandbox.run_code('greet "$name"', language="bash")) == "hello ann in /tmp\n"


@pytest.mark.parametrize(
    ("code", "name", "words"),
    [
        ("false", "ExitCode", "1"),
        ("no-such-command", "ExitCode", "127"),
        ("if true; then", "ExitCode", "2"),
        ("echo 'unclosed", "ExitCode", "2"),
    ],
)
def test_bash_errors_are_exit_codes_and_the_session_goes_on(sandbox: Sandbox, code: str, name: str, words: str) -> None:
    error = sandbox.run_code(code, language="bash").error
    assert error is not None and (error.name, error.value) == (name, words)
    assert stdout(sandbox.run_code("echo on", language="bash")) == "on\n"


def test_bash_commands_find_their_input_empty(sandbox: Sandbox) -> None:
    assert stdout(sandbox.run_code('cat; read x; echo "[$x]"', language="bash", timeout=60)) == "[]\n"


def test_bash_reads_a_here_document(sandbox: Sandbox) -> None:
    assert stdout(sandbox.run_code("cat <<'END'\na $b\nEND", language="bash")) == "a $b\n"


# --- R and Java, which need something of the host

_R = any(Path(folder, "IRkernel").is_dir() for folder in ("/usr/lib/R/site-library", "/usr/local/lib/R/site-library"))
_JDK = shutil.which("javac") is not None


@pytest.mark.skipif(not _R, reason="needs the package r-cran-irkernel on this machine")
def test_r_keeps_state_and_shows_values_plots_and_errors(sandbox: Sandbox) -> None:
    assert stdout(sandbox.run_code("x <- 20; cat('hi\\n')", language="r")) == "hi\n"
    (result,) = sandbox.run_code("x + 1", language="R").results
    assert result.text == "[1] 21"
    assert sandbox.run_code("plot(1:3)", language="r").results[0].png is not None
    error = sandbox.run_code("stop('no')", language="r").error
    assert error is not None and "no" in error.value
    assert stdout(sandbox.run_code("cat(Sys.getenv('NEW'))", language="r", envs={"NEW": "it's"})) == "it's"


@pytest.mark.skipif(not _JDK, reason="needs a JDK on this machine")
def test_java_keeps_state_and_shows_values_and_errors(sandbox: Sandbox) -> None:
    assert stdout(sandbox.run_code('int x = 20; System.out.println("hi");', language="java")) == "hi\n"
    assert value(sandbox.run_code("x + 1", language="java")) == "21"
    error = sandbox.run_code('throw new IllegalStateException("no");', language="java").error
    assert error is not None and "no" in error.value


@pytest.mark.skipif(_R and _JDK, reason="R and Java are both there")
@pytest.mark.parametrize(("language", "there", "package"), [("r", _R, "r-cran-irkernel"), ("java", _JDK, "openjdk")])
def test_a_missing_language_names_the_package(sandbox: Sandbox, language: str, there: bool, package: str) -> None:
    if there:
        pytest.skip(f"{language} is there")
    with pytest.raises(SandboxException, match=package):
        sandbox.run_code("1", language=language)


# --- toolchains

PROGRAMS = {
    "gcc": ("a.c", '#include <stdio.h>\nint main(void) { puts("ok"); }', "gcc a.c -o a && ./a"),
    "g++": ("a.cpp", '#include <iostream>\nint main() { std::cout << "ok\\n"; }', "g++ a.cpp -o a && ./a"),
    "rustc": ("a.rs", 'fn main() { println!("ok"); }', "rustc a.rs && ./a"),
    "cargo": ("src/main.rs", 'fn main() { println!("ok"); }', "cargo init -q --name a && cargo run -q --offline"),
    "go": ("a.go", 'package main\nfunc main() { print("") ; println("ok") }', "go run a.go 2>&1"),
    "javac": ("A.java", 'class A { public static void main(String[] a) { System.out.println("ok"); } }', "java A.java"),
    "node": ("a.js", "console.log('ok')", "node a.js"),
    "perl": ("a.pl", 'print "ok\\n";', "perl a.pl"),
    "make": ("Makefile", "all:\n\t@echo ok\n", "make"),
}


@pytest.mark.parametrize("tool", PROGRAMS)
def test_the_hosts_toolchains_build_and_run_programs(sandbox: Sandbox, tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not on this machine")
    file, source, command = PROGRAMS[tool]
    sandbox.files.write(f"work/{file}", source)
    assert sandbox.commands.run(command, cwd="/home/user/work", timeout=60).stdout == "ok\n"
