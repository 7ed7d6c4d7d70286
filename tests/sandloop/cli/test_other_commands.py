from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time

import httpx
import pytest

from tests.agent_tools.languages.cases import CASES

from .conftest import ROOT, Cli

COMMANDS = ["execute", "run", "chat", "threads list", "threads show", "threads export", "threads rename",
            "threads delete", "languages", "doctor", "serve", "token", "mcp"]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_the_exit_codes(cli: Cli, command: str) -> None:
    done = cli(*command.split(), "--help")
    assert done.returncode == 0
    assert "Exit codes:" in done.stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from sandloop.cli import app; import typer.main; typer.main.get_command(app); "
        "print(sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'agent_tools', 'graphs', 'e2b', 'httpx', 'langchain_core', 'langgraph', 'fastapi', 'mcp', 'pydantic', "
        "'structlog', 'asyncpg', 'rich'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_unknown_option_is_wrong_usage(cli: Cli) -> None:
    assert cli("execute", "--nonsense").returncode == 2
    assert cli("nonsense").returncode == 2


def test_the_version_is_printed(cli: Cli) -> None:
    assert re.fullmatch(r"sandloop \d+\.\d+\.\d+\n", cli("--version").stdout)


def test_the_settings_file_can_be_named(cli: Cli) -> None:
    cli.write("other.toml", '[e2b]\ndefault_language = "bash"\n')
    assert cli("--config", "other.toml", "execute", "-c", "echo $((6 * 7))").stdout == "42\n"
    missing = cli("--config", "missing.toml", "execute", "-c", "1")
    assert (missing.returncode, missing.stderr) == (78, "sandloop: there is no file missing.toml\n")


def test_languages_says_what_is_here_and_how_to_get_the_rest(cli: Cli) -> None:
    listed = {entry["name"]: entry for entry in json.loads(cli("languages", "--json").stdout)}
    assert listed.keys() == CASES.keys()
    assert listed["python"]["available"] and listed["python"]["keeps_state"]
    assert all(entry["available"] or entry["install"] for entry in listed.values())
    table = cli("languages")
    assert table.returncode == 0
    assert "TypeScript" in table.stdout and "c++" in table.stdout and "\x1b" not in table.stdout


def test_doctor_checks_the_service_the_model_and_the_database(cli: Cli) -> None:
    done = cli("doctor", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["usable"]) == (0, True)
    assert report["sandboxes"][0]["level"] == "ok"
    assert "OPENAI_API_KEY" in report["models"][0]["advice"]
    assert report["threads"][0]["level"] == "ok"
    text = cli("doctor")
    assert "warn" in text.stdout and "→ set OPENAI_API_KEY" in text.stdout


def test_doctor_says_what_does_not_work_and_what_to_do(cli: Cli) -> None:
    wrong = {"E2B_API_KEY": "wrong", "OPENAI_API_KEY": "sk-secret-000", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    done = cli("doctor", SANDLOOP_DATABASE="/proc/none/x.sqlite", **wrong)
    assert done.returncode == 1
    assert "does not accept the API key" in done.stdout
    assert "nothing answers at 127.0.0.1:9" in done.stdout
    assert "SANDLOOP_DATABASE names another file" in done.stdout
    assert "sk-secret" not in done.stdout and "Traceback" not in done.stderr


def test_doctor_names_a_wrong_setting(cli: Cli) -> None:
    cli.configure("[e2b]\nnonsense = 1\n")
    done = cli("doctor")
    assert done.returncode == 1
    assert "e2b.nonsense" in done.stdout


def test_the_embedded_server_is_started_on_first_use_and_found_on_the_second(cli: Cli) -> None:
    environ = {name: value for name, value in cli.environ.items() if not name.startswith("E2B_")}
    resident_cli = Cli(cli.folder, environ)
    try:
        for _ in range(2):
            done = resident_cli("execute", "-c", "print(1)")
            assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr
    finally:
        subprocess.run([sys.executable, "-m", "sandbox_server", "stop"], env=environ, cwd=ROOT, check=True)


def test_a_token_opens_what_serve_serves(cli: Cli) -> None:
    server = cli.start("serve", "--port", "0")
    assert server.stderr is not None
    try:
        line = server.stderr.readline()
        assert line.startswith("listening on http://127.0.0.1:"), line + server.stderr.read()
        url = line.split()[-1]
        token = cli("token", "--expires", "10m").stdout.strip()
        ask = {"code": "6 * 7", "thread_id": "t"}
        deadline = time.monotonic() + 60
        while True:
            try:
                refused = httpx.post(f"{url}/code/execute", json=ask, trust_env=False)
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline
        assert refused.status_code == 401
        answer = httpx.post(
            f"{url}/code/execute", json=ask, headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False
        )
        assert (answer.status_code, answer.json()["output"]) == (200, "42")
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    assert server.returncode == 0


@pytest.mark.parametrize("arguments", [("token", "--expires", "soon"), ("token", "--subject", "\n")])
def test_a_token_that_cannot_be_made_is_one_line(cli: Cli, arguments: tuple[str, ...]) -> None:
    done = cli(*arguments)
    assert done.returncode in (2, 78)
    assert done.stderr.startswith("sandloop: ") and done.stderr.count("\n") == 1
