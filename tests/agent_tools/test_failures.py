"""Every failure has a name of its own and says what to do; docs/errors.md has the table of them."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import sandbox_server
from agent_tools import CallContext, InvalidCall, PolicyRefusal, Sandboxes, SandboxSettings, ToolExecutor, errors
from agent_tools.errors import (
    ApiKeyRejected,
    EmbeddedServerFailed,
    SandboxLimitReached,
    SandboxUnavailable,
    ServiceUnreachable,
)
from tests.sandbox_server.conftest import RunningServer

from .conftest import Contexts, Leases

DOCS = Path(__file__).parents[2] / "docs" / "errors.md"


async def error(executor: ToolExecutor, context: CallContext, code: str, language: str = "python") -> str:
    result = await executor.execute_code(code, language, context, timeout_s=60)
    assert not result.success and result.error
    return result.error


# --- the code failed


async def test_a_syntax_error_has_the_language_s_own_name(executor: ToolExecutor, context: CallContext):
    assert (await error(executor, context, "for")).startswith("SyntaxError: ")
    assert (await error(executor, context, "let = ;", "javascript")).startswith("SyntaxError: ")


async def test_a_runtime_error_has_the_language_s_own_name(executor: ToolExecutor, context: CallContext):
    assert await error(executor, context, "{}['k']") == "KeyError: 'k'"
    assert (await error(executor, context, "null.x", "javascript")).startswith("TypeError: ")


async def test_code_over_its_time_says_that_variables_are_kept(executor: ToolExecutor, context: CallContext):
    await executor.execute_code("x = 1", "python", context)
    result = await executor.execute_code("while True: pass", "python", context, timeout_s=1)
    assert result.error == (
        "ExecutionTimeout: interrupted after 1 s; variables set so far are kept. Do less, or ask for more time"
    )
    assert (await executor.execute_code("x", "python", context)).output == "1"


async def test_code_that_needs_too_much_memory_is_named_so_and_the_sandbox_stays(
    executor: ToolExecutor, context: CallContext
):
    await executor.write_file("kept.txt", "x", context)
    code = "a = []\nwhile True: a.append(bytearray(b'x' * 50_000_000))"
    assert re.match(
        r"OutOfMemory: .*more memory than the sandbox's limit of \d+ MiB. Its variables are lost",
        await error(executor, context, code),
    )
    assert (await executor.execute_code("open('kept.txt').read()", "python", context)).output == "x"


@pytest.mark.parametrize("code", ["import os; os._exit(1)", "import ctypes; ctypes.string_at(0)"])
async def test_a_kernel_that_dies_is_named_so_and_the_next_call_gets_a_new_one(
    executor: ToolExecutor, context: CallContext, code: str
):
    assert re.match("KernelDied: .*Its variables are lost", await error(executor, context, code))
    assert (await executor.execute_code("1 + 1", "python", context)).output == "2"


@pytest.mark.usefixtures("registries")
async def test_a_failed_install_has_the_installer_s_last_lines_and_the_code_is_not_run(
    executor: ToolExecutor, context: CallContext
):
    name = "no-such-package-of-anybody-4711"
    result = await executor.execute_code("open('ran', 'w')", "python", context, install_packages=[name])
    assert result.error is not None and result.error.startswith("InstallFailed: ") and name in result.error
    assert not (await executor.run_command("test -e ran", context)).success
    installed = await executor.install_packages([name], "python", context)
    assert installed.error is not None and installed.error.startswith("InstallFailed: ")
    npm = await executor.install_packages([name], "javascript", context)
    assert npm.error is not None and npm.error.startswith("InstallFailed: ") and name in npm.error


async def test_an_install_without_a_network_fails_at_once_and_says_why(
    new_sandboxes: Leases, new_context: Contexts, server: RunningServer
):
    executor = ToolExecutor(new_sandboxes(registry_hosts=("registry.invalid",)))
    result = await executor.install_packages(["cowsay"], "python", new_context())
    assert result.error is not None and result.error.startswith("InstallFailed: ")
    assert result.execution_time < 20


async def test_a_language_that_the_sandbox_lacks_is_named_with_what_to_install(
    executor: ToolExecutor, context: CallContext
):
    missing = {"julia", "csharp"} - await executor.languages(context)
    if not missing:
        pytest.skip("this machine has every language")
    message = await error(executor, context, "1", missing.pop())
    assert re.match("MissingLanguage: this sandbox has no .* to have it: .*install", message)


async def test_a_program_that_does_not_compile_is_named_so(executor: ToolExecutor, context: CallContext):
    if "c" not in await executor.languages(context):
        pytest.skip("this machine has no C compiler; make setup-languages installs one")
    result = await executor.execute_code("int main( {", "c", context)
    assert result.error is not None and result.error.startswith("CompileError: ") and "error:" in result.stderr


async def test_a_command_that_is_killed_for_memory_is_named_so(executor: ToolExecutor, context: CallContext):
    result = await executor.run_command("bash -c 'kill -9 $$'", context)
    assert result.error is not None and result.error.startswith("OutOfMemory: exit code 137")


# --- the call was wrong


async def test_wrong_calls_name_their_rule_and_change_nothing(executor: ToolExecutor, new_context: Contexts):
    context = new_context(denied_packages=("torch",))
    wrong = {
        "language.unknown": lambda: executor.execute_code("1", "klingon", context),
        "package.name": lambda: executor.install_packages(["x; rm -rf /"], "python", context),
        "package.denied": lambda: executor.install_packages(["torch"], "python", context),
        "path.outside": lambda: executor.read_file("/etc/passwd", context),
        "timeout.value": lambda: executor.execute_code("1", "python", context, timeout_s=0),
        "package.none": lambda: executor.install_packages([], "python", context),
    }
    for rule, call in wrong.items():
        with pytest.raises((InvalidCall, PolicyRefusal)) as refusal:
            await call()
        assert refusal.value.rule == rule
    assert await executor.sandboxes.owned(context.owner) == []


# --- there is no sandbox


async def test_a_wrong_key_is_said_once_and_nothing_falls_back_to_this_machine(
    new_sandboxes: Leases,
    context: CallContext,
    server: RunningServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    executor = ToolExecutor(new_sandboxes(api_key="e2b_wrong"))
    for _ in range(2):
        with pytest.raises(ApiKeyRejected, match="does not accept the API key. Check E2B_API_KEY .* or unset it"):
            await executor.execute_code("1", "python", context)
    assert os.listdir(tmp_path) == []
    assert "e2b_wrong" not in caplog.text and len(caplog.records) <= 1


async def test_a_service_that_does_not_answer_is_named_so(new_sandboxes: Leases, context: CallContext):
    nowhere = "http://127.0.0.1:9"
    executor = ToolExecutor(new_sandboxes(api_key="e2b_x", api_url=nowhere, sandbox_url=nowhere))
    with pytest.raises(ServiceUnreachable, match="does not answer: .* Check the network"):
        await executor.execute_code("1", "python", context)


async def test_a_name_that_is_not_found_is_a_service_that_does_not_answer(new_sandboxes: Leases, context: CallContext):
    executor = ToolExecutor(new_sandboxes(api_key="e2b_x", api_url="", sandbox_url="", domain="no-internet.invalid"))
    with pytest.raises(ServiceUnreachable, match="Check the network"):
        await executor.execute_code("1", "python", context)


@pytest_asyncio.fixture
async def full(server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The address of a server that has room for one sandbox."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    serving = sandbox_server.Server(sandbox_server.Settings(api_key="k", max_sandboxes=1), progress=lambda _: None)
    yield await serving.start()
    await serving.close()


async def test_no_room_for_one_more_sandbox_is_named_so(new_sandboxes: Leases, new_context: Contexts, full: str):
    executor = ToolExecutor(new_sandboxes(api_key="k", api_url=full, sandbox_url=full))
    assert (await executor.execute_code("1", "python", new_context("one"))).success
    with pytest.raises(SandboxLimitReached, match="no room for one more sandbox: 429.*End some, or try again later"):
        await executor.execute_code("1", "python", new_context("two"))
    await executor.close()
    assert (await executor.execute_code("1", "python", new_context("two"))).success
    await executor.close()


async def test_an_embedded_server_that_cannot_start_says_why(
    server: RunningServer, context: CallContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "sandloop").write_text("not a folder")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    executor = ToolExecutor(Sandboxes(SandboxSettings()))
    with pytest.raises(EmbeddedServerFailed, match="no E2B_API_KEY, and the embedded sandbox server does not start"):
        await executor.execute_code("1", "python", context)


async def test_a_machine_without_isolation_is_told_what_to_install(
    server: RunningServer, context: CallContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    executor = ToolExecutor(Sandboxes(SandboxSettings()))
    with pytest.raises(EmbeddedServerFailed, match="bubblewrap"):
        await executor.execute_code("1", "python", context)


async def test_a_self_hosted_service_without_a_list_of_registries_asks_the_sandbox(
    new_sandboxes: Leases, new_context: Contexts, monkeypatch: pytest.MonkeyPatch
):
    from agent_tools.service import Service

    async def unknown(service: Service) -> tuple[str, ...] | None:
        return service._registry_hosts

    known = new_sandboxes()
    executor = ToolExecutor(known)
    await executor.execute_code("1", "python", new_context("known"))
    expected = await known._service.registry_hosts()
    monkeypatch.setattr(Service, "registry_hosts", unknown)
    asking = new_sandboxes()
    assert (await ToolExecutor(asking).execute_code("1", "python", new_context("asked"))).success
    assert set(await asking._service.registry_hosts() or ()) <= set(expected or ())


# --- the table


def test_every_failure_is_in_the_table():
    text = DOCS.read_text()
    ours = [value for name, value in vars(errors).items() if name.isupper() and isinstance(value, str)]
    kinds = [
        kind.__name__
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.AgentToolsError) and kind is not errors.AgentToolsError
    ]
    assert [name for name in (*ours, *kinds) if f"`{name}`" not in text] == []


def test_errors_are_told_apart_by_who_has_to_act():
    assert not issubclass(SandboxUnavailable, errors.CallRefused)
    assert issubclass(ApiKeyRejected, SandboxUnavailable)
    assert asyncio.TimeoutError not in SandboxUnavailable.__mro__
