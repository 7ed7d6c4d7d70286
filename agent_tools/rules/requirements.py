"""Package names as an installer may get them: Python's and npm's, read strictly.

What is read here goes to an installer as one argument, and installers take much more than names there: options, files,
folders, addresses, git repositories, names for other packages. None of that passes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

Ecosystem = Literal["python", "npm"]

MAX_LENGTH: Final = 256
"""Characters of a name with extras, version and marker."""

NPM_PREFIX: Final = "npm:"
"""Marks npm's packages in the lists of a policy; without it a name is Python's."""

_ARCHIVES: Final = (
    ".whl",
    ".zip",
    ".gz",
    ".bz2",
    ".xz",
    ".lz",
    ".lzma",
    ".tar",
    ".tgz",
    ".tbz",
    ".txz",
    ".tlz",
    ".egg",
)
_FILES: Final = (*_ARCHIVES, ".txt", ".toml", ".cfg", ".py", ".in")
_PYTHON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-\[\],<>=!~*+();\"' ]*", re.ASCII)
_PYTHON_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_NPM = re.compile(
    r"(?P<name>(?:@[a-z0-9][a-z0-9._~-]*/)?[a-z0-9][a-z0-9._~-]*)"
    r"(?:@(?P<version>[A-Za-z0-9^~<>=*][A-Za-z0-9^~<>=*.+ |-]*))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Package:
    """A package as it was asked for.

    Attributes:
        ecosystem: whose package it is.
        name: as compared with lists: Python's canonical form (`Foo.Bar_baz` is `foo-bar-baz`), npm's as it is.
        requirement: what an installer gets as one argument, such as `requests[socks]>=2` or `@types/node@^20`.
    """

    ecosystem: Ecosystem
    name: str
    requirement: str

    @property
    def entry(self) -> str:
        """The package as the lists of a policy spell it: without version, npm's with a prefix."""
        return f"{NPM_PREFIX}{self.name}" if self.ecosystem == "npm" else self.name


class MalformedPackage(ValueError):
    """Not a package; the message says what it looks like and what to give instead."""


def read_package(text: str, ecosystem: Ecosystem) -> Package:
    """Read a name with, or without, extras, version and marker.

    Raises:
        MalformedPackage: it is anything else.
    """
    if len(text) > MAX_LENGTH:
        raise MalformedPackage(f"{text[:40]!r}… has {len(text)} characters; a package has at most {MAX_LENGTH}.")
    if not text.isascii():
        raise MalformedPackage(f"{text!a} holds letters outside ASCII, which may only look like a package's name.")
    if not text.isprintable():
        raise MalformedPackage(f"{text!r} holds a line break or another control character. Name one package an item.")
    return _read_python(text.strip()) if ecosystem == "python" else _read_npm(text.strip())


def read_entry(text: str) -> Package:
    """Read an item of a policy's list: a Python package, or an npm package after `npm:`.

    Raises:
        MalformedPackage: it is neither.
    """
    if text.strip().startswith(NPM_PREFIX):
        return read_package(text.strip().removeprefix(NPM_PREFIX), "npm")
    return read_package(text, "python")


def _read_python(text: str) -> Package:
    advice = "Give a name, with a version if needed: 'pandas', 'pandas>=2', 'requests[socks]==2.32.0'."
    if not _PYTHON.fullmatch(text):
        raise MalformedPackage(f"{text!r} is not a Python package: {_likeness(text)}. {advice}")
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise MalformedPackage(f"{text!r} is not a Python package. {advice}") from error
    if requirement.url is not None or not all(map(_PYTHON_NAME.fullmatch, (requirement.name, *requirement.extras))):
        raise MalformedPackage(f"{text!r} is not a Python package: {_likeness(text)}. {advice}")
    if requirement.name.lower().endswith(_FILES):
        raise MalformedPackage(f"{text!r} looks like a file. {advice}")
    name = canonicalize_name(requirement.name)
    extras = sorted({canonicalize_name(extra) for extra in requirement.extras})
    canonical = name + (f"[{','.join(extras)}]" if extras else "") + str(requirement.specifier)
    if requirement.marker is not None:
        canonical += f"; {requirement.marker}"
    return Package("python", name, canonical)


def _read_npm(text: str) -> Package:
    advice = "Give a name, with a version if needed: 'lodash', 'lodash@^4', '@types/node@20'."
    match = _NPM.fullmatch(text)
    if match is None:
        hint = "npm's names are lower case" if _NPM.fullmatch(text.lower()) else _likeness(text)
        raise MalformedPackage(f"{text!r} is not an npm package: {hint}. {advice}")
    name, version = match["name"], match["version"]
    if name.endswith(_ARCHIVES) or (version is not None and version.lower().endswith(_ARCHIVES)):
        raise MalformedPackage(f"{text!r} looks like a file. {advice}")
    return Package("npm", name, text)


def _likeness(text: str) -> str:
    """What something that is no package looks like."""
    if not text:
        return "it is empty"
    if text.startswith("-"):
        return "it looks like an option of the installer"
    if "://" in text or "git+" in text or text.startswith("file:"):
        return "it looks like an address, and only packages of the registry can be installed"
    if text.startswith((".", "~", "/")) or "/" in text or "\\" in text:
        return "it looks like a path"
    return "it holds characters that no package has"
