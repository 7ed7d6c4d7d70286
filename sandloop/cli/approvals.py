"""A person's decisions about tool calls that wait for one."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .calls import BODIES
from .exits import Problem
from .running import asked
from .terminal import visible

if TYPE_CHECKING:
    from graphs.requests import ApprovalDecision, ApprovalRequest

    from .view import View

_QUESTION = "[y]es, [n]o, [e]dit, [l]ater? "


def decide(view: View, waiting: Sequence[ApprovalRequest], approve: str) -> list[ApprovalDecision] | None:
    """Return a decision for each call; None when there is nobody to ask, or the person decides later."""
    from graphs.requests import ApprovalDecision

    view.pause()
    decisions: list[ApprovalDecision] = []
    for request in waiting:
        view.line(visible(request.reason) or "This call needs your approval.", "bold yellow")
        view.show_call(request.name, request.args, "?")
        if approve == "always":
            decisions.append(ApprovalDecision(tool_call_id=request.tool_call_id, decision="approve"))
        elif approve == "never":
            reason = "The user does not allow this. Do without it."
            decisions.append(ApprovalDecision(tool_call_id=request.tool_call_id, decision="reject", reason=reason))
        elif not (sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        elif (decision := _asked(view, request)) is not None:
            decisions.append(decision)
        else:
            return None
    return decisions


def _asked(view: View, request: ApprovalRequest) -> ApprovalDecision | None:
    from graphs.requests import ApprovalDecision

    while True:
        try:
            answer = asked(_QUESTION).strip().lower()[:1]
            if answer == "y":
                return ApprovalDecision(tool_call_id=request.tool_call_id, decision="approve")
            if answer == "n":
                reason = asked("why (the model is told; may be empty)? ")
                return ApprovalDecision(tool_call_id=request.tool_call_id, decision="reject", reason=reason)
            if answer == "e" and (args := _edited(view, request)) is not None:
                return ApprovalDecision(tool_call_id=request.tool_call_id, decision="edit", args=args)
        except EOFError:
            return None
        if answer == "l":
            return None


def _edited(view: View, request: ApprovalRequest) -> dict[str, Any] | None:
    """Let the person edit the call's code, or else its arguments as JSON; None when that came to nothing."""
    body = BODIES.get(request.name, ("", ""))[0]
    code = request.args.get(body)
    if isinstance(code, str):
        return {**request.args, body: _in_editor(code, ".txt")}
    text = _in_editor(json.dumps(request.args, indent=2, ensure_ascii=False), ".json")
    try:
        args = json.loads(text)
    except ValueError as error:
        view.line(f"that is not JSON: {error}", "red")
        return None
    return args if isinstance(args, dict) else None


def _in_editor(text: str, ending: str) -> str:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"call{ending}")
        file.write_text(text, encoding="utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(file)], check=True)
            return file.read_text(encoding="utf-8")
        except (OSError, subprocess.CalledProcessError, UnicodeDecodeError) as error:
            raise Problem(f"the editor {editor!r} does not work: {error}; $EDITOR names another") from error
