"""A PostgreSQL of the test's own, from the machine's programs."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def _programs() -> Path:
    for folder in (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin")):
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")


def _user() -> str | None:
    """Whom to run it as: it refuses to be root."""
    if os.getuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextlib.contextmanager
def running_postgres() -> Iterator[str]:
    """Start one, reachable by a socket in a folder only; yield its URL."""
    programs, user = _programs(), _user()
    # Not in pytest's folders, which other users cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="sandloop-pg-"))
    if user is not None:
        shutil.chown(folder, user)

    def run(*command: str) -> None:
        program = [str(programs / command[0]), "-D", str(folder / "data"), *command[1:]]
        subprocess.run(program, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, timeout=100)

    try:
        run("initdb", "-U", "sandloop", "-A", "trust", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "-w", "-o", options, "-l", str(folder / "log"), "start")
        try:
            yield f"postgresql://sandloop@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
