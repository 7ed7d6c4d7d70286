import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox_server import doctor
from sandbox_server.checks import Finding, Level, isolation, languages, resources
from sandbox_server.guest.config import MIB, Limits
from sandbox_server.settings import Settings
from tests.sandbox_server.programs import run


def program(folder: Path, name: str, script: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return folder / name


def kernel(proc: Path, **switches: str) -> Path:
    """Files as under /proc."""
    (proc / "self/ns").mkdir(parents=True)
    (proc / "self/ns/user").touch()
    for name, value in switches.items():
        file = proc / "sys" / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
    return proc


def test_the_whole_report_is_for_people_and_programs_and_sandboxes_can_run_here(tmp_path: Path):
    text = run(tmp_path, "doctor")
    assert text.returncode == 0, text.stdout + text.stderr
    assert text.stdout.endswith("Sandboxes can run here.\n")
    answer = run(tmp_path, "doctor", "--json")
    assert not (tmp_path / "sandloop").exists(), "its server is not that of the user"
    report = json.loads(answer.stdout)
    assert report["usable"] is True
    names = [finding["name"] for finding in report["findings"]]
    assert {"bubblewrap", "user namespaces", "seccomp", "control groups", "memory", "template"} <= set(names)
    assert {"Python", "JavaScript and TypeScript", "bash", "R", "Java", "C", "Rust", "registries"} <= set(names)
    last = report["findings"][-1]
    assert (last["name"], last["level"]) == ("self-test", "ok")
    assert {finding["level"] for finding in report["findings"]} <= {"ok", "warn", "fail"}
    for finding in report["findings"]:
        assert f"{finding['level']:<5} {finding['name']}" in text.stdout


def test_where_sandboxes_cannot_run_the_report_says_why_and_fails(tmp_path: Path):
    answer = run(tmp_path, "doctor", PATH=str(tmp_path))
    assert answer.returncode == 1
    assert "fail  bubblewrap" in answer.stdout
    assert "-> install it: apt install bubblewrap" in answer.stdout
    assert "fail  self-test" in answer.stdout
    assert "Sandboxes cannot run here" in answer.stdout
    assert "Traceback" not in answer.stderr


def test_every_line_has_its_level_as_a_word_and_advice_below_it():
    findings = [Finding("one", Level.OK, "fine"), Finding("two", Level.WARN, "so so", "do this\nthen that")]
    assert doctor.as_text(findings).splitlines() == [
        "ok    one  fine",
        "warn  two  so so",
        "      -> do this",
        "      then that",
        "Sandboxes can run here.",
    ]
    assert not doctor.usable([*findings, Finding("self-test", Level.FAIL, "no")])


def test_bubblewrap_of_this_machine_runs():
    assert isolation.bubblewrap(os.environ["PATH"], root=os.getuid() == 0).level is Level.OK


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        ("echo bubblewrap 0.4.1", "is bubblewrap 0.4.1"),
        ("exit 1", "is of no known version"),
        (
            '[ "$1" = --version ] && echo bubblewrap 0.9.0 && exit; echo "bwrap: uid map: refused" >&2; exit 1',
            "is refused: bwrap: uid map: refused",
        ),
    ],
)
def test_a_bubblewrap_that_is_too_old_or_refused_fails(tmp_path: Path, script: str, detail: str):
    program(tmp_path, "bwrap", script)
    found = isolation.bubblewrap(str(tmp_path), root=False)
    assert (found.level, bool(found.advice)) == (Level.FAIL, True)
    assert detail in found.detail


