"""Install Python packages; runs in a sandbox. The requirements are a JSON list in SANDLOOP_REQUIREMENTS.

uv where it is: 1 s where pip takes 9. uv does not see the packages that a virtual environment takes from another folder
through a .pth file, and would install numpy again, so it is told to leave those out unless a requirement names them.

Progress goes to stderr. The last line on stdout is JSON: {"installed": ["name==version", ...]} of what was asked for.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
LOCK = "/tmp/.sandloop-install.lock"


def canonical(name: str) -> str:
    """Return the normalised form of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirement: str) -> str:
    """Return the canonical name in a requirement."""
    match = NAME.match(requirement)
    return canonical(match.group()) if match else requirement


def satisfied(requirement: str) -> bool:
    """True when what is importable now fulfils the requirement; False also where that cannot be told."""
    try:
        from packaging.requirements import Requirement

        parsed = Requirement(requirement)
        if parsed.extras:
            return False
        return parsed.specifier.contains(importlib.metadata.version(parsed.name), prereleases=True)
    except (ImportError, importlib.metadata.PackageNotFoundError, ValueError):
        return False


def inherited() -> set[str]:
    """Return the canonical names of all packages from outside this environment's own folder."""
    own = os.path.realpath(sysconfig.get_path("purelib"))
    folders = [folder for folder in sys.path if os.path.isdir(folder) and os.path.realpath(folder) != own]
    return {canonical(found.name) for found in importlib.metadata.distributions(path=folders) if found.name}


def command(requirements: list[str], excludes: str) -> list[str]:
    """Return the installer's argv."""
    if (uv := shutil.which("uv")) and sys.prefix != sys.base_prefix:
        names = sorted(inherited() - {named(requirement) for requirement in requirements})
        with open(excludes, "w", encoding="utf-8") as file:
            file.write("\n".join(names))
        return [uv, "pip", "install", "--python", sys.executable, "--excludes", excludes, "--", *requirements]
    return [sys.executable, "-m", "pip", "install", "--no-input", "--progress-bar=off", "--", *requirements]


def main() -> int:
    """Install, and print what is there afterwards; returns the installer's exit code."""
    requirements: list[str] = json.loads(os.environ["SANDLOOP_REQUIREMENTS"])
    # Two installers at once would write the same files, and of two processes that find the default packages missing
    # the second one has nothing left to do.
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    if missing := [requirement for requirement in requirements if not satisfied(requirement)]:
        with tempfile.TemporaryDirectory() as folder:
            code = subprocess.run(
                command(missing, os.path.join(folder, "excludes.txt")), stdin=subprocess.DEVNULL, stdout=sys.stderr
            ).returncode
        if code:
            return code
    importlib.invalidate_caches()
    installed = [f"{name}=={importlib.metadata.version(name)}" for name in map(named, requirements)]
    print(json.dumps({"installed": installed}))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
