"""Control groups: real ones where this machine has them, and the file writes of version 2, which CI's machine lacks."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox_server.guest.config import MIB, Limits
from sandbox_server.isolation import cgroups
from tests.sandbox_server.waiting import wait_until

LIMITS = Limits(memory_bytes=100 * MIB, home_bytes=10 * MIB, tmp_bytes=5 * MIB, shm_bytes=MIB, processes=7, cpus=1.5)


def _v2_tree(folder: Path, *, enabled: str, procs: str) -> Path:
    """Lay out the files that a delegated scope has; the kernel would make them."""
    base = folder / "scope"
    for path in (base, base / f"sandloop-{os.getpid()}", base / f"sandloop-{os.getpid()}-server"):
        path.mkdir(parents=True)
        for name in ("cgroup.subtree_control", "cgroup.procs", "cgroup.controllers"):
            (path / name).write_text("")
    (base / "cgroup.controllers").write_text("cpu io memory pids\n")
    (base / "cgroup.subtree_control").write_text(enabled)
    (base / "cgroup.procs").write_text(procs)
    return base


def _own_cgroup(folder: Path) -> Path:
    path = folder / "self"
    path.write_text("0::/scope\n")
    return path


def test_v2_uses_controllers_that_are_on_without_moving_anybody(tmp_path: Path) -> None:
    base = _v2_tree(tmp_path, enabled="cpu memory pids", procs="1\n2\n")
    hierarchy = cgroups.detect(os.getpid(), tmp_path, _own_cgroup(tmp_path))
    assert isinstance(hierarchy, cgroups.HierarchyV2)
    assert (base / "cgroup.procs").read_text() == "1\n2\n"
    assert (hierarchy.folder / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"


def test_v2_moves_only_itself_into_a_leaf_to_switch_controllers_on(tmp_path: Path) -> None:
    base = _v2_tree(tmp_path, enabled="", procs=f"{os.getpid()}\n")
    assert cgroups.detect(os.getpid(), tmp_path, _own_cgroup(tmp_path)) is not None
    assert (base / f"sandloop-{os.getpid()}-server" / "cgroup.procs").read_text() == str(os.getpid())
    assert (base / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"


def test_v2_leaves_a_group_with_other_processes_alone(tmp_path: Path) -> None:
    base = _v2_tree(tmp_path, enabled="", procs=f"{os.getpid()}\n1\n")
    assert cgroups.detect(os.getpid(), tmp_path, _own_cgroup(tmp_path)) is None
    assert (base / "cgroup.subtree_control").read_text() == ""


def test_v2_writes_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "group"
    made = folder / "sandbox"
    real_mkdir = Path.mkdir

    def kernel_mkdir(self: Path, *args: object, **kwargs: object) -> None:
        # The kernel fills a new group with its files; writing never creates one.
        real_mkdir(self, parents=True)
        for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.max", "cgroup.freeze", "cgroup.procs"):
            (self / name).write_text("")

    monkeypatch.setattr(Path, "mkdir", kernel_mkdir)
    group = cgroups.HierarchyV2(folder).create("sandbox", LIMITS)
    written = {name: (made / name).read_text() for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.max")}
    assert written == {
        "memory.max": str(116 * MIB),
        "memory.swap.max": "0",
        "pids.max": "7",
        "cpu.max": "150000 100000",
    }
    (made / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    group.freeze()
    assert (made / "cgroup.freeze").read_text() == "1"
    group.thaw()
    assert (made / "cgroup.freeze").read_text() == "0"


@pytest.fixture
def hierarchy() -> Iterator[cgroups.Hierarchy]:
    """This machine's own, for this process."""
    found = cgroups.detect(os.getpid())
    if found is None:
        pytest.skip("this user may not use control groups on this machine")
    yield found
    found.remove()


def test_real_groups_hold_the_memory_limit_and_can_be_removed(hierarchy: cgroups.Hierarchy) -> None:
    group = hierarchy.create("limits", LIMITS)
    fds = group.open_procs()
    pid = os.fork()
    if pid == 0:
        for fd in fds:
            os.write(fd, b"0")
        held = bytearray(b"x") * (200 * MIB)
        os._exit(len(held) == 0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    for fd in fds:
        os.close(fd)
    wait_until(group.remove)


def test_groups_of_a_killed_server_are_swept(hierarchy: cgroups.Hierarchy) -> None:
    left = cgroups.detect(2**22 + 1)  # over any pid the kernel gives
    assert left is not None
    left.create("sandbox", LIMITS)
    cgroups.detect(os.getpid())
    with pytest.raises(FileNotFoundError):
        left.create("another", LIMITS)


def test_a_sweep_thaws_what_a_killed_server_left_paused(tmp_path: Path) -> None:
    (tmp_path / "self").write_text("".join(f"1:{name}:/\n" for name in ("memory", "pids", "cpu", "freezer")))
    left = tmp_path / "freezer" / "sandloop-4194304" / "sandbox"
    left.mkdir(parents=True)
    (left / "freezer.state").write_text("FROZEN")
    for name in ("memory", "pids", "cpu"):
        (tmp_path / name).mkdir()
    assert cgroups.detect(os.getpid(), tmp_path, tmp_path / "self") is not None
    assert (left / "freezer.state").read_text() == "THAWED"
