"""What Python kernels share: imported and made once in the template, found there by every fork of it."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import site
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

from ..config import HOME, VENV
from ..home import SITE_PACKAGES
from . import Event, display, frames
from .shell import ZMQInteractiveShell, create
from .stash import Modules, Shelf, Stash, take, top_level

_PRELOADED = ("numpy", "pandas", "matplotlib.pyplot", "matplotlib_inline.backend_inline", "PIL.Image", "e2b_charts")
_SHARED_WITH_IPYTHON = frozenset({"typing_extensions"})
"""IPython uses these too, but users' libraries need their own, newer versions. IPython keeps what it has of them."""
_INLINE_BACKEND = "module://matplotlib_inline.backend_inline"
USER_PACKAGES = f"{VENV}/{SITE_PACKAGES}"


class Preload:
    """A warm interpreter. What it imports is held back at once, before any fork.

    To move a thousand modules takes milliseconds in a forked process, which shares all its pages.
    """

    def __init__(self) -> None:
        """Import IPython and the scientific libraries, make the shell. Leaves one thread and no open descriptor."""
        self._path = _kernel_path()
        self._threads = 1
        self._numpy_ready = False
        guest_path, sys.path[:] = sys.path[:], self._path
        outsiders = {top_level(name) for name, module in sys.modules.items() if _is_outside(module, self._path)}
        self._guest = Shelf(take(outsiders))
        try:
            self.shell = create()
            exercise(self.shell)
            _exercise_once(self.shell)
            from threadpoolctl import ThreadpoolController

            before = {top_level(name) for name in sys.modules}
            _import_libraries(self.shell)
            held_back = {top_level(name) for name in sys.modules} - before | _SHARED_WITH_IPYTHON
            self.stash = Stash(held_back - sys.stdlib_module_names, self._on_restored)
            self._pools = ThreadpoolController()
            self.stash.hide()
        finally:
            self._last_module = next(reversed(sys.modules))
            self._removed: Modules = {}
            self._guest.activate()
            sys.path[:] = guest_path
            os.environ.pop("MPLCONFIGDIR", None)
        for thread in threading.enumerate():
            if thread is not threading.main_thread():
                thread.join()

    def enter(self, threads: int) -> None:
        """Make this process a Python of the sandbox's environment, which has nothing of the guest in it.

        `threads` is how many numpy may use, once it is imported.
        """
        self._threads = threads
        self._guest.deactivate()
        # The guest's modules that were loaded after the preload are the last ones. Referenced from here, they outlive
        # their removal: to free them would copy their pages.
        for name in list(itertools.takewhile(lambda name: name != self._last_module, reversed(sys.modules))):
            if top_level(name) not in sys.stdlib_module_names:
                self._removed[name] = sys.modules.pop(name)
        self.stash.activate()
        sys.argv = [""]
        sys.executable = f"{VENV}/bin/python"
        sys.prefix = sys.exec_prefix = VENV
        standard, template = self._path[:-1], self._path[-1]
        sys.path[:] = standard
        # The user's packages come before the template's, which the same folder's .pth file names.
        site.addsitedir(USER_PACKAGES)
        if template not in sys.path:
            sys.path.append(template)

    def _on_restored(self, packages: frozenset[str]) -> None:
        """Finish what the template could not do for libraries that come back for the first time in this process."""
        numpy = sys.modules.get("numpy")
        if numpy is not None and "numpy" in packages and not self._numpy_ready:
            self._numpy_ready = True
            numpy.random.seed()
            for pool in self._pools.lib_controllers:
                pool.set_num_threads(self._threads)


def exercise(shell: ZMQInteractiveShell) -> None:
    """Do what a first cell does: IPython loads much of itself on first use, and a fork copies what it touches then."""
    with contextlib.suppress(StopIteration):
        shell.run_cell_async("1+1", silent=True, transformed_cell=shell.transform_cell("1+1")).send(None)
    frames.encode(display.result(shell.display_formatter.format(2)[0], main=True))


def _exercise_once(shell: ZMQInteractiveShell) -> None:
    """Import what a cell with a result and one with an error need, and leave no trace of them."""
    shell.attach(_ignore, _ignore, lambda: False)
    module = {name: value for name, value in shell.user_ns.items() if name.startswith("__")}
    for code in ("1+1", "1/0", "("):
        with contextlib.suppress(StopIteration):
            shell.run(code).send(None)
    shell.reset(new_session=True)
    shell.user_ns.update(module)


def _ignore(event: Event) -> None:
    """Publish nothing."""


def _kernel_path() -> list[str]:
    """Return the module search path of kernels: the standard library and the template, nothing of the guest."""
    root = os.path.dirname(sysconfig.get_path("stdlib"))
    standard = [path for path in sys.path if path.startswith(root) and "site-packages" not in path]
    return ["", *standard, sysconfig.get_path("purelib")]


def _is_outside(module: Any, path: list[str]) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and not file.startswith(tuple(filter(None, path)))


def _import_libraries(shell: ZMQInteractiveShell) -> None:
    os.environ["MPLBACKEND"] = _INLINE_BACKEND
    with _without_matplotlib_folder():
        for name in _PRELOADED:
            __import__(name)
    display.show_images()
    from matplotlib import pyplot
    from pandas import DataFrame

    pyplot.switch_backend(_INLINE_BACKEND)
    # A first figure and a first table import and cache what they need: fonts, image writers, formatters.
    figure = pyplot.figure()
    figure.add_subplot().plot([1, 2], [1, 2])
    shell.display_formatter.format(figure)
    pyplot.close(figure)
    shell.display_formatter.format(DataFrame({"a": [1.0], "b": ["x"]}))


@contextlib.contextmanager
def _without_matplotlib_folder() -> Iterator[None]:
    """Matplotlib insists on a writable folder when it is imported. The template has none, and needs none."""
    mkdtemp = tempfile.mkdtemp
    tempfile.mkdtemp = lambda **_: f"{HOME}/.cache/matplotlib"  # type: ignore[assignment]
    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        tempfile.mkdtemp = mkdtemp
        logging.getLogger("matplotlib").setLevel(logging.NOTSET)
