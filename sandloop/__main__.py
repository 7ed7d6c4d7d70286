"""`python -m sandloop` is `sandloop`."""

from .cli import main

main()
