"""What `doctor` looks at. Each check takes what it reads as arguments and returns what it found."""

from .finding import Finding, Level

__all__ = ["Finding", "Level"]
