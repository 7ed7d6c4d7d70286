"""Files that come out of a sandbox and are kept on this machine, none of which replaces one that is there."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .exits import ExitCode, Problem
from .terminal import visible_line

if TYPE_CHECKING:
    from agent_tools.context import CallContext
    from agent_tools.executor import ToolExecutor
    from agent_tools.results import Artifact

_IMAGES = {"png": "png", "jpeg": "jpg", "svg": "svg", "pdf": "pdf"}
"""Kinds that are saved, the preferred first, and their endings."""
_TEXT = frozenset({"svg"})
_NUMBERS = 10_000


def images(artifacts: tuple[Artifact, ...]) -> list[Artifact]:
    """Return the image of each result that has one: a result comes in several kinds."""
    best: dict[str, Artifact] = {}
    order = list(_IMAGES)
    for artifact in artifacts:
        if artifact.kind in _IMAGES:
            number = artifact.name.rpartition("-")[2]
            there = best.get(number)
            if there is None or order.index(artifact.kind) < order.index(there.kind):
                best[number] = artifact
    return list(best.values())


async def image_bytes(executor: ToolExecutor, context: CallContext, artifact: Artifact) -> bytes:
    """Return an image's bytes, from the sandbox when it is too large for a result.

    Raises:
        CallRefused: its file is no longer there.
    """
    if artifact.data is None:
        return await executor.read_bytes(artifact.path or "", context)
    return artifact.data.encode() if artifact.kind in _TEXT else base64.b64decode(artifact.data)


def save_image(data: bytes, artifact: Artifact, folder: Path, stem: str) -> Path:
    """Save an image as `STEM-1.png` or with the next number that is free."""
    return save_new(data, (folder / f"{stem}-{number}.{_IMAGES[artifact.kind]}" for number in range(1, _NUMBERS)))


def save_file(data: bytes, folder: Path, name: str) -> Path:
    """Save a file under a relative name that a sandbox has chosen.

    Raises:
        Problem: the name leads elsewhere.
    """
    parts = [visible_line(part).replace("\\", "_") for part in name.split("/")]
    if any(part in ("", ".", "..") for part in parts):
        raise Problem(f"{name!r} is no name of a file to save", ExitCode.FAILED)
    target = folder.joinpath(*parts)
    _check_parents(folder, target)
    numbered = (target.with_name(f"{target.stem}-{number}{target.suffix}") for number in range(2, _NUMBERS))
    return save_new(data, itertools.chain((target,), numbered))


def save_new(data: bytes, targets: Iterator[Path]) -> Path:
    """Write into the first of the paths where nothing is yet.

    Raises:
        Problem: it cannot be written.
    """
    for target in targets:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as file:
                file.write(data)
        except FileExistsError:
            continue
        except OSError as error:
            raise Problem(f"{target} cannot be written: {error.strerror}", ExitCode.FAILED) from error
        return target
    raise Problem("there are too many files of this name here: choose another folder", ExitCode.FAILED)


def _check_parents(folder: Path, target: Path) -> None:
    # A folder of an earlier run may hold a link, which a name from a sandbox must not follow.
    for parent in target.parents:
        if parent == folder:
            return
        if parent.is_symlink():
            raise Problem(f"{parent} is a link: nothing is saved through it", ExitCode.FAILED)
