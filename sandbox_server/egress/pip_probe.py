"""Prints pip's effective settings as JSON, run as a script by the interpreter whose pip is asked.

pip's own option parser applies its configuration files, its PIP_* variables and their precedence. There is no public
interface for this; these three names have been the same since pip 20.
"""

import importlib
import json
import sys


def main() -> None:
    """Write one JSON object to stdout; `registries.discover` reads it."""
    options, _ = importlib.import_module("pip._internal.commands").create_command("install").parser.parse_args([])
    default = importlib.import_module("pip._internal.models.index").PyPI
    settings = {
        "index_url": options.index_url,
        "extra_index_urls": options.extra_index_urls,
        "find_links": options.find_links,
        "no_index": options.no_index,
        "trusted_hosts": options.trusted_hosts,
        "default_index_url": default.simple_url,
        "default_file_host": default.file_storage_domain,
    }
    json.dump(settings, sys.stdout)


if __name__ == "__main__":
    main()
