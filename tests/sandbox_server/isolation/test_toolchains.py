import os
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2b_code_interpreter import Sandbox

from sandbox_server.errors import SandboxServerError
from sandbox_server.isolation import toolchains
from sandbox_server.isolation.outer import Toolchain
from sandbox_server.isolation.toolchains import environment, find, search_path
from tests.sandbox_server.programs import serving

SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def home() -> Iterator[Path]:
    """A home folder; not under /tmp, where sandboxes have a folder of their own."""
    with tempfile.TemporaryDirectory(prefix="sandloop-test-", dir="/var/tmp") as folder:
        home = Path(folder, "people", "ada")
        home.mkdir(parents=True)
        yield home


def make(folder: Path, *files: str) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("#!/bin/sh\necho it runs\n")
        (folder / name).chmod(0o755)
    return folder


def folders(home: Path, **environ: str) -> list[Path]:
    return [toolchain.folder for toolchain in find({"HOME": str(home), "PATH": "/usr/bin:/bin", **environ})]


def rustup(home: Path) -> Path:
    make(home / ".cargo", "bin/rustup", "bin/rustc", "credentials.toml")
    for name in ("stable-x86_64-unknown-linux-gnu", "nightly-x86_64-unknown-linux-gnu"):
        make(home / ".rustup/toolchains" / name, "bin/rustc", "lib/rustlib/components")
    (home / ".rustup/settings.toml").write_text('default_toolchain = "stable-x86_64-unknown-linux-gnu"\n')
    return home / ".rustup/toolchains"


def test_of_rustup_only_the_active_toolchain_itself_is_shown(home: Path):
    toolchains = rustup(home)
    stable = toolchains / "stable-x86_64-unknown-linux-gnu"
    environ = {"HOME": str(home), "PATH": f"{home}/.cargo/bin:/usr/bin"}
    assert find(environ) == (Toolchain(stable, stable / "bin"),)


def test_the_environment_chooses_another_rust_by_its_short_name(home: Path):
    toolchains = rustup(home)
    assert folders(home, RUSTUP_TOOLCHAIN="nightly") == [toolchains / "nightly-x86_64-unknown-linux-gnu"]


def test_a_linked_rust_toolchain_is_shown_where_it_is(home: Path):
    toolchains = rustup(home)
    built = make(home / "src/rust/build/stage1", "bin/rustc", "lib/rustlib/components")
    (toolchains / "mine").symlink_to(built)
    assert folders(home, RUSTUP_TOOLCHAIN="mine") == [built]


@pytest.mark.parametrize("settings", ["", "default_toolchain = 3", "not toml", 'default_toolchain = "gone"'])
def test_rustup_without_a_usable_toolchain_shows_nothing(home: Path, settings: str):
    rustup(home)
    (home / ".rustup/settings.toml").write_text(settings)
    assert folders(home) == []


def test_chosen_pyenv_versions_are_shown_and_no_others(home: Path):
    versions = home / ".pyenv/versions"
    for name in ("3.11.7", "3.12.1", "3.13.0"):
        make(versions / name, "bin/python", "lib/python")
    (home / ".pyenv/version").write_text("3.12.1\n3.11.7\nsystem\n")
    assert folders(home) == [versions / "3.12.1", versions / "3.11.7"]
    assert folders(home, PYENV_VERSION="3.13.0:system") == [versions / "3.13.0"]
    assert folders(home, PYENV_VERSION="../..:.") == []


def test_a_jdk_go_and_dotnet_are_found_by_their_variables(home: Path):
    jdk = make(home / "jdk-21", "bin/java", "release")
    go = make(home / "sdk/go", "bin/go", "VERSION")
    dotnet = make(home / ".dotnet", "dotnet", "host/fxr/8.0/libhostfxr.so")
    found = find({"HOME": str(home), "JAVA_HOME": str(jdk), "GOROOT": str(go), "DOTNET_ROOT": str(dotnet)})
    assert search_path(found) == f"{jdk}/bin:{go}/bin:{dotnet}:{SYSTEM}"
    assert environment(found) == {"JAVA_HOME": str(jdk), "GOROOT": str(go), "DOTNET_ROOT": str(dotnet)}


def test_a_jdk_is_found_by_its_program_on_path_through_links(home: Path):
    jdk = make(home / "candidates/21", "bin/java", "release")
    (home / "candidates/current").symlink_to(jdk)
    assert folders(home, PATH=f"{home}/candidates/current/bin:/usr/bin") == [jdk]


def test_julia_is_found_by_its_program_on_path(home: Path):
    julia = make(home / "julia-1.11", "bin/julia", "share/julia/base.jl")
    assert folders(home, PATH=f"{julia}/bin:/usr/bin") == [julia]


