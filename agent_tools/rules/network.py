"""May code run where it reaches the internet?"""

from __future__ import annotations

from ..policy import SandboxPolicy
from .verdicts import Ask, Verdict


def check_network(policy: SandboxPolicy) -> Verdict:
    """Ask, where the policy wants a person to know that code will reach the internet (`network.ask`)."""
    if policy.network == "on" and policy.network_approval == "ask":
        return Verdict(asks=(Ask("network.ask", "network", "Run this in a sandbox that reaches the internet?"),))
    return Verdict()
