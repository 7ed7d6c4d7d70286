"""`python -m sandbox_server.templates [REQUIREMENTS]` builds a template if needed and prints its path."""

import argparse
import functools
import sys
from pathlib import Path

from sandbox_server.errors import TemplateError

from .build import DEFAULT_REQUIREMENTS, ensure


def main() -> int:
    """Build the template of a requirements file; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sandbox_server.templates", description=__doc__)
    parser.add_argument("requirements", type=Path, nargs="?", default=DEFAULT_REQUIREMENTS)
    arguments = parser.parse_args()
    try:
        template = ensure(arguments.requirements, progress=functools.partial(print, file=sys.stderr, flush=True))
    except TemplateError as error:
        print(error, file=sys.stderr)
        return 1
    print(template.path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
