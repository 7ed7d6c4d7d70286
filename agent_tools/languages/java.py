"""What has to be known of a Java program before the compiler sees it: its file's name, and the class to start."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<skip> //[^\n]* | /\*.*?(?:\*/|\Z)                     # comments
        | \"{3}(?:\\.|(?!\"{3}).)*(?:\"{3}|\Z)                # text blocks
        | "(?:\\.|[^"\\\n])*"? | '(?:\\.|[^'\\\n])*'? | \s+ )  # strings and characters
    | (?P<word> [^\W\d]\w*(?:\s*\.\s*[^\W\d]\w*)* )           # names, with their dots
    | (?P<sign> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_KINDS = frozenset({"class", "interface", "enum", "record"})


@dataclass(frozen=True, slots=True)
class Program:
    """A Java source file with a class to start.

    Attributes:
        file_name: what javac wants the file to be called: after the public type, else after the one to start.
        main_class: the full name of the class with `main`, as `java` takes it.
    """

    file_name: str
    main_class: str


@dataclass(slots=True)
class _Type:
    """A type that has been declared."""

    name: str
    """With those around it, as the virtual machine writes it: Outer$Inner."""
    depth: int
    """Of braces, inside its body."""
    public: bool
    has_main: bool = False
    static_main: bool = False


def program(code: str) -> Program | None:
    """Find the class to start; None where no class has a `main`: a snippet for a kernel.

    Of several, top-level ones go before nested ones, and those with a static `main` before others.
    """
    package, types = _Scan(_tokens(code)).run()
    starts = [declared for declared in types if declared.has_main]
    if not starts:
        return None
    start = min(starts, key=lambda declared: (not declared.static_main, declared.depth, not declared.public))
    named = next((declared for declared in types if declared.public and declared.depth == 1), None)
    file_name = named.name if named else start.name.partition("$")[0]
    return Program(f"{file_name}.java", f"{package}.{start.name}" if package else start.name)


def _tokens(code: str) -> list[str]:
    return [match["word"] or match["sign"] for match in _TOKEN.finditer(code) if match.lastgroup != "skip"]


class _Scan:
    """One pass over the tokens: which types there are, and in which of their bodies a `main` stands."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._types: list[_Type] = []
        self._open: list[_Type] = []
        self._depth = 0
        self._package = ""

    def run(self) -> tuple[str, list[_Type]]:
        """Return the package and the types, in the order of their declarations."""
        declared: _Type | None = None
        modifiers: set[str] = set()
        for index, token in enumerate(self._tokens):
            if token == "{":
                self._depth += 1
                if declared is not None:
                    self._open.append(declared)
                    declared = None
            elif token == "}":
                if self._open and self._open[-1].depth == self._depth:
                    self._open.pop()
                self._depth -= 1
            elif token == "package" and self._depth == 0:
                self._package = re.sub(r"\s", "", self._next(index))
            elif token in _KINDS and declared is None and self._is_type_body():
                declared = self._declare(index, modifiers)
            elif token == "void" and self._next(index) == "main" and self._next(index + 1) == "(":
                self._note_main(modifiers)
            modifiers = set() if token in "{};" else modifiers | {token}
        return self._package, self._types

    def _next(self, index: int) -> str:
        return self._tokens[index + 1] if index + 1 < len(self._tokens) else ""

    def _is_type_body(self) -> bool:
        """Whether a declaration here is a top-level or member type, not one inside a method."""
        return self._depth == (self._open[-1].depth if self._open else 0)

    def _declare(self, index: int, modifiers: set[str]) -> _Type | None:
        name, after = self._next(index), self._next(index + 1)
        # `record` is a name like any other unless a declaration follows: record Point(int x), record Pair<A>(A a).
        declares = after in ("{", "<", "(", "extends", "implements", "permits")
        if not name.isidentifier() or not declares:
            return None
        outer = f"{self._open[-1].name}$" if self._open else ""
        found = _Type(outer + name, self._depth + 1, "public" in modifiers)
        self._types.append(found)
        return found

    def _note_main(self, modifiers: set[str]) -> None:
        if self._open and self._open[-1].depth == self._depth:
            self._open[-1].has_main = True
            self._open[-1].static_main = "static" in modifiers
