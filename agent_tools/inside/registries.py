"""Print the hosts of the package registries that pip and npm ask, as a JSON list; runs in a sandbox."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import urllib.parse

_NPM_S = 20


def of_pip() -> list[str | None]:
    """Return the hosts of pip's indexes, and of the files of its default one."""
    try:
        # There is no public interface for this; these names have been the same since pip 20.
        options, _ = importlib.import_module("pip._internal.commands").create_command("install").parser.parse_args([])
        default = importlib.import_module("pip._internal.models.index").PyPI
    except ImportError:
        return []
    urls = [options.index_url, *options.extra_index_urls]
    hosts = [urllib.parse.urlsplit(url).hostname for url in urls if url]
    return [*hosts, default.file_storage_domain] if options.index_url == default.simple_url else hosts


def of_npm() -> list[str | None]:
    """Return the host of npm's registry."""
    if not (npm := shutil.which("npm")):
        return []
    try:
        done = subprocess.run([npm, "config", "get", "registry"], capture_output=True, text=True, timeout=_NPM_S)
    except (OSError, subprocess.SubprocessError):
        return []
    return [urllib.parse.urlsplit(done.stdout.strip()).hostname]


if __name__ == "__main__":
    print(json.dumps(sorted({host for host in (*of_pip(), *of_npm()) if host})))  # noqa: T201
