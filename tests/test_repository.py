"""What must hold for the files of the repository as a whole."""

import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INDEX_HOSTS = re.compile(r"\b(pypi|pythonhosted|npmjs|yarnpkg)[.](org|com|io)")
# Where a checkout, an interpreter or a cache stood on the machine that generated a file.
MACHINE_PATHS = re.compile(rf"{re.escape(str(ROOT))}/|/root/[.]\w+/|(?<![\w.])/(Users|home/(?!user\b))\w+/")
LOCK_FILES = [
    *ROOT.glob("*.lock"),
    *ROOT.glob("sandbox_server/**/*.lock"),
    *ROOT.glob("sandbox_server/**/package-lock.json"),
]


def tracked_files() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.check_output(command, text=True).split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("forbidden", [INDEX_HOSTS, MACHINE_PATHS], ids=["index-hosts", "machine-paths"])
def test_no_file_names_a_package_index_or_a_path_of_one_machine(forbidden: re.Pattern[str]):
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in tracked_files()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if forbidden.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("lock", LOCK_FILES, ids=lambda path: path.name)
def test_lock_files_hold_hashes_and_no_address(lock: Path):
    text = lock.read_text()
    assert "sha256:" in text or "sha512-" in text
    assert re.findall(r"\w+://\S*|^-.*|@ .*", text, re.MULTILINE) == []


def test_every_package_of_ours_is_in_the_wheel_and_under_the_import_contracts():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    packages = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests")
    assert sorted(settings["hatch"]["build"]["targets"]["wheel"]["packages"]) == packages
    assert sorted(settings["importlinter"]["root_packages"]) == packages


@pytest.mark.parametrize("package", ["sandbox_server"])
def test_public_names_are_sorted_and_exist(package: str):
    module = importlib.import_module(package)
    names = list(getattr(module, "__all__", ()))
    assert names == sorted(names)
    assert all(hasattr(module, name) for name in names)
