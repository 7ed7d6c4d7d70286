"""How long, and how much."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..errors import InvalidCall, PolicyRefusal
from ..policy import SandboxPolicy


class CallTimeout(NamedTuple):
    """Seconds that a call may take, and whether the caller wanted more."""

    seconds: float
    capped: bool


def check_timeout(policy: SandboxPolicy, seconds: float | None) -> CallTimeout:
    """The time of one call: what was asked for, or as much as the policy gives; None asks for that.

    Raises:
        InvalidCall: not a positive number (`timeout.value`).
    """
    longest = policy.max_execution_time
    if seconds is None:
        return CallTimeout(longest, capped=False)
    if isinstance(seconds, bool) or math.isnan(seconds) or seconds <= 0:
        raise InvalidCall(
            f"A timeout of {seconds} seconds is none. Give a number above 0, at most {longest}.", rule="timeout.value"
        )
    return CallTimeout(min(seconds, longest), capped=seconds > longest)


def check_file_size(policy: SandboxPolicy, size: int, path: str) -> None:
    """Refuse a file of more bytes than the policy allows.

    Raises:
        PolicyRefusal: it is larger (`file.size`).
    """
    if size > policy.max_file_bytes:
        raise PolicyRefusal(
            f"{path[:200]!r} has {size} bytes; tools copy at most {policy.max_file_bytes}. Take it in parts, or work "
            "on it inside the sandbox.",
            rule="file.size",
        )
