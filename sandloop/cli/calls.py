"""A tool call as people read it: a title, and the code in it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from .terminal import visible, visible_line

_LONGEST = 120


@dataclass(frozen=True, slots=True)
class CallText:
    """What is shown of a call.

    Attributes:
        title: one line.
        code: shown below it; "" for none.
        lexer: Pygments' name for the language of the code.
    """

    title: str
    code: str = ""
    lexer: str = "text"


BODIES = {
    "execute_python_code": ("code", "python"),
    "execute_code": ("code", ""),
    "run_command": ("command", "bash"),
    "write_file": ("content", ""),
}
"""Tool → the argument that is its code, and the language; "" when other arguments say it."""


def call_text(name: str, args: Mapping[str, Any]) -> CallText:
    """Return what to show of a call. Its arguments are the model's words: nothing in them is hidden."""
    if name == "edit_file" and {"file_path", "old_string", "new_string"} <= args.keys():
        return CallText(
            _title(name, args, {"old_string", "new_string"}),
            visible(_diff(str(args["old_string"]), str(args["new_string"]))),
            "diff",
        )
    body, lexer = BODIES.get(name, ("", ""))
    code = args.get(body)
    if not isinstance(code, str):
        return CallText(_title(name, args, set()))
    lexer = lexer or _lexer(str(args.get("language") or ""), str(args.get("file_path") or ""))
    return CallText(_title(name, args, {body}), visible(code.strip("\n")), lexer)


def _title(name: str, args: Mapping[str, Any], without: set[str]) -> str:
    shown = []
    for key, value in args.items():
        if key in without or value in (None, "", [], False):
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        text = visible_line(text)
        shown.append(f"{visible_line(key)}={text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}")
    return "  ".join((visible_line(name), *shown))


def _lexer(language: str, path: str) -> str:
    if language:
        return {"csharp": "c#", "r": "r"}.get(language, language)
    ending = PurePosixPath(path).suffix.lower().removeprefix(".")
    return {"py": "python", "js": "javascript", "ts": "typescript", "sh": "bash", "md": "markdown"}.get(ending, ending)


def _diff(old: str, new: str) -> str:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=3)
    return "\n".join(list(lines)[2:])
