"""The package registries that the host's pip, uv and npm are configured for, and what a sandbox is told of them."""

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox_server.egress.addresses import Destination, parse_host
from sandbox_server.guest.config import HOME, PROXY_PORT, ROOT

SANDBOX_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
"""Where the host's CA bundle is bound inside a sandbox."""

_FOLDERS_OF_A_SANDBOX = tuple(map(Path, ("/dev", HOME, ROOT, "/proc", "/run", "/tmp")))
"""Where a sandbox has something of its own: what the host has there is not seen inside."""

_TOOL_TIMEOUT_S = 30
_NO_PROXY = ("localhost", "127.0.0.1")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HREF = re.compile(r"""<a\s[^>]*href=["']([^"'#?]+)""", re.IGNORECASE)
_PAGE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Registries:
    """Package sources a sandbox may be pointed at.

    Attributes:
        index_url: Python's index; None when there is none that a sandbox may use.
        extra_index_urls: further ones.
        find_links: URLs and local folders with distributions.
        trusted_hosts: those pip accepts without a valid certificate.
        npm_registry: None when there is no npm, or none that a sandbox may use.
        origins: host and port of all of them, exempt from the private-address rule since a mirror may be private.
        local_paths: files and folders to be bound read-only into sandboxes, at the same path.
        warnings: what was left out and why, for the log and `doctor`; without secrets.
    """

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    npm_registry: str | None = None
    origins: frozenset[Destination] = frozenset()
    local_paths: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def hosts(self) -> list[str]:
        """The entries of `allow_out` that open the registries and nothing else, sorted."""
        return sorted({str(origin.host) for origin in self.origins})


@dataclass(slots=True)
class _Collection:
    """Gathers sources while they are checked."""

    origins: set[Destination] = field(default_factory=set)
    local_paths: list[Path] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def usable(self, source: str, setting: str) -> bool:
        """Check one URL or path and note what it needs; False: left out."""
        try:
            parts = urllib.parse.urlsplit(source)
        except ValueError:
            self.warnings.append(f"{setting}: not a valid URL")
            return False
        if parts.scheme in _DEFAULT_PORTS:
            return self._usable_url(parts, setting)
        if parts.scheme not in ("", "file"):
            self.warnings.append(f"{setting}: only http, https and file URLs can be used in a sandbox")
            return False
        path = Path(urllib.request.url2pathname(parts.path) if parts.scheme else source).expanduser()
        if not path.is_absolute() or not path.exists():
            self.warnings.append(f"{setting}: {path} is not there")
            return False
        for folder in _FOLDERS_OF_A_SANDBOX:
            if path.is_relative_to(folder) or folder.is_relative_to(path):
                self.warnings.append(f"{setting}: {path} is left out, since a sandbox has its own {folder}; move it")
                return False
        self.local_paths += [path, *_linked_folders(path)]
        return True

    def _usable_url(self, parts: urllib.parse.SplitResult, setting: str) -> bool:
        try:
            host = parse_host(f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or "")
            origin = Destination(host, parts.port or _DEFAULT_PORTS[parts.scheme])
        except ValueError:
            self.warnings.append(f"{setting}: its URL has no valid host and port")
            return False
        if parts.username is not None or parts.password is not None:
            self.warnings.append(
                f"{setting}: the URL of host '{host}' has credentials, which must not enter a sandbox; left out. "
                "Use a mirror that needs none, or one that adds them"
            )
            return False
        if str(host) in _NO_PROXY or str(host).endswith(".localhost"):
            self.warnings.append(
                f"{setting}: host '{host}' is the sandbox itself inside a sandbox; left out. "
                "Configure it by this machine's name or address"
            )
            return False
        self.origins.add(origin)
        return True

    def all_usable(self, sources: Iterable[str], setting: str) -> tuple[str, ...]:
        return tuple(source for source in dict.fromkeys(sources) if self.usable(source, setting))


def discover(python: Sequence[str], npm: Sequence[str] | None, environment: Mapping[str, str]) -> Registries:
    """Ask the host's tools for their registries. Runs them (about a second): call it once per server, in a thread.

    Args:
        python: command of an interpreter that has pip.
        npm: command of npm, None when there is none.
        environment: for both tools, and for uv's own variables. uv's configuration files are not read.

    A tool that fails is a warning, never an exception: its registry is then not among the result.
    """
    found = _Collection()
    pip = _ask_pip(python, environment, found)
    index_url, default_file_host = _index(pip, environment)
    extra = [*pip.get("extra_index_urls", ()), *_words(environment, "UV_EXTRA_INDEX_URL"), *_uv_indexes(environment)]
    links = [*pip.get("find_links", ()), *environment.get("UV_FIND_LINKS", "").replace(",", " ").split()]
    if index_url is not None and not found.usable(index_url, "index-url"):
        index_url = None
    elif default_file_host is not None:
        found.origins.add(Destination(parse_host(default_file_host), 443))
    extra_urls = found.all_usable([] if pip.get("no_index") else extra, "extra-index-url")
    if index_url is None and extra_urls:
        # Without an index pip falls back to its default, which is not configured here: the first extra one stands in.
        index_url, *rest = extra_urls
        extra_urls = tuple(rest)
    npm_registry = _ask_npm(npm, environment, found) if npm else None
    return Registries(
        index_url=index_url,
        extra_index_urls=extra_urls,
        find_links=found.all_usable(links, "find-links"),
        trusted_hosts=tuple(pip.get("trusted_hosts", ())),
        npm_registry=npm_registry,
        origins=frozenset(found.origins),
        local_paths=tuple(dict.fromkeys(found.local_paths)),
        warnings=tuple(found.warnings),
    )


