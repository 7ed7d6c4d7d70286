"""What a new sandbox finds in its home folder: a virtual environment of its own over the read-only template."""

from __future__ import annotations

import os
import sys

from .config import TEMPLATE, VENV

_PIP = f'#!/bin/sh\nexec {VENV}/bin/python -m pip "$@"\n'
SITE_PACKAGES = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
_VENV_CONFIG = f"home = {os.path.dirname(os.path.realpath(sys.executable))}\ninclude-system-site-packages = false\n"


def prepare() -> None:
    """Lay out the home folder. Real files and no overlay: pip can then change and remove what it installed."""
    for folder in (f"{VENV}/bin", f"{VENV}/{SITE_PACKAGES}"):
        os.makedirs(folder)
    interpreter = os.path.realpath(sys.executable)
    for name in ("python", "python3", f"python3.{sys.version_info.minor}"):
        os.symlink(interpreter, f"{VENV}/bin/{name}")
    _write(f"{VENV}/pyvenv.cfg", _VENV_CONFIG)
    _write(f"{VENV}/{SITE_PACKAGES}/sandloop-template.pth", f"{TEMPLATE}/{SITE_PACKAGES}\n")
    for name in ("pip", "pip3"):
        _write(f"{VENV}/bin/{name}", _PIP)
        os.chmod(f"{VENV}/bin/{name}", 0o755)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
