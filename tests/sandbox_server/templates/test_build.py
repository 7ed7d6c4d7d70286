import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox_server.errors import TemplateBuildFailed, TemplateError
from sandbox_server.templates import DEFAULT_REQUIREMENTS, ensure

SMALL = "six\nwheel\n"  # wheel has a console script


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    file = tmp_path / "small.txt"
    file.write_text(SMALL)
    return file


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def build_in_a_process(requirements: Path, cache_home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox_server.templates", str(requirements)],
        env={**os.environ, "XDG_CACHE_HOME": str(cache_home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_template_has_its_packages_and_is_built_only_once(requirements: Path, cache: Path):
    lines: list[str] = []
    first = ensure(requirements, progress=lines.append, cache=cache)
    assert "building" in lines[0]
    printed = subprocess.check_output([first.path / "bin/python", "-c", "import six; print(six.__file__)"], text=True)
    assert Path(printed.strip()).is_relative_to(first.path)

    lines.clear()
    assert ensure(requirements, progress=lines.append, cache=cache) == first
    assert lines == []


def test_another_list_is_another_template(requirements: Path, cache: Path):
    first = ensure(requirements, progress=print, cache=cache)
    requirements.write_text("six==1.16.0\n")
    second = ensure(requirements, progress=print, name="mine", cache=cache)
    assert (first.name, second.name) == ("small", "mine")
    assert first.path != second.path
    assert first.path.is_dir()


def test_two_processes_at_once_get_the_same_template_from_one_build(requirements: Path, tmp_path: Path):
    builds = [build_in_a_process(requirements, tmp_path) for _ in range(2)]
    answers = [build.communicate() for build in builds]
    assert [build.returncode for build in builds] == [0, 0]
    (path,) = {Path(out.strip()) for out, _ in answers}
    assert path.is_dir()
    assert sum("built the sandbox template" in err for _, err in answers) == 1
    assert not list(path.parent.glob("*.partial"))


def test_a_build_that_was_killed_does_not_count_as_built(requirements: Path, tmp_path: Path):
    cache = tmp_path / "sandloop/templates"
    build = build_in_a_process(requirements, tmp_path)
    deadline = time.monotonic() + 60
    while not list(cache.glob("*.partial")) and build.poll() is None:
        assert time.monotonic() < deadline
    build.kill()
    build.communicate()
    assert build.returncode == -9, "the build ended before it could be killed"
    assert not [entry for entry in cache.iterdir() if entry.is_dir() and entry.suffix != ".partial"]

    template = ensure(requirements, progress=print, cache=cache)
    subprocess.run([template.path / "bin/python", "-c", "import six"], check=True)
    assert not list(cache.glob("*.partial"))


def test_scripts_start_with_the_python_of_the_sandbox(requirements: Path, cache: Path):
    template = ensure(requirements, progress=print, cache=cache)
    script = template.path / "bin/wheel"
    shebang, *body = script.read_text().splitlines()
    assert shebang == "#!/home/user/.venv/bin/python"
    compile("\n".join(body), script, "exec")
    assert script.stat().st_mode & 0o777 == 0o755


def test_everything_is_readable_by_other_users_whatever_the_umask(requirements: Path, tmp_path: Path):
    command = [sys.executable, "-m", "sandbox_server.templates", str(requirements)]
    # A package cache of its own: files linked out of it have the modes that this umask gave them.
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "UV_CACHE_DIR": str(tmp_path / "uv")}
    template = Path(subprocess.check_output(command, env=environ, umask=0o077, text=True).strip())
    entries = [template, *template.rglob("*")]
    modes = {path: path.stat().st_mode for path in entries if not path.is_symlink()}
    assert [path for path, mode in modes.items() if mode & 0o444 != 0o444] == []
    assert [path for path, mode in modes.items() if mode & 0o100 and not mode & 0o001] == []


def test_a_list_without_node_gives_a_template_without_javascript(requirements: Path, cache: Path):
    template = ensure(requirements, progress=print, cache=cache)
    assert not (template.path / "node").exists()
    assert not (template.path / "bin/node").exists()


def test_the_default_template_has_node_and_the_packages_of_the_javascript_kernel():
    template = ensure(DEFAULT_REQUIREMENTS, progress=print)
    assert template.name == "code-interpreter-v1"
    program = "console.log(process.versions.node.split('.')[0], require('acorn').version)"
    command = [str(template.path / "bin/node"), "-e", program]
    node, acorn = subprocess.check_output(command, cwd=template.path / "node", text=True).split()
    assert int(node) >= 24
    assert acorn
    path = f"{template.path / 'bin'}:{os.environ['PATH']}"
    subprocess.run([template.path / "bin/npm", "--version"], env={**os.environ, "PATH": path}, check=True)


def test_a_package_that_does_not_exist_is_named_in_the_error(tmp_path: Path, cache: Path):
    requirements = tmp_path / "wrong.txt"
    requirements.write_text("six==99.99\n")
    with pytest.raises(TemplateBuildFailed, match=r"(?s)'wrong' from .*six==99\.99.*UV_DEFAULT_INDEX"):
        ensure(requirements, progress=print, cache=cache)
    assert [entry.suffix for entry in cache.iterdir()] == [".lock"]


def test_a_missing_list_is_a_clear_error(tmp_path: Path, cache: Path):
    with pytest.raises(TemplateError, match=r"'nowhere'.*nowhere\.txt"):
        ensure(tmp_path / "nowhere.txt", progress=print, cache=cache)


def test_a_locked_list_refuses_a_package_with_another_hash(tmp_path: Path, cache: Path):
    requirements = tmp_path / "locked.lock"
    requirements.write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(TemplateBuildFailed, match="(?i)hash"):
        ensure(requirements, progress=print, cache=cache)
