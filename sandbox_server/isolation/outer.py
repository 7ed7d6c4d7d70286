"""The outer wall: the bubblewrap command line in which a template process runs.

What is visible inside is a list of binds, all read-only. Nothing of the server's environment goes in, no path of the
host shows in a command line (the arguments travel over a descriptor), and no capability stays that forking sandboxes
does not need.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..guest.config import HOME, LIBRARY, MIB, PROGRAMS, ROOT, TEMPLATE

GUEST_PACKAGES = (
    "anyio",
    "click",
    "connectrpc",
    "e2b.envd",
    "h11",
    "httptools",
    "idna",
    "protobuf",
    "protobuf_ext",
    "pyqwest",
    "python_multipart",
    "sandbox_server.guest",
    "starlette",
    "typing_extensions",
    "uvicorn",
    "uvloop",
)
"""What the guest imports. Of `e2b` and `sandbox_server` only these parts: the parents are namespace packages then."""

_GUEST_METADATA = ("connectrpc", "pyqwest")
"""Distributions whose modules ask for their own version when they are imported."""

_ETC = ("ld.so.cache", "alternatives", "ssl/certs", "ssl/openssl.cnf", "fonts", "localtime", "mime.types", "magic")
_ETC_GLOBS = ("java-*", "mono", "R", "php", "ImageMagick-*")
"""Configuration that toolchains under /usr look for."""


_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/tmp",
    # A fork keeps one thread only, so none may be started while the template warms up.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    # For how long (2**n ticks) its threads, once there are some, look for work before they sleep: 0.4 ms and not 27 ms.
    "OPENBLAS_THREAD_TIMEOUT": "20",
}


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A folder outside /usr that sandboxes may see, with the variables its programs need."""

    folder: Path
    bin: Path | None
    """What comes onto PATH."""
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class View:
    """What a template's sandboxes see of the host."""

    template: Path
    etc: Path
    """A generated folder: passwd, group, hosts and the like."""
    toolchains: tuple[Toolchain, ...] = ()
    extra: tuple[Path, ...] = ()
    """More read-only folders, at their own paths (package mirrors on disk)."""


def arguments(view: View, *, root: bool) -> list[str]:
    """Return bubblewrap's arguments, without the program and what it runs."""
    return [
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *_privileges(root),
        *("--die-with-parent", "--new-session", "--hostname", "sandbox", "--clearenv"),
        *(argument for name, value in _ENVIRONMENT.items() for argument in ("--setenv", name, value)),
        *_system(view),
        *_interpreter(),
        *_sandloop(view),
        *(argument for path in _outside(view) for argument in _bind(path, path)),
        *("--proc", "/proc", "--dev", "/dev"),
        *(argument for folder in (HOME, "/run") for argument in ("--perms", "0755", "--dir", folder)),
        # For what libraries write while they warm up (matplotlib's font list). Sandboxes mount their own over it.
        *("--size", str(64 * MIB), "--perms", "1777", "--tmpfs", "/tmp"),
        # bubblewrap's own / and /dev are tmpfs without a size: writable, they would be memory for free.
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"),
    ]


def _privileges(root: bool) -> list[str]:
    if not root:
        # The inner wall makes user namespaces of its own: no --disable-userns out here.
        return ["--unshare-user", "--cap-drop", "ALL"]
    # As root no user namespace out here: each sandbox takes a uid of its own before it makes its namespaces. SYS_ADMIN
    # is for one mount (see guest.template) and dropped after it.
    keep = ("CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID")
    return ["--cap-drop", "ALL", *(argument for name in keep for argument in ("--cap-add", name))]


def _system(view: View) -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        link = Path("/", name)
        if link.is_symlink():
            yield from ("--symlink", os.readlink(link), str(link))
        elif link.is_dir():
            yield from ("--ro-bind", str(link), str(link))
    for path in sorted(view.etc.iterdir()):
        yield from _bind(path, Path("/etc", path.name))
    for path in _etc_paths():
        yield from _bind(path, path)


def _etc_paths() -> list[Path]:
    found = [Path("/etc", name) for name in _ETC]
    for pattern in _ETC_GLOBS:
        found += sorted(Path("/etc").glob(pattern))
    return [path for path in found if path.exists()]


def _interpreter() -> Iterator[str]:
    """Bind an interpreter that is not under /usr at its own path: its library search path and prefix are absolute."""
    prefix = Path(sys.base_prefix).resolve()
    if not prefix.is_relative_to("/usr"):
        yield from _bind(prefix, prefix)


def _sandloop(view: View) -> Iterator[str]:
    yield from ("--perms", "0755", "--dir", ROOT, "--perms", "0755", "--dir", LIBRARY)
    yield from ("--ro-bind", str(view.template), TEMPLATE)
    for name in GUEST_PACKAGES:
        source = _location(name)
        if source is not None:
            yield from _bind(source, Path(LIBRARY, *name.split(".")[:-1], source.name))
    for name in _GUEST_METADATA:
        folder = Path(str(importlib.metadata.distribution(name).locate_file("")))
        for info in folder.glob(f"{name}-*.dist-info"):
            yield from _bind(info, Path(LIBRARY, info.name))
    yield from ("--ro-bind", str(Path(__file__).parents[1] / "guest" / "bin"), PROGRAMS)


def _location(name: str) -> Path | None:
    """Return the folder of a package or the file of a module, without importing it."""
    parent, _, child = name.rpartition(".")
    if parent:
        folder = _location(parent)
        return None if folder is None else folder / child
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def _outside(view: View) -> list[Path]:
    return [*(toolchain.folder for toolchain in view.toolchains), *view.extra]


def _bind(source: Path, target: Path) -> Iterator[str]:
    # bubblewrap makes missing parents 0700, root's: a sandbox of another uid could not pass.
    for parent in reversed(target.parents):
        if parent != Path("/") and not parent.is_relative_to("/usr"):
            yield from ("--perms", "0755", "--dir", str(parent))
    yield from ("--ro-bind", str(source), str(target))
