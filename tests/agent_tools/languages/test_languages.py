"""Every language that is on the machine, for real."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from e2b_code_interpreter import AsyncSandbox

from agent_tools import errors
from agent_tools.languages import LANGUAGES, find, installed, run_program

from .cases import CASES, Case

START_SECONDS = 100
"""Enough for a cold compiler on a busy machine."""

NAMES = [language.name for language in LANGUAGES]
# What the template brings; the others are the machine's.
IN_TEMPLATE = {"python", "javascript", "typescript", "bash"}
R_LIBRARIES = ("/usr/lib/R/site-library", "/usr/local/lib/R/site-library")


@pytest.fixture
def case(name: str, on_e2b: bool) -> Case:
    there = any(all(map(shutil.which, recipe.needs)) for recipe in find(name).recipes)
    if not there and not on_e2b and name not in IN_TEMPLATE:
        pytest.skip(f"no {find(name).title} on this machine: make setup-languages")
    return CASES[name]


@pytest.mark.parametrize("name", NAMES)
async def test_a_program_reads_its_input_and_prints_unicode(sandbox: AsyncSandbox, name: str, case: Case) -> None:
    result = await run_program(sandbox, find(name), case.greet, timeout_s=START_SECONDS, stdin="Zoë\n")
    assert (result.stdout, result.error_name, result.exit_code) == ("héllo Zoë ✓\n", None, 0), result


@pytest.mark.parametrize("name", NAMES)
async def test_a_failing_program_tells_its_exit_code_and_keeps_its_output(
    sandbox: AsyncSandbox, name: str, case: Case
) -> None:
    result = await run_program(sandbox, find(name), case.fail, timeout_s=START_SECONDS)
    assert (result.stdout, result.error_name, result.exit_code) == ("before\n", errors.NON_ZERO_EXIT, 3), result
    assert result.message == "the program ended with exit code 3"


@pytest.mark.parametrize("name", NAMES)
async def test_an_error_in_a_program_is_told_with_its_line_and_without_our_folder(
    sandbox: AsyncSandbox, name: str, case: Case
) -> None:
    result = await run_program(sandbox, find(name), case.broken, timeout_s=START_SECONDS)
    compiled = any(recipe.compile for recipe in find(name).recipes)
    assert result.error_name == (errors.COMPILE_ERROR if compiled else errors.NON_ZERO_EXIT), result
    assert result.exit_code
    assert case.complaint in result.stderr or name == "r"  # R names no file
    assert "/tmp/" not in result.stderr


@pytest.mark.parametrize("name", NAMES)
async def test_a_program_without_an_end_is_killed_when_its_time_is_over(
    sandbox: AsyncSandbox, name: str, case: Case
) -> None:
    result = await run_program(sandbox, find(name), case.forever, timeout_s=2)
    assert (result.error_name, result.exit_code) == (errors.EXECUTION_TIMEOUT, None), result
    assert "2 s" in result.message
    assert (
        await sandbox.commands.run("grep -lsz ^SANDLOOP_RUN= /proc/*/environ; ls /tmp | grep sandloop; true")
    ).stdout == ""


async def test_the_languages_of_the_machine_are_those_a_sandbox_has(sandbox: AsyncSandbox, on_e2b: bool) -> None:
    there = {language.name for language in await installed(sandbox)}
    assert there >= IN_TEMPLATE
    if not on_e2b:
        assert there >= {
            language.name
            for language in LANGUAGES
            if any(all(map(shutil.which, recipe.needs)) for recipe in language.recipes)
        }


STATE = {
    "python": ("x = 20", "print(x + 1)"),
    "javascript": ("let x = 20", "console.log(x + 1)"),
    "typescript": ("let y: number = 20", "console.log(y + 1)"),
    "bash": ("x=20", "echo $((x + 1))"),
    "r": ("x <- 20", "cat(x + 1)"),
    "java": ("int x = 20;", "System.out.println(x + 1);"),
}


def test_every_kernel_is_tried() -> None:
    assert {language.kernel for language in LANGUAGES} - {None} == set(STATE)


@pytest.mark.parametrize("kernel", STATE)
async def test_a_language_with_a_kernel_keeps_its_state(sandbox: AsyncSandbox, kernel: str) -> None:
    if kernel == "java" and not shutil.which("javac"):
        pytest.skip("no Java on this machine: make setup-languages")
    if kernel == "r" and not any(Path(folder, "IRkernel").is_dir() for folder in R_LIBRARIES):
        pytest.skip("no R kernel on this machine: make setup-languages")
    first, second = STATE[kernel]
    assert (await sandbox.run_code(first, language=kernel)).error is None
    execution = await sandbox.run_code(second, language=kernel)
    assert "".join(execution.logs.stdout).strip() == "21"
