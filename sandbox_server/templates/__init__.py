"""Sandbox templates: the virtual environments that sandboxes see read-only, built once and kept by content."""

from .build import DEFAULT_REQUIREMENTS, Template, ensure

__all__ = ["DEFAULT_REQUIREMENTS", "Template", "ensure"]
