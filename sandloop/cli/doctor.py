"""`sandloop doctor`: what works here, and what to do about the rest."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from .exits import ExitCode
from .running import run

if TYPE_CHECKING:
    from agent_tools.settings import SandboxSettings
    from sandbox_server.checks import Finding

    from ..settings import Settings

_ANSWER_S = 10


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check sandboxes, languages, model providers, keys and the database, and say what to change."""
    run(_doctor(as_json))


async def _doctor(as_json: bool) -> int:
    from sandbox_server.checks import Finding, Level

    from . import services
    from .terminal import say

    findings: dict[str, list[Finding]] = {}
    settings: Settings | None = None
    try:
        settings = services.settings()
    except Exception as error:
        findings["settings"] = [_failed("settings", error, "correct it; docs/configuration.md lists all settings")]
    else:
        findings["settings"] = [Finding("settings", Level.OK, "can be read; docs/configuration.md lists them all")]
        sandboxes = settings.sandbox_settings
        if sandboxes.embedded:
            from sandbox_server import doctor as embedded

            findings["sandboxes"] = list(await asyncio.to_thread(embedded.examine, os.environ, say))
        else:
            findings["sandboxes"] = [await _e2b(sandboxes)]
        findings["models"] = list(await asyncio.to_thread(lambda: list(_models(settings))))
        findings["threads"] = [await _database(settings)]
    every = [finding for group in findings.values() for finding in group]
    usable = not any(finding.level is Level.FAIL for finding in every)
    if as_json:
        _print_json(findings, usable)
    else:
        _show(findings, usable)
    return ExitCode.SUCCESS if usable else ExitCode.FAILED


def _failed(name: str, error: Exception, advice: str) -> Finding:
    from sandbox_server.checks import Finding, Level

    return Finding(name, Level.FAIL, str(error) or type(error).__name__, advice)


async def _e2b(sandboxes: SandboxSettings) -> Finding:
    """Ask E2B for a list, which proves address and key."""
    from agent_tools.errors import SandboxUnavailable
    from agent_tools.sandboxes import Sandboxes
    from sandbox_server.checks import Finding, Level

    where = sandboxes.api_url or sandboxes.domain or "E2B's cloud"
    try:
        async with asyncio.timeout(_ANSWER_S):
            owned = await Sandboxes(sandboxes).owned("local")
    except SandboxUnavailable as error:
        return _failed("E2B", error, "")
    except TimeoutError:
        return Finding("E2B", Level.FAIL, f"{where} does not answer", "check the network and the address")
    return Finding("E2B", Level.OK, f"{where} takes the key; {len(owned)} sandboxes of yours")


def _models(settings: Settings) -> Iterator[Finding]:
    from graphs.errors import GraphsError
    from graphs.providers import PROVIDERS
    from sandbox_server.checks import Finding, Level

    from ..settings import environment

    variables = environment()
    try:
        agent = settings.agent_settings()
    except GraphsError as error:
        yield _failed("model", error, "")
        return
    chosen = f"{agent.provider_id}/{agent.model_id or '(name one by --model)'}"
    if agent.provider_id == "scripted":
        yield Finding(
            "model",
            Level.WARN,
            "scripted: prepared replies, for the first run and for tests",
            "set OPENAI_API_KEY, or OPENAI_BASE_URL for a local server such as http://localhost:11434/v1 (Ollama)",
        )
    else:
        yield Finding("model", Level.OK, chosen)
    for provider in PROVIDERS.values():
        if provider.id == "scripted":
            continue
        if not provider.is_installed:
            if variables.get(provider.key_env):
                yield Finding(
                    provider.title,
                    Level.WARN,
                    f"{provider.key_env} is set, its package is missing",
                    f"pip install {provider.install}",
                )
        elif provider.key_env:
            yield from _keyed(provider.title, provider.key_env, provider.base_url_env, variables)
        elif provider.base_url and _listens(provider.base_url):
            yield Finding(provider.title, Level.OK, f"answers at {provider.base_url}")


def _keyed(title: str, key_env: str, base_url_env: str, variables: Mapping[str, str]) -> Iterator[Finding]:
    from sandbox_server.checks import Finding, Level

    if base_url := variables.get(base_url_env):
        place = f"{urlsplit(base_url).hostname}:{urlsplit(base_url).port or 443}"
        if _listens(base_url):
            yield Finding(title, Level.OK, f"{base_url_env}: {place} answers")
        else:
            yield Finding(title, Level.FAIL, f"{base_url_env}: nothing answers at {place}", "start it, or correct it")
    elif variables.get(key_env):
        yield Finding(title, Level.OK, f"{key_env} is set")


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname or "", port), timeout=2):
            return True
    except (OSError, ValueError):
        return False


async def _database(settings: Settings) -> Finding:
    from graphs.errors import GraphsError
    from graphs.service import AgentService
    from sandbox_server.checks import Finding, Level

    try:
        agent = settings.agent_settings()
        async with AgentService(agent) as service:
            count = len(await service.threads())
    except GraphsError as error:
        return _failed("database", error, "SANDLOOP_DATABASE names another file, or a PostgreSQL server")
    where = "PostgreSQL" if agent.is_postgres else agent.database
    return Finding("database", Level.OK, f"{where}, {count} thread{'' if count == 1 else 's'}")


def _print_json(findings: dict[str, list[Finding]], usable: bool) -> None:
    from dataclasses import asdict

    groups = {name: [asdict(finding) for finding in group] for name, group in findings.items()}
    print(json.dumps({"usable": usable, **groups}, indent=2, ensure_ascii=False))  # noqa: T201


def _show(findings: dict[str, list[Finding]], usable: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    width = max(len(finding.name) for group in findings.values() for finding in group)
    for name, group in findings.items():
        console.print(Text(name, style="bold"))
        for finding in group:
            _show_finding(console.print, finding, width)
    verdict = "Everything that is needed works." if usable else "Not everything works: see the lines with 'fail'."
    console.print(Text(verdict, style="bold green" if usable else "bold red"))


def _show_finding(show: Callable[..., None], finding: Finding, width: int) -> None:
    from rich.text import Text

    from .terminal import visible

    styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    show(Text.assemble("  ", (f"{finding.level:<5}", styles[finding.level]), f"{finding.name:<{width}}  ",
                       visible(finding.detail)))  # fmt: skip
    if finding.advice:
        lines = visible(finding.advice).splitlines()
        show(Text("\n".join((f"        → {lines[0]}", *(f"          {line}" for line in lines[1:]))), style="dim"))