@pytest.mark.parametrize(
    ("switches", "levels", "advice"),
    [
        ({}, ["ok"], ""),
        ({"kernel__unprivileged_userns_clone": "1", "user__max_user_namespaces": "100"}, ["ok"], ""),
        ({"kernel__unprivileged_userns_clone": "0"}, ["fail"], "kernel.unprivileged_userns_clone=1"),
        ({"user__max_user_namespaces": "0"}, ["fail"], "user.max_user_namespaces=10000"),
        ({"kernel__apparmor_restrict_unprivileged_userns": "0"}, ["ok"], ""),
        (
            {"kernel__apparmor_restrict_unprivileged_userns": "1"},
            ["ok", "warn"],
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ],
)
def test_what_turns_user_namespaces_off_is_named(
    tmp_path: Path, switches: dict[str, str], levels: list[str], advice: str
):
    findings = list(isolation.user_namespaces(kernel(tmp_path, **switches)))
    assert [finding.level for finding in findings] == levels
    assert advice in findings[-1].advice


def test_a_kernel_without_user_namespaces_fails(tmp_path: Path):
    (found,) = isolation.user_namespaces(tmp_path)
    assert found.level is Level.FAIL


@pytest.mark.parametrize(
    ("capabilities", "seccomp", "root", "level"),
    [
        ("00000000a80425fb", "2", True, Level.WARN),  # docker run without options
        ("000001ffffffffff", "0", True, Level.OK),  # --privileged
        ("000001ffffffffff", "2", True, Level.WARN),
        ("0000000000000000", "0", False, Level.OK),  # --user, --security-opt seccomp=unconfined
    ],
)
def test_a_container_without_the_needed_options_is_told_them(
    tmp_path: Path, capabilities: str, seccomp: str, root: bool, level: Level
):
    mark, status = tmp_path / ".dockerenv", tmp_path / "status"
    status.write_text(f"Name:\tpython\nCapEff:\t{capabilities}\nSeccomp:\t{seccomp}\n")
    assert isolation.container((mark,), status, root=root) is None
    mark.touch()
    found = isolation.container((mark,), status, root=root)
    assert found is not None
    assert found.level is level
    assert ("docker run" in found.advice) is (level is Level.WARN)


def test_no_control_groups_is_a_warning_with_what_to_do(tmp_path: Path):
    own = tmp_path / "cgroup"
    own.write_text("0::/user.slice/session-1.scope\n")
    found = isolation.control_groups(1, tmp_path, own)
    assert (found.level, "systemd-run --user --scope" in found.advice) == (Level.WARN, True)


def test_languages_are_there_or_say_what_to_install(tmp_path: Path):
    template, programs, library = tmp_path / "template", tmp_path / "bin", tmp_path / "library"
    bare = list(languages.languages(template, str(programs), (str(library),)))
    assert {finding.level for finding in bare} == {Level.WARN}
    assert all(finding.advice for finding in bare)
    for name in ("python", "node"):
        program(template / "bin", name)
    for name in ("bash", "R", "javac", "gcc", "g++", "go", "rustc", "ruby", "php", "mono"):
        program(programs, name)
    half = {finding.name: finding for finding in languages.languages(template, str(programs), (str(library),))}
    assert [name for name, finding in half.items() if finding.level is Level.WARN] == ["R", "Java"]
    assert half["R"].advice == "apt install r-cran-irkernel"
    (library / "IRkernel").mkdir(parents=True)
    (template / "share/jupyter/kernels/java").mkdir(parents=True)
    full = list(languages.languages(template, str(programs), (str(library),)))
    assert {finding.level for finding in full} == {Level.OK}


@pytest.mark.parametrize(("available_mb", "level"), [(100, Level.FAIL), (600, Level.WARN), (4000, Level.OK)])
def test_memory_is_compared_with_the_floor_and_with_one_sandbox(tmp_path: Path, available_mb: int, level: Level):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal:  9000000 kB\nMemAvailable:  {available_mb * 1024} kB\nHugePages_Total:  0\n")
    settings = Settings(memory_floor_bytes=512 * MIB, limits=Limits(home_bytes=1024 * MIB))
    found = resources.memory(meminfo, settings)
    assert found.level is level
    assert f"{available_mb} MiB" in found.detail


def test_an_index_with_credentials_is_warned_about_without_showing_them(tmp_path: Path):
    environ = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "https://me:hunter2@mirror.example/simple"}
    python = pip_python()
    findings = list(resources.registries(tmp_path / "npm", environ, python))
    assert [finding.level for finding in findings] == [Level.WARN, Level.WARN]
    assert "mirror.example" in findings[1].detail
    assert "hunter2" not in repr(findings)


def pip_python() -> str:
    for python in (sys.executable, getattr(sys, "_base_executable", sys.executable)):
        if subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip("no pip here")
