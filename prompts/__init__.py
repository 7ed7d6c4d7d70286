"""The system prompts of the agent types, as Markdown files, and the loader that checks their slots."""

from .errors import PromptError, SlotError, UnknownPrompt
from .loader import SLOTS, Prompt, compose, load, names

__all__ = ["SLOTS", "Prompt", "PromptError", "SlotError", "UnknownPrompt", "compose", "load", "names"]
