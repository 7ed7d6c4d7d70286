"""Reading, checking and filling prompts.

A prompt is Markdown with `$slots`. A line `<!-- include NAME -->` stands for the file `parts/NAME.md`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Final, Literal

from .errors import SlotError, UnknownPrompt

SLOTS: Final = frozenset({"languages", "packages", "policy", "time_limits", "tools"})
"""What a prompt may leave open:

languages: names of the languages that can be run, as a list in one line.
packages: the Python packages that are installed, as a list in one line.
policy: what the policy allows and forbids, as Markdown list items.
time_limits: how long a call may take and how long a sandbox lives, in sentences.
tools: the names of the attached tools, as a list in one line.
"""

_FOLDER = Path(__file__).parent
_INCLUDE = re.compile(r"^<!-- include (\w+) -->$", re.M)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A checked prompt.

    Attributes:
        slots: the slots that it uses.
    """

    name: str
    text: str
    slots: frozenset[str]

    @classmethod
    def parse(cls, name: str, text: str) -> Prompt:
        """Check a prompt's text, such as that of a user's own agent type. A dollar sign is written `$$`.

        Raises:
            SlotError: it has a slot that does not exist, or a dollar sign that begins none.
        """
        template = Template(text)
        if not template.is_valid():
            bad = next(found for found in template.pattern.finditer(text) if found["invalid"] is not None)
            line = text.count("\n", 0, bad.start()) + 1
            raise SlotError(f'Prompt "{name}", line {line}: a "$" begins no slot. A dollar sign is written "$$".')
        slots = frozenset(template.get_identifiers())
        if unknown := sorted(slots - SLOTS):
            raise SlotError(f'Prompt "{name}" has the unknown slot "${unknown[0]}". Known: {_listed(SLOTS)}.')
        return cls(name, text, slots)

    def render(self, **slots: str) -> str:
        """The text with its slots filled. Values are taken as they are: a `$` in them is no slot.

        Raises:
            SlotError: a slot has no value, or a value has no slot by that name in any prompt.
        """
        if missing := sorted(self.slots - slots.keys()):
            raise SlotError(f'Prompt "{self.name}" needs a value for the slot "${missing[0]}".')
        if unknown := sorted(slots.keys() - SLOTS):
            raise SlotError(f'There is no slot "${unknown[0]}" in any prompt. Known: {_listed(SLOTS)}.')
        return Template(self.text).substitute(slots)


def names() -> list[str]:
    """The names of all prompts: one an agent type."""
    return sorted(path.stem for path in _FOLDER.glob("*.md"))


@cache
def load(name: str) -> Prompt:
    """Read and check the prompt of an agent type. Reads files the first time.

    Raises:
        UnknownPrompt: there is none of this name.
        SlotError: the file has an unknown or malformed slot.
    """
    if name not in names():
        raise UnknownPrompt(f'There is no prompt "{name}". Known: {_listed(names())}.')
    text = (_FOLDER / f"{name}.md").read_text(encoding="utf-8")
    return Prompt.parse(name, _INCLUDE.sub(lambda found: _part(found[1]), text).strip())


def compose(prompt: str, system_prompt: str | None, mode: Literal["replace", "extend"]) -> str:
    """The system prompt of a request: its own instead of the agent type's, or after it.

    Args:
        prompt: the rendered prompt of the agent type.
        system_prompt: the request's own; without one, or with a blank one, `prompt` stays as it is.
        mode: `replace` gives up all that `prompt` teaches about the sandbox.
    """
    own = (system_prompt or "").strip()
    if not own:
        return prompt
    return own if mode == "replace" else f"{prompt}\n\n## Instructions for this conversation\n\n{own}"


def _part(name: str) -> str:
    return (_FOLDER / "parts" / f"{name}.md").read_text(encoding="utf-8").strip()


def _listed(words: frozenset[str] | list[str]) -> str:
    return ", ".join(sorted(words))