def test_a_link_in_a_system_folder_shows_the_toolchain_it_leads_to(home: Path, monkeypatch: pytest.MonkeyPatch):
    julia = make(home / "opt/julia-1.11", "bin/julia", "share/julia/base.jl")
    system = home / "usr/local/bin"
    system.mkdir(parents=True)
    (system / "julia").symlink_to(julia / "bin/julia")
    monkeypatch.setattr(toolchains, "SYSTEM_FOLDERS", (str(system),))
    assert folders(home, PATH=str(system)) == [julia]


def test_the_compiled_standard_library_of_go_is_shown_and_comes_onto_no_path(home: Path):
    cache = make(home / ".cache/sandloop/go-build", "README", "trim.txt", "00/a-a", "ff/a-d")
    make(home / ".cache/sandloop", "other")
    found = find({"HOME": str(home), "PATH": ""})
    assert found == (Toolchain(cache, None, {"SANDLOOP_GO_CACHE": str(cache)}),)
    assert search_path(found) == SYSTEM


@pytest.mark.parametrize("missing", ["README", "trim.txt", "00", "ff"])
def test_what_is_not_a_cache_of_go_is_not_shown(home: Path, missing: str):
    cache = make(home / ".cache/sandloop/go-build", "README", "trim.txt", "00/a-a", "ff/a-d")
    (cache / missing).rename(home / "elsewhere")
    assert folders(home) == []


def test_a_link_in_the_place_of_the_cache_is_not_followed(home: Path):
    mine = make(home / ".cache/go-build", "README", "trim.txt", "00/a-a", "ff/a-d")
    (home / ".cache/sandloop").mkdir()
    (home / ".cache/sandloop/go-build").symlink_to(mine)
    assert folders(home) == []


def test_a_program_among_others_does_not_show_the_folder_around_it(home: Path):
    make(home / ".local", "bin/go", "bin/java", "share/keyring")
    assert folders(home, PATH=f"{home}/.local/bin", GOROOT=str(home / ".local")) == []


@pytest.mark.parametrize("place", [".", "..", "../.."])
def test_a_home_folder_is_never_shown(home: Path, place: str):
    folder = make((home / place).resolve(), "bin/java", "release")
    assert folders(home, JAVA_HOME=str(folder)) == []
    with pytest.raises(SandboxServerError, match="holds a home folder"):
        find({"HOME": str(home)}, [folder])


@pytest.mark.parametrize("folder", ["/usr", "/", "/usr/.."])
def test_a_folder_of_the_whole_system_is_refused(home: Path, folder: str):
    with pytest.raises(SandboxServerError, match="whole system"):
        find({"HOME": str(home)}, [Path(folder)])


def test_a_folder_where_sandboxes_have_something_else_is_refused(home: Path, tmp_path: Path):
    if not tmp_path.is_relative_to("/tmp"):
        pytest.skip("temporary files are elsewhere here")
    with pytest.raises(SandboxServerError, match="move it, to /opt"):
        find({"HOME": str(home)}, [make(tmp_path, "bin/tool")])


def test_folders_of_the_setting_go_first_and_each_is_shown_once(home: Path):
    jdk = make(home / "jdk-21", "bin/java", "release")
    mine = make(home / "mine", "bin/tool")
    found = find({"HOME": str(home), "JAVA_HOME": str(jdk)}, [mine, mine, jdk])
    assert [toolchain.folder for toolchain in found] == [mine, jdk]


def test_programs_of_a_toolchain_run_in_a_sandbox_and_nothing_beside_it_is_there(home: Path, tmp_path: Path):
    for folder in (home.parent.parent, home.parent, home):
        folder.chmod(0o755)  # whatever the umask
    tool = make(home / "tool", "bin/mytool")
    (home / "secret").write_text("canary")
    jdk = make(home / "jdk-21", "bin/java", "release")
    options = ["--toolchain", str(tool), "--api-key", "mine"]
    with serving(tmp_path, *options, JAVA_HOME=str(jdk)) as server:
        sandbox = Sandbox.create(api_url=server.url, sandbox_url=server.url, api_key="mine")
        run = sandbox.commands.run
        assert run("mytool").stdout == "it runs\n"
        assert run("command -v java; echo $JAVA_HOME").stdout.split() == [f"{jdk}/bin/java", str(jdk)]
        assert run(f"ls -A {home}").stdout.split() == ["jdk-21", "tool"]
        assert run(f"touch {tool}/new 2>&1 || true").stdout.count("Read-only file system") == 1


def test_the_compilers_of_this_machine_run_in_a_sandbox(tmp_path: Path):
    found = find(os.environ)
    rust = [toolchain for toolchain in found if (toolchain.folder / "bin/rustc").exists()]
    if not rust:
        pytest.skip("rustup has no toolchain here")
    source = shlex.quote('fn main() { println!("{}", 6 * 7); }')
    with serving(tmp_path, "--api-key", "mine") as server:
        sandbox = Sandbox.create(api_url=server.url, sandbox_url=server.url, api_key="mine")
        shown = sandbox.commands.run(f"printf %s {source} > a.rs && rustc a.rs && ./a", timeout=60)
        assert shown.stdout == "42\n"
