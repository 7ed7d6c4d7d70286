"""Installing packages in a sandbox: pip and npm in every form, and whose version an import gets."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2b import CommandExitException
from e2b_code_interpreter import Execution, Sandbox

from . import package_index, programs
from .conftest import API_KEY, RunningServer

NewSandbox = Callable[..., Sandbox]
USER_PACKAGES = "/home/user/.venv/lib/python3.*/site-packages"
COWSAY = "/home/user/.venv/bin/cowsay"


@pytest.fixture(scope="session")
def registries(server: RunningServer) -> list[str]:
    return package_index.registry_hosts(server)


@pytest.fixture
def connected(new_sandbox: NewSandbox, registries: list[str]) -> Sandbox:
    """A sandbox that reaches the registries and nothing else."""
    return new_sandbox(network={"allow_out": registries, "deny_out": ["0.0.0.0/0"]})


def value(execution: Execution) -> str:
    """The result of a cell that must not fail."""
    assert execution.error is None, execution.error
    return str(execution.text)


def in_cell(magic: str) -> Callable[[Sandbox, str], None]:
    def run(sandbox: Sandbox, arguments: str) -> None:
        execution = sandbox.run_code(f"{magic} {arguments}")
        assert execution.error is None, execution.error

    return run


def in_shell(sandbox: Sandbox, arguments: str) -> None:
    sandbox.commands.run(f"pip {arguments}")


# --- Python


@pytest.mark.parametrize("pip", [in_shell, in_cell("%pip"), in_cell("!pip")], ids=["pip", "%pip", "!pip"])
def test_pip_installs_and_uninstalls(connected: Sandbox, pip: Callable[[Sandbox, str], None]) -> None:
    connected.run_code("import sys")  # The kernel runs already when the package comes.
    pip(connected, "install cowsay")
    assert value(connected.run_code("import cowsay; cowsay.__file__")).startswith("/home/user/.venv/lib/")
    assert connected.commands.run("command -v cowsay").stdout == f"{COWSAY}\n"
    assert "moo" in value(connected.run_code("import subprocess; subprocess.getoutput('cowsay -t moo')"))
    pip(connected, "uninstall -y cowsay")
    with pytest.raises(CommandExitException):
        connected.commands.run("python -c 'import cowsay'")
    assert not connected.files.exists(COWSAY)


def test_pip_list_shows_the_templates_packages_and_the_users(connected: Sandbox) -> None:
    connected.commands.run("pip install cowsay==6.0")
    listed = dict(line.split() for line in connected.commands.run("pip list").stdout.splitlines())
    assert {"numpy", "pandas", "matplotlib", "ipython"} <= listed.keys()
    assert listed["cowsay"] == "6.0"


def test_pip_keeps_no_copies_of_what_it_downloads(connected: Sandbox) -> None:
    connected.commands.run("pip install cowsay")
    assert not connected.files.exists("/home/user/.cache/pip")


def test_the_templates_own_packages_cannot_be_removed(connected: Sandbox) -> None:
    said = connected.commands.run("pip uninstall -y pandas").stdout
    assert "Not uninstalling pandas" in said
    assert connected.run_code("import pandas").error is None


def test_an_unknown_package_is_a_quick_and_readable_failure(connected: Sandbox) -> None:
    with pytest.raises(CommandExitException, match="No matching distribution found for no-such-package-sandloop"):
        connected.commands.run("pip install no-such-package-sandloop", timeout=60)


def test_a_sandboxs_packages_are_its_own(connected: Sandbox, new_sandbox: NewSandbox) -> None:
    connected.commands.run("pip install cowsay")
    error = new_sandbox().run_code("import cowsay").error
    assert error is not None and error.name == "ModuleNotFoundError"


# --- JavaScript


def test_npm_installs_for_the_kernels_and_for_node(connected: Sandbox) -> None:
    connected.commands.run("npm install is-number")
    assert value(connected.run_code("require('is-number')(7)", language="javascript")) == "true"
    assert value(connected.run_code("import number from 'is-number'; number('x')", language="typescript")) == "false"
    assert connected.commands.run("""node -e "console.log(require('is-number')(7))" """).stdout == "true\n"


def test_global_npm_packages_are_commands(connected: Sandbox) -> None:
    said = connected.commands.run("npm install -g cowsay")
    assert "added" in said.stdout and "notice" not in said.stderr
    assert "moo" in connected.commands.run("cowsay moo").stdout
    connected.commands.run("npm uninstall -g cowsay")
    with pytest.raises(CommandExitException):
        connected.commands.run("command -v cowsay")


def test_npx_runs_a_package(connected: Sandbox) -> None:
    assert "moo" in connected.commands.run("npx --yes cowsay moo").stdout


# --- the user's own version of a preloaded package


def test_another_numpy_wins_and_pandas_works_with_it(connected: Sandbox) -> None:
    version = "import numpy; numpy.__version__"
    ours = value(connected.run_code(version))
    connected.commands.run(f"pip install 'numpy<{ours}'")
    context = connected.create_code_context()
    theirs = value(connected.run_code(version, context=context))
    assert theirs != ours
    total = "import pandas; str(pandas.Series(numpy.arange(4)).sum())"
    assert value(connected.run_code(total, context=context)) == "6"
    both = "python -c 'import numpy, pandas; print(numpy.__version__, pandas.Series([1, 2]).sum())'"
    assert connected.commands.run(both).stdout == f"{theirs} 3\n"

    # As in Jupyter: what a kernel has imported stays until it starts anew.
    assert value(connected.run_code(version)) == ours
    default = next(each for each in connected.list_code_contexts() if each.language == "python")
    connected.restart_code_context(default)
    assert value(connected.run_code(f"import pandas; {version}", context=default)) == theirs

    connected.commands.run("pip uninstall -y numpy")
    connected.restart_code_context(default)
    assert value(connected.run_code(f"import pandas; {version}", context=default)) == ours


def test_another_numpy_is_used_by_the_kernel_that_installed_it(connected: Sandbox) -> None:
    ours = connected.commands.run("python -c 'import numpy; print(numpy.__version__)'").stdout.strip()
    connected.run_code(f"%pip install -q 'numpy<{ours}'")
    both = "import pandas, numpy; f'{numpy.__version__} {pandas.Series(numpy.arange(4)).sum()}'"
    theirs, total = value(connected.run_code(both)).split()
    assert theirs != ours and total == "6"


def test_another_numpy_with_pandas_in_a_kernel_with_variables_asks_for_a_restart(connected: Sandbox) -> None:
    ours = connected.commands.run("python -c 'import numpy; print(numpy.__version__)'").stdout.strip()
    connected.run_code("kept = 1")
    connected.run_code(f"%pip install -q 'numpy<{ours}'")
    assert value(connected.run_code("import numpy; numpy.__version__")) != ours
    error = connected.run_code("import pandas").error
    assert error is not None and error.name == "ImportError" and "restart the kernel" in error.value
    assert value(connected.run_code("kept")) == "1"


@pytest.mark.parametrize("package", ["cycler", "six", "pyparsing"])
def test_a_users_module_hides_the_preloaded_one_of_that_name(sandbox: Sandbox, package: str) -> None:
    path = sandbox.commands.run(f"echo {USER_PACKAGES}").stdout.strip()
    sandbox.files.write(f"{path}/{package}.py", "WHOSE = 'mine'\n")
    assert value(sandbox.run_code(f"import {package}; {package}.WHOSE")) == "mine"
    context = sandbox.create_code_context()
    assert value(sandbox.run_code(f"import {package}; {package}.WHOSE", context=context)) == "mine"
    assert sandbox.run_code("import numpy").error is None


# --- registries of other kinds than this machine's


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """For package indexes that sandboxes see: they have a /tmp of their own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def mirrored(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[programs.Serving]:
    """A server whose registries are a private mirror and local folders, next to one that needs a password."""
    served = package_index.write_index(folder / "served", "onmirror")
    local = package_index.write_index(folder / "local", "onlocal")
    (folder / "links").mkdir()
    package_index.write_wheel(folder / "links", "onlinks").chmod(0o666)
    (folder / "links").chmod(0o777)
    with package_index.mirror(served) as mirror:
        settings = {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"http://{mirror.authority}/",
            "PIP_EXTRA_INDEX_URL": f"{local.as_uri()} https://ann:Sw0rdf1sh@packages.example.com/simple",
            "PIP_FIND_LINKS": str(folder / "links"),
            "npm_config_registry": "https://ann:Sw0rdf1sh@npm.example.com/",
        }
        with programs.serving(tmp_path_factory.mktemp("run"), "--api-key", API_KEY, **settings) as serving:
            yield serving


@pytest.fixture
def near_mirror(mirrored: programs.Serving) -> Iterator[Sandbox]:
    made = Sandbox.create(timeout=120, api_url=mirrored.url, sandbox_url=mirrored.url, api_key=API_KEY)
    yield made
    made.kill()


@pytest.mark.parametrize("name", ["onmirror", "onlocal", "onlinks"])
def test_pip_installs_from_a_private_mirror_and_from_local_folders(near_mirror: Sandbox, name: str) -> None:
    near_mirror.commands.run(f"pip install {name}")
    assert near_mirror.commands.run(f"{name}-command").stdout == f"{name} 1.0\n"
    assert value(near_mirror.run_code(f"import {name}; {name}.VERSION")) == "1.0"


def test_local_indexes_are_read_only_in_a_sandbox(near_mirror: Sandbox, folder: Path) -> None:
    links = folder / "links"
    wheel = next(links.iterdir())
    assert str(wheel) in near_mirror.commands.run("ls $PIP_FIND_LINKS/*").stdout
    for attempt in (f"touch {links}/new", f"rm {wheel}", f": >> {wheel}", f"chmod 777 {links}", f"mv {wheel} /tmp"):
        with pytest.raises(CommandExitException, match="Read-only file system|Operation not permitted"):
            near_mirror.commands.run(attempt)
    with pytest.raises(CommandExitException, match="No such file"):
        near_mirror.commands.run(f"ls {folder}/../*/served")


def test_registries_with_a_password_are_left_out_of_a_sandbox(near_mirror: Sandbox) -> None:
    everywhere = "env; cat /proc/*/environ /proc/*/cmdline /proc/mounts; pip config list; npm config list -l"
    seen = near_mirror.commands.run(f"({everywhere}; true) 2>&1").stdout + value(
        near_mirror.run_code("import os; dict(os.environ)")
    )
    assert "PIP_EXTRA_INDEX_URL" in seen
    for secret in ("Sw0rdf1sh", "ann:", "packages.example.com", "npm.example.com"):
        assert secret not in seen


def test_registries_with_a_password_are_named_in_the_log_without_it(tmp_path: Path) -> None:
    settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "https://ann:Sw0rdf1sh@packages.example.com/simple"}
    with programs.serving(tmp_path, "--api-key", API_KEY, **settings) as serving:
        code, _, log = serving.end()
    assert code == 0
    assert "packages.example.com" in log and "has credentials, which must not enter a sandbox" in log
    assert "Sw0rdf1sh" not in log
