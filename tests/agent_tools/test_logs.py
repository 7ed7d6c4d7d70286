"""Log lines go where the program says, hold no secret, and are few unless asked for."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from agent_tools import CallContext, PolicyRefusal, SandboxSettings, ToolExecutor, logs

from .conftest import Contexts

SECRET = "sk-S3cr3tS3cr3tS3cr3tS3cr3t"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="sandloop")
    return caplog


@pytest.fixture
def sandloop() -> Iterator[logging.Logger]:
    """The logger, as it was, afterwards."""
    root = logging.getLogger("sandloop")
    before = (root.level, list(root.handlers), root.propagate)
    yield root
    root.setLevel(before[0])
    root.handlers, root.propagate = before[1], before[2]


def fields(lines: pytest.LogCaptureFixture, event: str) -> list[dict[str, object]]:
    found = [record.__dict__.get("sandloop", {}) for record in lines.records]
    return [record for record in found if record.get("event") == event]


async def test_an_execution_is_one_line_with_its_outcome(
    executor: ToolExecutor, context: CallContext, lines: pytest.LogCaptureFixture
):
    await executor.execute_code(f"key = '{SECRET}'\n{'x = 1; ' * 100}\n1/0", "python", context)
    (made,) = fields(lines, "sandbox created")
    (line,) = fields(lines, "execution")
    assert made["sandbox_id"] == line["sandbox_id"]
    assert (line["language"], line["thread"]) == ("python", context.thread_id)
    assert line["outcome"] == "ZeroDivisionError: division by zero" and isinstance(line["seconds"], float)
    code = line["code"]
    assert isinstance(code, str) and code.startswith("key = ") and len(code) < 120
    assert "S3cr" not in lines.text and executor.sandboxes.settings.api_key not in repr(lines.records)
    assert f"execution language='python' code={code!r}" in lines.text


async def test_a_command_and_a_refusal_are_a_line_each(
    executor: ToolExecutor, new_context: Contexts, lines: pytest.LogCaptureFixture
):
    context = new_context(denied_packages=("torch",))
    await executor.run_command(f"export API_KEY={SECRET}; exit 3", context)
    (line,) = fields(lines, "command")
    assert line["exit_code"] == 3
    with pytest.raises(PolicyRefusal):
        await executor.install_packages(["torch"], "python", context)
    (refused,) = fields(lines, "call_refused")
    assert (refused["rule"], refused["names"]) == ("package.denied", ["torch"])
    assert "S3cr" not in lines.text


@pytest.mark.usefixtures("registries")
async def test_what_an_installer_says_is_shown_at_debug_only(
    executor: ToolExecutor, context: CallContext, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG, logger="sandloop")
    await executor.install_packages(["cowsay==6.1"], "python", context)
    (said,) = [record for record in caplog.records if record.__dict__["sandloop"]["event"] == "installed"]
    assert said.levelname == "DEBUG" and "cowsay" in said.message


PROGRAM = """
from agent_tools import Sandboxes, SandboxSettings
from agent_tools.logs import logger
Sandboxes(SandboxSettings.from_environment())
log = logger("test")
log.debug("fine"); log.info("coarse", code="100% {}"); log.warning("loud", n=1)
"""


def printed(level: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={"SANDLOOP_LOG_LEVEL": level}, capture_output=True, text=True, check=True
    )
    return done.stdout, done.stderr


def test_a_library_says_nothing_on_stdout_and_only_warnings_at_all():
    assert printed("") == ("", "loud n=1\n")


def test_the_environment_asks_for_more_on_stderr():
    out, err = printed("debug")
    assert out == ""
    assert [line.split(maxsplit=2)[2] for line in err.splitlines()] == [
        "DEBUG   sandloop.test fine",
        "INFO    sandloop.test coarse code='100% {}'",
        "WARNING sandloop.test loud n=1",
    ]


def test_asking_again_changes_the_level_and_shows_no_line_twice(
    sandloop: logging.Logger, capsys: pytest.CaptureFixture[str]
):
    logs.to_stderr("INFO")
    logs.to_stderr("error")
    logs.logger("test").warning("quiet")
    logs.logger("test").error("once")
    assert capsys.readouterr().err.count("once") == 1
    assert "quiet" not in capsys.readouterr().err


def test_a_level_that_there_is_not_is_an_error_that_names_them():
    with pytest.raises(ValueError, match="SANDLOOP_LOG_LEVEL is 'chatty'; use one of DEBUG, INFO"):
        logs.to_stderr("chatty")


def test_the_environment_is_read_and_empty_means_unset():
    environ = {"E2B_API_KEY": "k", "E2B_DOMAIN": "d", "SANDLOOP_REGISTRY_HOSTS": "a.example, b.example"}
    settings = SandboxSettings.from_environment(environ | {"SANDLOOP_LOG_LEVEL": "", "E2B_API_URL": ""})
    assert settings == SandboxSettings(api_key="k", domain="d", registry_hosts=("a.example", "b.example"))
    assert not settings.embedded and SandboxSettings.from_environment({}).embedded
    assert "'k'" not in repr(settings)
