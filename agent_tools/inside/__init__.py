"""Programs that run inside a sandbox, sent there as files. They use nothing but what a sandbox has."""

from importlib import resources


def source(name: str) -> str:
    """Return the text of one of the programs."""
    return resources.files(__name__).joinpath(f"{name}.py").read_text(encoding="utf-8")
