"""What the page is built from."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts import api_types

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["types.ts", "policy.json"])
def test_the_page_s_view_of_the_api_is_that_of_the_server(name: str):
    assert (api_types.FOLDER / name).read_text() == api_types.files()[name], "run 'make web-types'"


def test_dependencies_are_exact_and_locked_without_addresses():
    package = json.loads((ROOT / "web" / "package.json").read_text())
    kinds = ("dependencies", "devDependencies", "optionalDependencies")
    versions = {name: version for kind in kinds for name, version in package[kind].items()}
    assert [name for name, version in versions.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []
    lock = (ROOT / "web" / "package-lock.json").read_text()
    assert "://" not in lock
    locked = {name: about for name, about in json.loads(lock)["packages"].items() if name}
    assert [name for name, about in locked.items() if not about["integrity"].startswith("sha512-")] == []


def test_a_visit_loads_no_more_than_was_promised():
    if not (ROOT / "sandloop" / "web_static" / "index.html").is_file() or shutil.which("node") is None:
        pytest.skip("the page is not built here, or there is no node")
    done = subprocess.run(["node", "scripts/sizes.mjs"], cwd=ROOT / "web", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
