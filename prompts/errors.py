"""What can go wrong with a prompt.

PromptError
├── UnknownPrompt     there is no prompt of this name; lists the known ones
└── SlotError         a slot is unknown, malformed, or got no value; names it
"""


class PromptError(Exception):
    """Base of all errors of this package."""


class UnknownPrompt(PromptError):
    """There is no prompt of this name."""


class SlotError(PromptError):
    """A slot of a prompt is unknown, malformed, or got no value."""
