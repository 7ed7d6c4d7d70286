"""Toolchains of the server's user for sandboxes to see: those that the user's own shell would run.

Under /usr everything is visible anyway. Elsewhere only the folder of one toolchain is, known by a file that each has:
never a home folder, and nothing of the folders around it (`~/.cargo` has credentials, rustup's proxies want to write).
"""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import SandboxServerError
from .outer import Toolchain

SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/bin", "/bin")
_SYSTEM = ("/usr", "/bin", "/sbin")
_COVERED = ("/dev", "/home/user", "/opt/sandloop", "/proc", "/run", "/sys", "/tmp")
"""Where a sandbox has something else."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A toolchain that is found by its variable, else by its program on PATH."""

    variable: str | None
    program: str
    """Relative to the toolchain's folder."""
    marker: str
    """What only the folder of such a toolchain has."""


_KINDS = (
    _Kind("JAVA_HOME", "bin/java", "release"),
    _Kind("GOROOT", "bin/go", "VERSION"),
    _Kind("DOTNET_ROOT", "dotnet", "host/fxr"),
    _Kind(None, "bin/julia", "share/julia"),
)
_GO_CACHE_VARIABLE = "SANDLOOP_GO_CACHE"
_GO_CACHE_MARKERS = ("README", "trim.txt", "00", "ff")
"""What Go puts into each of its build caches."""


def find(environ: Mapping[str, str], explicit: Iterable[Path] = ()) -> tuple[Toolchain, ...]:
    """Return the toolchains that sandboxes see, each folder once; those of the setting first.

    Args:
        environ: the server's environment: HOME, PATH and the variables of the toolchains count.
        explicit: folders of the setting, each with a bin/.

    Raises:
        SandboxServerError: a folder of the setting cannot be shown in a sandbox; what is only found is left out then.
    """
    home = Path(environ.get("HOME") or Path.home())
    found = [_explicit(folder, home) for folder in explicit]
    for toolchain in (*_rust(environ, home), *_pyenv(environ, home), *_by_kind(environ), *_go_cache(environ, home)):
        if not _objection(toolchain.folder, home):
            found.append(toolchain)
    return tuple({toolchain.folder: toolchain for toolchain in reversed(found)}.values())[::-1]


def search_path(toolchains: Iterable[Toolchain]) -> str:
    """Return the PATH of the host's programs in a sandbox: toolchains go first, as they do in their user's shell."""
    folders = (str(toolchain.bin) for toolchain in toolchains if toolchain.bin)
    return ":".join(dict.fromkeys((*folders, *SYSTEM_FOLDERS)))


def environment(toolchains: Iterable[Toolchain]) -> dict[str, str]:
    """Return the variables that the toolchains' programs need."""
    merged: dict[str, str] = {}
    for toolchain in toolchains:
        merged = {**toolchain.env, **merged}
    return merged


def _explicit(folder: Path, home: Path) -> Toolchain:
    folder = folder.expanduser().resolve()
    if not (folder / "bin").is_dir():
        raise SandboxServerError(f"toolchain '{folder}': it has no bin/; name the folder that has one")
    if objection := _objection(folder, home):
        raise SandboxServerError(f"toolchain '{folder}': {objection}")
    return Toolchain(folder, folder / "bin")


def _objection(folder: Path, home: Path) -> str | None:
    """Say why a folder is not shown in a sandbox."""
    if len(folder.parts) < 3:
        return "this is a folder of the whole system; name the toolchain's own"
    if home.resolve().is_relative_to(folder):
        return "it holds a home folder; name the toolchain's own"
    if any(folder.is_relative_to(covered) for covered in _COVERED):
        return "a sandbox has something else at this path; move it, to /opt for example"
    return None


def _rust(environ: Mapping[str, str], home: Path) -> Iterator[Toolchain]:
    """Rustup's active toolchain itself: its programs need neither rustup nor a variable."""
    root = Path(environ.get("RUSTUP_HOME") or home / ".rustup")
    name = environ.get("RUSTUP_TOOLCHAIN") or _default_toolchain(root / "settings.toml")
    if not name:
        return
    # A short name ("stable") stands for a folder with the host's triple behind it; a linked toolchain is a symlink.
    for candidate in (root / "toolchains" / name, *sorted((root / "toolchains").glob(f"{name}-*-*"))):
        if (candidate / "lib" / "rustlib").is_dir():
            folder = candidate.resolve()
            yield Toolchain(folder, folder / "bin")
            return


def _default_toolchain(settings: Path) -> str | None:
    try:
        name = tomllib.loads(settings.read_text(encoding="utf-8")).get("default_toolchain")
    except (OSError, ValueError):
        return None
    return name if isinstance(name, str) else None


def _pyenv(environ: Mapping[str, str], home: Path) -> Iterator[Toolchain]:
    """The Python versions that are chosen, as `python3.12` and the like; `python` stays the sandbox's own."""
    root = Path(environ.get("PYENV_ROOT") or home / ".pyenv")
    chosen = environ.get("PYENV_VERSION", "").split(":")
    if chosen == [""]:
        try:
            chosen = (root / "version").read_text(encoding="utf-8").split()
        except (OSError, ValueError):
            return
    for version in chosen:
        # One word, so no path: "../x" is not a version.
        folder = (root / "versions" / Path(version).name).resolve()
        if version and (folder / "bin" / "python").exists() and (folder / "lib").is_dir():
            yield Toolchain(folder, folder / "bin")


def _by_kind(environ: Mapping[str, str]) -> Iterator[Toolchain]:
    for kind in _KINDS:
        depth = kind.program.count("/")
        value = environ.get(kind.variable) if kind.variable else None
        folder = Path(value).resolve() if value else _on_path(Path(kind.program).name, depth, environ)
        if folder and (folder / kind.program).is_file() and (folder / kind.marker).exists():
            env = {kind.variable: str(folder)} if kind.variable else {}
            yield Toolchain(folder, (folder / kind.program).parent, env)


def _go_cache(environ: Mapping[str, str], home: Path) -> Iterator[Toolchain]:
    """Go's standard library, compiled by `make setup-languages`; not the user's own cache, which has their programs."""
    folder = Path(environ.get("XDG_CACHE_HOME") or home / ".cache", "sandloop", "go-build")
    # Resolved, a link would show what it leads to; the cache was made as a folder.
    if not folder.is_symlink() and all((folder / name).exists() for name in _GO_CACHE_MARKERS):
        folder = folder.resolve()
        yield Toolchain(folder, None, {_GO_CACHE_VARIABLE: str(folder)})


def _on_path(program: str, depth: int, environ: Mapping[str, str]) -> Path | None:
    """Return the folder a program on PATH is installed in; None when sandboxes find it without help."""
    found = shutil.which(program, path=environ.get("PATH", os.defpath))
    if found is None:
        return None
    resolved = Path(found).resolve()
    # A link in /usr/local/bin to a toolchain under /opt is on their PATH too, and would lead nowhere.
    if str(Path(found).parent) in SYSTEM_FOLDERS and any(map(resolved.is_relative_to, _SYSTEM)):
        return None
    return resolved.parents[depth]
