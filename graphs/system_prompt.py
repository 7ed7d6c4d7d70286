"""The system prompt of a run: the agent type's, filled with what holds for this run, and the request's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agent_tools.policy import SandboxPolicy
from agent_tools.rules.languages import LANGUAGES, allows
from prompts import compose

from .agent_types import AgentType
from .context import AgentContext

_TEMPLATE_PACKAGES: Final = (
    "numpy, pandas, scipy, matplotlib, seaborn, scikit-learn, sympy, pillow, requests, plotly, openpyxl and more: "
    "get_sandbox_info lists all"
)
_SHOWN = 30


def system_prompt(agent_type: AgentType, context: AgentContext, policy: SandboxPolicy, tools: Sequence[str]) -> str:
    """Return the system prompt of a run.

    Args:
        agent_type: whose prompt it begins with.
        context: may extend or replace it; else the policy's own prompt extends it.
        policy: described in it.
        tools: the names of the attached tools.
    """
    base = agent_type.parsed_prompt.render(
        languages=", ".join(name for name in LANGUAGES if allows(policy, name)) or "none",
        packages="; also ".join(filter(None, (_TEMPLATE_PACKAGES, ", ".join(policy.default_packages)))),
        policy="\n".join(f"- {line}" for line in _rules(policy)),
        time_limits=(
            f"One call may take {policy.max_execution_time} seconds, installs included. The sandbox sleeps "
            f"{policy.timeout} seconds after its last call, and wakes with its state at the next."
        ),
        tools=", ".join(tools) or "none",
    )
    if context.system_prompt:
        return compose(base, context.system_prompt, context.system_prompt_mode)
    return compose(base, policy.system_prompt, "extend")


def _rules(policy: SandboxPolicy) -> list[str]:
    network = {
        "off": "No network.",
        "registries": "No internet: only the package registries are reached, by installs.",
        "on": "The internet is reached over HTTP and HTTPS.",
    }
    lines = [network[policy.network]]
    if policy.enable_network and policy.network_approval == "ask":
        lines.append("A person is asked before code runs.")
    if not policy.installs_possible:
        lines.append("No packages can be installed.")
    elif policy.allowed_packages:
        others = {"deny": "no others", "ask": "others after a person agrees", "allow": "and others"}
        lines.append(f"Packages: {_some(policy.allowed_packages)}; {others[policy.unlisted_packages]}.")
    elif policy.unlisted_packages == "ask":
        lines.append("A person is asked before a package is installed.")
    else:
        lines.append("Packages can be installed.")
    if policy.denied_packages:
        lines.append(f"Never these packages: {_some(policy.denied_packages)}.")
    blocked = [pattern.name for pattern in policy.dangerous_code_patterns if pattern.action in ("block", "ask")]
    if policy.code_checks == "block" and blocked:
        lines.append(f"Code is searched for dangerous patterns before it runs: {_some(blocked)}.")
    if not policy.enable_file_system:
        lines.append("There are no tools for files.")
    if policy.host_directories:
        lines.append(f"Files may be copied from and to the user's folders {_some(policy.host_directories)}.")
    return lines


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
