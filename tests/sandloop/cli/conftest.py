"""The command line as people have it: a process, against a sandbox server and a model server of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.graphs.openai_server import OpenAIServer
from tests.sandbox_server.conftest import API_KEY, RunningServer, start_server, stop_server

from .terminal import SECONDS, Terminal

ROOT = Path(__file__).parents[3]
_OURS = ("E2B_", "OPENAI_", "ANTHROPIC_", "SANDLOOP_", "XDG_", "TMUX", "KITTY", "TERM")


@dataclass
class Cli:
    """Runs commands in a folder of the test's own."""

    folder: Path
    environ: dict[str, str]
    command: list[str] = field(default_factory=lambda: [sys.executable, "-m", "sandloop"])

    def __call__(self, *arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        """Run to the end, without a terminal."""
        return subprocess.run(
            [*self.command, *arguments],
            env={**self.environ, **more},
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """Start it, with pipes."""
        return subprocess.Popen(
            [*self.command, *arguments],
            env={**self.environ, **more},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def at_terminal(self, *arguments: str, **more: str) -> Terminal:
        """Start it on a terminal."""
        return Terminal([*self.command, *arguments], {**self.environ, **more}, self.folder)

    def configure(self, text: str) -> None:
        (self.folder / "sandloop.toml").write_text(text)

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name


def clean_environment(folder: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    ours = {f"XDG_{kind}_HOME": str(folder / f".{kind.lower()}") for kind in ("DATA", "CONFIG")}
    return {**inherited, **ours, "XDG_RUNTIME_DIR": str(folder / ".runtime"), "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = start_server(tmp_path_factory.mktemp("run"))
    yield running
    stop_server(running)


@pytest.fixture
def cli(tmp_path: Path, server: RunningServer) -> Cli:
    """With sandboxes, and no model but the scripted one."""
    address = {"E2B_API_KEY": API_KEY, "E2B_API_URL": server.url, "E2B_SANDBOX_URL": server.url}
    (tmp_path / "here").mkdir()
    return Cli(tmp_path / "here", {**clean_environment(tmp_path), **address})


@pytest.fixture
def openai() -> Iterator[OpenAIServer]:
    with OpenAIServer() as model:
        yield model


@pytest.fixture
def agent(cli: Cli, openai: OpenAIServer) -> Cli:
    """With a model, whose replies the test decides."""
    cli.environ |= {"OPENAI_API_KEY": "sk-test-key-000000", "OPENAI_BASE_URL": openai.url, "SANDLOOP_MODEL": "gpt-4o"}
    return cli


@pytest.fixture
def sandboxes(server: RunningServer) -> Iterator[set[str]]:
    """The sandboxes that were there before the test."""
    yield running_sandboxes(server)


def running_sandboxes(server: RunningServer) -> set[str]:
    with server.client() as client:
        return {entry["sandboxID"] for entry in client.get("/v2/sandboxes").json()}