def sandbox_env(registries: Registries, ca_bundle: str | None = SANDBOX_CA_BUNDLE) -> dict[str, str]:
    """The environment variables by which programs in a sandbox find the proxy, the registries and the CA bundle.

    Args:
        registries: what to point pip, uv and npm at.
        ca_bundle: path inside the sandbox, None when the host has no bundle.
    """
    no_proxy = ",".join(_NO_PROXY)
    env = {"NODE_USE_ENV_PROXY": "1", "NO_PROXY": no_proxy, "no_proxy": no_proxy}
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        env[name] = f"http://127.0.0.1:{PROXY_PORT}"
    # With its default of 5 pip takes 8 s to give up; with 0 it never shows why it was refused, which only its warning
    # about a retry says. The first retry comes at once.
    env["PIP_RETRIES"] = "1"
    env["UV_HTTP_RETRIES"] = env["npm_config_fetch_retries"] = "0"
    if registries.index_url:
        env["PIP_INDEX_URL"] = env["UV_DEFAULT_INDEX"] = registries.index_url
    else:
        env["PIP_NO_INDEX"] = env["UV_NO_INDEX"] = "1"
    if registries.extra_index_urls:
        env["PIP_EXTRA_INDEX_URL"] = env["UV_INDEX"] = " ".join(registries.extra_index_urls)
    if registries.find_links:
        env["PIP_FIND_LINKS"] = " ".join(registries.find_links)
        env["UV_FIND_LINKS"] = ",".join(registries.find_links)
    if registries.trusted_hosts:
        env["PIP_TRUSTED_HOST"] = env["UV_INSECURE_HOST"] = " ".join(registries.trusted_hosts)
    if registries.npm_registry:
        env["npm_config_registry"] = registries.npm_registry
    if ca_bundle:
        names = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        env |= dict.fromkeys((*names, "NODE_EXTRA_CA_CERTS", "npm_config_cafile"), ca_bundle)
    return env


def _ask_pip(python: Sequence[str], environment: Mapping[str, str], found: _Collection) -> dict[str, Any]:
    """Settings of pip as `pip_probe` prints them; empty when there is no pip."""
    probe = Path(__file__).with_name("pip_probe.py")
    try:
        # -P: the probe's own folder is no place to import pip's dependencies from.
        settings = json.loads(_run([*python, "-P", str(probe)], environment))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        found.warnings.append(f"pip: {python[0]} could not be asked for its registries ({type(error).__name__})")
        return {}
    return dict(settings)


def _ask_npm(npm: Sequence[str], environment: Mapping[str, str], found: _Collection) -> str | None:
    try:
        registry = _run([*npm, "config", "get", "registry"], environment).strip()
    except (OSError, subprocess.SubprocessError) as error:
        found.warnings.append(f"npm: {npm[0]} could not be asked for its registry ({type(error).__name__})")
        return None
    return registry if found.usable(registry, "npm registry") else None


def _run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    # In the root folder, since npm reads the .npmrc of the project it stands in.
    done = subprocess.run(
        command, env=dict(environment), cwd="/", capture_output=True, text=True, check=True, timeout=_TOOL_TIMEOUT_S
    )
    return done.stdout


def _index(pip: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The index, and when it is pip's default also the host that its files are on."""
    if pip.get("no_index"):
        return None, None
    index_url, default = pip.get("index_url"), pip.get("default_index_url")
    if index_url == default:
        of_uv = environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL")
        if of_uv:
            return of_uv.partition("=")[2] if _is_named(of_uv) else of_uv, None
        return index_url, pip.get("default_file_host")
    return index_url, None


def _uv_indexes(environment: Mapping[str, str]) -> list[str]:
    """UV_INDEX: URLs, each of which may have a name before it (`mirror=https://…`)."""
    return [word.partition("=")[2] if _is_named(word) else word for word in _words(environment, "UV_INDEX")]


def _is_named(index: str) -> bool:
    return re.match(r"[A-Za-z0-9_.-]+=", index) is not None


def _words(environment: Mapping[str, str], name: str) -> list[str]:
    return environment.get(name, "").split()


def _linked_folders(index: Path) -> list[Path]:
    """Folders outside a local index that its pages link to, such as `../../files/…`; judged by its first page."""
    page = next(iter(sorted(index.glob("*/index.html"))), None) if index.is_dir() else None
    if page is None:
        return []
    with page.open(encoding="utf-8", errors="replace") as text:
        links = _HREF.findall(text.read(_PAGE_BYTES))
    local = [link for link in links if not urllib.parse.urlsplit(link).scheme]
    folders = {(page.parent / urllib.parse.unquote(link)).resolve().parent for link in local}
    return sorted(folder for folder in folders if folder.is_dir() and not folder.is_relative_to(index.resolve()))
