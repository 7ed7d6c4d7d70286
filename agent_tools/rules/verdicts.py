"""What a check answers when it does not refuse: what a person has to approve, and what the model should know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import PolicyRefusal

Action = Literal["off", "warn", "block", "ask"]
"""What a rule does when it matches: nothing, a note in the result, a refusal, or a question to a person."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to a person.

    Attributes:
        rule: the rule that asks, such as `package.unlisted`.
        subject: what it is about: a package, a pattern's name, a path.
        reason: a sentence for the person who decides.
    """

    rule: str
    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A call that is not refused, so far: `asks` are open questions, `warnings` are sentences for the model."""

    asks: tuple[Ask, ...] = ()
    warnings: tuple[str, ...] = ()

    def require_approval(self, *, approved: bool) -> None:
        """Refuse when there are open questions and nobody has answered them.

        Args:
            approved: a person was asked before this call, and agreed (`CallContext.asks_approved`).

        Raises:
            PolicyRefusal: with the rule of the first question and the reasons of all.
        """
        if self.asks and not approved:
            reasons = " ".join(ask.reason for ask in self.asks)
            raise PolicyRefusal(
                f"This needs a person's approval, which was not given: {reasons}", rule=self.asks[0].rule
            )


class Findings:
    """Collects what rules notice, by their action, and makes the verdict of it."""

    def __init__(self) -> None:
        self._asks: dict[Ask, None] = {}
        self._warnings: dict[str, None] = {}

    def note(self, action: Action, *, rule: str, subject: str, reason: str) -> None:
        """Act on a match.

        Raises:
            PolicyRefusal: the action is `block`.
        """
        match action:
            case "block":
                raise PolicyRefusal(reason, rule=rule)
            case "ask":
                self._asks[Ask(rule, subject, reason)] = None
            case "warn":
                self._warnings[f"{reason} [{rule}]"] = None
            case "off":
                pass

    @property
    def asks(self) -> tuple[Ask, ...]:
        """The questions, in the order found, without repetitions."""
        return tuple(self._asks)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings, in the order found, without repetitions."""
        return tuple(self._warnings)

    def verdict(self) -> Verdict:
        """What was found so far."""
        return Verdict(self.asks, self.warnings)
