"""Does this tool call need a person, and why?

The same checks as the call itself makes, asked before it. The answer depends on the policy and the arguments alone, so
it is the same when a paused run goes on; but for a regular expression so slow that it runs into its time limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ..errors import CallRefused
from ..policy import SandboxPolicy
from .code import check_code
from .languages import check_language
from .network import check_network
from .packages import check_packages
from .paths import check_file_name
from .verdicts import Ask, Verdict

Arguments = Mapping[str, object]


def asks_of_call(policy: SandboxPolicy, tool: str, arguments: Arguments) -> tuple[Ask, ...]:
    """What a person has to be asked before a tool call, in order; empty when nothing.

    A call that will be refused asks nothing: nobody's approval would help it, and the model is told why. Arguments of
    the wrong type are left to the tool, which refuses them.
    """
    checks = _CHECKS.get(tool)
    if checks is None:
        return ()
    try:
        return tuple(dict.fromkeys(ask for verdict in checks(policy, arguments) for ask in verdict.asks))
    except CallRefused:
        return ()


def _python(policy: SandboxPolicy, arguments: Arguments) -> list[Verdict]:
    check_language(policy, "python")
    return [
        check_network(policy),
        check_packages(policy, _texts(arguments, "install_packages")),
        check_code(policy, _text(arguments, "code"), "python"),
    ]


def _code(policy: SandboxPolicy, arguments: Arguments) -> list[Verdict]:
    language = check_language(policy, _text(arguments, "language"))
    return [check_network(policy), check_code(policy, _text(arguments, "code"), language)]


def _command(policy: SandboxPolicy, arguments: Arguments) -> list[Verdict]:
    check_language(policy, "bash")
    return [check_network(policy), check_code(policy, _text(arguments, "command"), "bash")]


def _packages(policy: SandboxPolicy, arguments: Arguments) -> list[Verdict]:
    return [check_packages(policy, _texts(arguments, "packages"), _text(arguments, "language") or "python")]


def _file(policy: SandboxPolicy, arguments: Arguments) -> list[Verdict]:
    names = dict.fromkeys(_text(arguments, key) for key in ("file_path", "path", "host_path"))
    return [check_file_name(policy, name) for name in names if name]


_CHECKS: Final[dict[str, Callable[[SandboxPolicy, Arguments], list[Verdict]]]] = {
    "execute_python_code": _python,
    "execute_code": _code,
    "run_command": _command,
    "install_packages": _packages,
    "write_file": _file,
    "edit_file": _file,
    "upload_file": _file,
    "download_file": _file,
}


def _text(arguments: Arguments, key: str) -> str:
    value = arguments.get(key)
    return value if isinstance(value, str) else ""


def _texts(arguments: Arguments, key: str) -> list[str]:
    value = arguments.get(key)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else []
