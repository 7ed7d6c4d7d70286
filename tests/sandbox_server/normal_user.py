"""A server that runs as a normal user: an installation that such a user can read, and a way to start it.

Everything is made of the system's own python3 in a folder under /var/tmp that is named after the lock files, so that
only the first run after a change of them takes minutes. The project itself is installed anew for each session.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .conftest import API_KEY, RunningServer

REPOSITORY = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "sandbox_server/templates/code-interpreter-v1.lock", "sandbox_server/templates/build.py")
PYTHON = "/usr/bin/python3"
UID = 64_999
"""Nobody's: not in /etc/passwd, outside the ranges of systemd and of sandboxes."""


class Installation:
    """The project as another user has it."""

    def __init__(self, folder: Path, site: Path) -> None:
        self.folder = folder
        self.site = site

    @property
    def environ(self) -> dict[str, str]:
        """The user's environment; package indexes are those of whoever runs the tests."""
        passed = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}
        return {
            **_index(),
            **passed,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "UV_CACHE_DIR": str(self.folder / "cache" / "uv"),
            "PYTHONPATH": str(self.site),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def command(self, *arguments: str) -> list[str]:
        """Return the command line that runs Python as that user."""
        drop = ["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups", "--inh-caps=-all"]
        return [*drop, str(self.folder / "venv/bin/python"), *arguments]

    @contextmanager
    def server(self, runtime: Path, *arguments: str) -> Iterator[RunningServer]:
        """Run a server as that user."""
        os.chown(runtime, UID, UID)
        environ = {**self.environ, "XDG_RUNTIME_DIR": str(runtime)}
        command = self.command("-m", "sandbox_server", "serve", "--port", "0", "--api-key", API_KEY, *arguments)
        with (runtime / "log").open("w") as log:
            process = subprocess.Popen(command, env=environ, cwd="/", stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on "), (runtime / "log").read_text()
        yield RunningServer(line.split()[-1], process)
        process.terminate()
        assert process.wait(60) == 0
        process.stdout.close()


def install(site: Path) -> Installation:
    """Return an installation, made now as far as it is not there."""
    digest = hashlib.sha256(b"".join((REPOSITORY / name).read_bytes() for name in LOCKS)).hexdigest()[:16]
    folder = Path("/var/tmp", f"sandloop-normal-user-{digest}")
    folder.mkdir(mode=0o755, exist_ok=True)
    made = Installation(folder, site)
    _install_project(site)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            _make(made)
            (folder / "ready").touch()
    return made


def _make(made: Installation) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    environ = {**os.environ, **_index(), "UV_CACHE_DIR": str(made.folder / "uv-cache")}
    run: Callable[..., object] = subprocess.run
    venv = str(made.folder / "venv")
    shutil.rmtree(venv, ignore_errors=True)
    run([uv, "venv", "-q", "--python", PYTHON, venv], env=environ, check=True)
    install = [uv, "pip", "install", "-q", "--python", f"{venv}/bin/python", "--require-hashes"]
    run([*install, "-r", str(REPOSITORY / "requirements.lock")], env=environ, check=True)
    shutil.rmtree(made.folder / "uv-cache", ignore_errors=True)
    for name in ("home", "cache"):
        (made.folder / name).mkdir(exist_ok=True)
        os.chown(made.folder / name, UID, UID)
    run(made.command("-m", "sandbox_server.templates"), env=made.environ, cwd="/", check=True)


def _install_project(site: Path) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    source = site.parent / "source"
    source.mkdir()
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    shutil.copytree(
        REPOSITORY / "sandbox_server", source / "sandbox_server", ignore=shutil.ignore_patterns("__pycache__")
    )
    command = [
        uv,
        "pip",
        "install",
        "-q",
        "--python",
        sys.executable,
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    subprocess.run([*command, "--target", str(site), str(source)], check=True)


def _index() -> dict[str, str]:
    """Return the index that pip is configured for, as variables: the other user cannot read that configuration."""
    command = [PYTHON, "-m", "pip", "config", "get", "global.index-url"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    if not found:
        command[0] = sys.executable
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    return {
        **({"PIP_INDEX_URL": found, "UV_DEFAULT_INDEX": found} if found else {}),
        **({"UV_SYSTEM_CERTS": "true"} if certificates.exists() else {}),
    }
