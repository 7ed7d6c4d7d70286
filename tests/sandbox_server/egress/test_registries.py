"""Discovery with the real pip, and with a stand-in for npm that prints what `npm config get registry` would."""

import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox_server.egress import Registries, discover, sandbox_env

pytestmark = pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="this interpreter has no pip")

INDEX = "https://mirror.example/simple"


@pytest.fixture
def packages() -> Iterator[Path]:
    """A folder that can be shown to sandboxes; they have a /tmp of their own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


def configured(tmp_path: Path, pip_conf: str = "", npm: str | None = None, **variables: str) -> Registries:
    """What is discovered on a host with this pip configuration and this npm registry."""
    file = tmp_path / "pip.conf"
    file.write_text(f"[global]\n{pip_conf}\n")
    # pip reads the file of PIP_CONFIG_FILE in addition to the machine's own, and its settings win over theirs.
    environment = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(file)}
    command = [sys.executable, "-c", f"print({npm!r})"] if npm else None
    return discover([sys.executable], command, environment | variables)


def authorities(registries: Registries) -> set[str]:
    return {origin.authority for origin in registries.origins}


def test_configured_index_is_the_only_python_registry(tmp_path: Path) -> None:
    registries = configured(tmp_path, f"index-url = {INDEX}\nextra-index-url =\nfind-links =")
    assert registries.index_url == INDEX
    assert authorities(registries) == {"mirror.example:443"}
    assert registries.hosts == ["mirror.example"]


def test_default_index_comes_with_the_host_of_its_files(tmp_path: Path) -> None:
    registries = configured(tmp_path, PIP_EXTRA_INDEX_URL="", PIP_FIND_LINKS="")
    if registries.index_url is None or not registries.index_url.startswith("https://"):
        pytest.skip("this machine configures another index")
    assert len(registries.origins) == 2
    assert {origin.port for origin in registries.origins} == {443}


def test_variables_win_over_files_and_ports_are_kept(tmp_path: Path) -> None:
    registries = configured(tmp_path, f"index-url = {INDEX}", PIP_INDEX_URL="http://10.1.2.3:3141/root/+simple/")
    assert registries.index_url == "http://10.1.2.3:3141/root/+simple/"
    assert "10.1.2.3:3141" in authorities(registries)
    assert "mirror.example:443" not in authorities(registries)


def test_uv_variables_are_registries_too(tmp_path: Path) -> None:
    registries = configured(
        tmp_path, f"index-url = {INDEX}", UV_INDEX="named=https://uv.example/simple https://two.example:8443/simple"
    )
    assert registries.extra_index_urls[-2:] == ("https://uv.example/simple", "https://two.example:8443/simple")
    assert {"uv.example:443", "two.example:8443"} <= authorities(registries)


@pytest.mark.parametrize("url", ["https://me:s3cret@mirror.example/simple", "https://s3cret@mirror.example/simple"])
def test_index_with_credentials_is_left_out_by_name_and_its_secret_is_not_told(tmp_path: Path, url: str) -> None:
    registries = configured(tmp_path, "extra-index-url =\nfind-links =", PIP_INDEX_URL=url)
    assert registries.index_url is None
    assert registries.origins == frozenset()
    assert any("'mirror.example' has credentials" in warning for warning in registries.warnings)
    assert "s3cret" not in repr(registries) + repr(sandbox_env(registries))
    assert sandbox_env(registries)["PIP_NO_INDEX"] == "1", "pip must not fall back to its default index"


def test_npm_registry_with_credentials_is_left_out(tmp_path: Path) -> None:
    registries = configured(tmp_path, npm="https://me:s3cret@npm.example/")
    assert registries.npm_registry is None
    assert "s3cret" not in repr(registries)


def test_npm_registry_is_known_and_given_to_the_sandbox(tmp_path: Path) -> None:
    registries = configured(tmp_path, npm="http://npm.example:4873/")
    assert "npm.example:4873" in authorities(registries)
    assert sandbox_env(registries)["npm_config_registry"] == "http://npm.example:4873/"


def test_local_index_is_bound_with_the_folder_its_pages_link_to(tmp_path: Path, packages: Path) -> None:
    page = packages / "simple" / "six" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text('<a href="../../files/six-1.0-py3-none-any.whl#sha256=0">six</a>')
    (packages / "files").mkdir()
    url = (packages / "simple").as_uri()
    registries = configured(tmp_path, f"extra-index-url = {url}\nfind-links = {packages}/absent {packages}/files")
    assert registries.extra_index_urls == (url,)
    assert registries.find_links == (f"{packages}/files",)
    assert registries.local_paths == (packages / "simple", packages / "files")
    assert any("absent is not there" in warning for warning in registries.warnings)


@pytest.mark.parametrize("folder", ["/tmp", "/", "/home", "/proc"])
def test_local_index_where_a_sandbox_has_its_own_folder_is_left_out(tmp_path: Path, folder: str) -> None:
    registries = configured(tmp_path, "extra-index-url =", PIP_FIND_LINKS=f"{tmp_path} {folder}")
    assert not registries.find_links and not registries.local_paths
    assert any(f"find-links: {folder} is left out" in warning for warning in registries.warnings)
    assert any("a sandbox has its own /tmp" in warning for warning in registries.warnings)


@pytest.mark.parametrize("host", ["localhost:3141", "127.0.0.1:3141", "pkg.localhost"])
def test_registry_that_would_be_the_sandbox_itself_is_left_out(tmp_path: Path, host: str) -> None:
    registries = configured(tmp_path, f"index-url = http://{host}/simple")
    assert registries.index_url is None or host not in registries.index_url
    assert any("is the sandbox itself" in warning for warning in registries.warnings)


def test_no_index_leaves_only_local_packages(tmp_path: Path, packages: Path) -> None:
    registries = configured(tmp_path, f"no-index = true\nindex-url = {INDEX}\nfind-links = {packages}")
    assert registries.index_url is None
    assert registries.origins == frozenset()
    assert sandbox_env(registries)["PIP_FIND_LINKS"] == str(packages)


def test_missing_tools_are_warnings() -> None:
    registries = discover(["/nonexistent/python"], ["/nonexistent/npm"], {})
    assert registries.origins == frozenset()
    assert len(registries.warnings) == 2


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_real_npm_is_asked_for_its_registry(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    npm = [str(shutil.which("npm"))]
    configured_by_variable = environment | {"npm_config_registry": "https://npm.example/"}
    assert discover([sys.executable], npm, configured_by_variable).npm_registry == "https://npm.example/"
    assert len(discover([sys.executable], npm, environment).npm_registry or "") > len("https://")


def test_sandbox_environment_leads_every_program_to_the_proxy_and_the_ca_bundle() -> None:
    env = sandbox_env(Registries(index_url=INDEX))
    assert {env[name] for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")} == {
        "http://127.0.0.1:3128"
    }
    assert env["PIP_INDEX_URL"] == env["UV_DEFAULT_INDEX"] == INDEX
    assert env["PIP_CERT"] == env["NODE_EXTRA_CA_CERTS"] == "/etc/ssl/certs/ca-certificates.crt"
    assert "PIP_CERT" not in sandbox_env(Registries(), ca_bundle=None)
