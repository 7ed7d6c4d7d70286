"""The dotted names that Python code imports and uses, as far as its text shows them."""

from __future__ import annotations

import ast
import re
import textwrap
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_LONGEST_CHAIN: Final = 12
"""Parts of a dotted name. What is longer ends a walk that would take quadratic time."""

_MAGIC = re.compile(r"^(?P<indent>\s*)(?:(?P<target>[\w.,\[\] ]+=)\s*)?(?P<mark>!!?|%%?|\?)")
_HELP = re.compile(r"^(?P<indent>\s*)[\w.%]+\?{1,2}\s*$")
_MAGIC_CALLS: Final = {
    "!": "get_ipython.system",
    "!!": "get_ipython.getoutput",
    "%": "get_ipython.run_line_magic",
    "%%": "get_ipython.run_cell_magic",
}

_quiet = threading.Lock()
"""Held while warnings are switched off, which is done for the whole process."""


@dataclass(frozen=True, slots=True)
class PythonNames:
    """Names, each with the first line it was seen in.

    Attributes:
        imports: modules, and what is imported from them (`os`, `os.path`, `os.system`).
        used: what is called or only mentioned, with the names of imports resolved: `o.system` after `import os as o`,
            `system` after `from os import system`, `getattr(os, "system")` and `__import__("os").system` are all
            `os.system`.
    """

    imports: dict[str, int] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)


def read_names(code: str) -> PythonNames:
    """The names in a cell of a notebook: Python, with IPython's `!` and `%` lines. Empty for what does not parse."""
    names = PythonNames()
    tree = _parse(code)
    if tree is None:
        plain, magics = _without_magics(textwrap.dedent(code))
        names.used.update(magics)
        tree = _parse(plain)
    if tree is not None:
        _Reader(names).read(tree)
    return names


def _parse(code: str) -> ast.Module | None:
    # A doubtful escape is only a warning, which a strict process would turn into an error: the check would be skipped.
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _without_magics(code: str) -> tuple[str, dict[str, int]]:
    """Replace the lines that only IPython understands, and name what they call."""
    lines: list[str] = []
    calls: dict[str, int] = {}
    for number, line in enumerate(code.split("\n"), start=1):
        if match := _MAGIC.match(line):
            mark = match["mark"]
            if mark in _MAGIC_CALLS:
                name = "get_ipython.getoutput" if mark == "!" and match["target"] else _MAGIC_CALLS[mark]
                calls.setdefault(name, number)
        else:
            match = _HELP.match(line)
        lines.append(line if match is None else f"{match['indent']}pass")
    return "\n".join(lines), calls


class _Reader:
    """Reads one module's names."""

    def __init__(self, names: PythonNames) -> None:
        self._names = names
        self._aliases: dict[str, str] = {}
        self._stars: list[str] = []

    def read(self, tree: ast.Module) -> None:
        nodes = list(ast.walk(tree))  # imports first: a function may come before the import that it uses
        for node in nodes:
            if isinstance(node, ast.Import):
                self._import(node)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                self._import_from(node, node.module)
        for node in nodes:
            if isinstance(node, ast.Attribute | ast.Name | ast.Call):
                self._use(node)

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._names.imports.setdefault(alias.name, node.lineno)
            if alias.asname:
                self._aliases[alias.asname] = alias.name

    def _import_from(self, node: ast.ImportFrom, module: str) -> None:
        self._names.imports.setdefault(module, node.lineno)
        for alias in node.names:
            if alias.name == "*":
                self._stars.append(module)
            else:
                self._names.imports.setdefault(f"{module}.{alias.name}", node.lineno)
                self._aliases[alias.asname or alias.name] = f"{module}.{alias.name}"

    def _use(self, node: ast.Attribute | ast.Name | ast.Call) -> None:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            return
        if (module := _imported_by_call(node)) is not None:
            self._names.imports.setdefault(module, node.lineno)
        for name in self._resolved(node):
            self._names.used.setdefault(name, node.lineno)

    def _resolved(self, node: ast.expr) -> Iterator[str]:
        """The dotted name of an expression, and what it may be instead after an import of everything."""
        parts: list[str] = []
        while len(parts) < _LONGEST_CHAIN:
            match node:
                case ast.Attribute(value=value, attr=attr):
                    parts.append(attr)
                    node = value
                case ast.Call(func=ast.Name(id="getattr"), args=[value, ast.Constant(value=str(attr)), *_]):
                    parts.append(attr)
                    node = value
                case ast.Call(func=ast.Name(id="get_ipython") as function, args=[]):
                    node = function
                case ast.Name(id=first):
                    rest = [first, *reversed(parts)]
                    if first in self._aliases:
                        yield ".".join([self._aliases[first], *rest[1:]])
                        return
                    yield _without_builtins(".".join(rest))
                    for star in self._stars[:_LONGEST_CHAIN]:
                        yield ".".join([star, *rest])
                    return
                case _:
                    module = _imported_by_call(node)
                    if module is not None:
                        yield ".".join([module, *reversed(parts)])
                    return


def _imported_by_call(node: ast.expr) -> str | None:
    """The module of `__import__("m")` or `importlib.import_module("m")`."""
    match node:
        case ast.Call(
            func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module" | "__import__"),
            args=[ast.Constant(value=str(module)), *_],
        ):
            return module
    return None


def _without_builtins(name: str) -> str:
    return name.removeprefix("builtins.").removeprefix("__builtins__.")
