"""Paths of this machine, between which and the sandbox files may be copied."""

from __future__ import annotations

import stat
from pathlib import Path

from ..errors import InvalidCall, PolicyRefusal
from ..policy import SandboxPolicy


def check_host_path(policy: SandboxPolicy, path: str) -> Path:
    """The real path, without links, of a file that may be read or written, in one of the policy's host directories.

    It looks at the disk, so async code calls it in a thread. Between this check and the use of the path, somebody who
    can write in the directory could put a link there: a sandbox cannot.

    Args:
        policy: the rules.
        path: absolute, or relative to the first host directory. The file need not be there, its folder must.

    Raises:
        InvalidCall: the path is malformed (`host_path.text`), its folder is missing (`host_path.missing`), or it is
            neither file nor folder (`host_path.kind`).
        PolicyRefusal: the policy names no host directory (`host_path.disabled`), or the path leads out of them
            (`host_path.outside`).
    """
    if not policy.host_directories:
        raise PolicyRefusal(
            f"The policy {policy.name!r} allows no files of this machine. Its hostDirectories name those it allows.",
            rule="host_path.disabled",
        )
    if not path or not path.isprintable():
        raise InvalidCall(f"{ascii(path[:80])} is not the path of a file.", rule="host_path.text")
    wanted = Path(policy.host_directories[0], path)
    try:
        real = wanted.resolve()
        roots = [Path(directory).resolve() for directory in policy.host_directories]
        if not any(real.is_relative_to(root) for root in roots):
            raise PolicyRefusal(
                f"{path[:200]!r} is not in a directory that the policy {policy.name!r} allows. "
                f"Allowed: {', '.join(policy.host_directories)}.",
                rule="host_path.outside",
            )
        if not real.parent.is_dir():
            raise InvalidCall(f"The folder of {path[:200]!r} is not there. Make it first.", rule="host_path.missing")
        if real.exists() and not (stat.S_ISREG(mode := real.stat().st_mode) or stat.S_ISDIR(mode)):
            raise InvalidCall(f"{path[:200]!r} is neither a file nor a folder.", rule="host_path.kind")
    except (OSError, RuntimeError) as error:  # a name too long, a loop of links, a folder that may not be read
        why = (error.strerror if isinstance(error, OSError) else None) or "its links lead in a circle"
        raise InvalidCall(f"{path[:200]!r} cannot be used: {why}.", rule="host_path.text") from error
    return real
