"""The IPython shell of a kernel: what IPython does itself stays; what it would do in a terminal goes to the daemon."""

from __future__ import annotations

import asyncio
import builtins
import getpass
import importlib
import os
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.profiledir import ProfileDir
from traitlets import Any as AnyTrait
from traitlets import Type
from traitlets.config import Config

from . import Event, display

Publish = Callable[[Event], None]
"""Sends an event to the daemon."""


class StdinNotImplementedError(NotImplementedError):
    """Code asked for input. The name is Jupyter's."""


def _refuse_input(prompt: object = "", *_: Any, **__: Any) -> NoReturn:
    raise StdinNotImplementedError(
        "nobody can type input here: put the value into the code, or pass it as an environment variable"
    )


class _MainResult(DisplayHook):  # type: ignore[misc]
    """The value of a cell's last expression."""

    def __call__(self, result: Any = None) -> None:
        self.check_for_underscore()
        if result is None or self.quiet():
            return
        self._is_active = True
        try:
            bundle, _ = self.compute_format_data(result)
            self.update_user_ns(result)
            self.fill_exec_result(result)
        finally:
            self._is_active = False
        if bundle:
            self.shell.publish_main(display.result(bundle, main=True))

    def quiet(self) -> bool:
        # IPython's own reads the cell token by token for every result.
        cell = self.shell.history_manager.input_hist_parsed[-1]
        return ";" in cell and bool(super().quiet())


class _Publisher(DisplayPublisher):  # type: ignore[misc]
    """What `display()` shows.

    E2B's protocol cannot change what was shown: of the updates of a display, the last one of each execution is sent
    as a result of its own when the execution ends.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._updates: dict[str, dict[str, Any]] = {}

    def publish(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        source: Any = None,
        *,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **_: Any,
    ) -> None:
        display_id = (transient or {}).get("display_id")
        if update and isinstance(display_id, str):
            self._updates[display_id] = data
        else:
            self.shell.publish(display.result(data, main=False))

    def clear_output(self, wait: bool = False) -> None:
        """Forget updates that were not sent yet; what was sent stays."""
        self._updates.clear()

    def send_updates(self) -> None:
        updates, self._updates = self._updates, {}
        for data in updates.values():
            self.shell.publish(display.result(data, main=False))


@magics_class
class _Packages(Magics):  # type: ignore[misc]
    """Installers that work on this sandbox's virtual environment."""

    @line_magic  # type: ignore[untyped-decorator]
    def pip(self, line: str) -> None:
        """Run pip for this sandbox, for example `%pip install httpx`."""
        self.shell.system(f"{sys.executable} -m pip {line}")

    @line_magic  # type: ignore[untyped-decorator]
    def conda(self, line: str) -> NoReturn:
        """Refuse, and say what works."""
        raise UsageError("there is no conda in this sandbox: use %pip install")

    mamba = micromamba = conda


class ZMQInteractiveShell(InteractiveShell):  # type: ignore[misc]
    """Named as Jupyter's shell: libraries look at the name to find out whether they can display."""

    displayhook_class = Type(_MainResult)
    display_pub_class = Type(_Publisher)
    kernel = AnyTrait()
    """Something that is not None: plotly's test for a notebook."""

    publish: Publish
    publish_main: Publish
    interrupted: Callable[[], bool]
    """Whether the running cell was asked to stop."""
    reported: bool
    """Whether the running cell has sent its error: a cell has one."""

    def init_ipython_dir(self, ipython_dir: str | None) -> None:
        """Leave the folder alone: nothing is written there before the user asks for it."""

    def init_profile_dir(self, profile_dir: ProfileDir | None) -> None:
        """Leave it without a place for now (see `db`)."""
        self.profile_dir = ProfileDir()

    def init_virtualenv(self) -> None:
        """Nothing to find: the kernel's search path is set by `python_main`."""

    def init_magics(self) -> None:
        """Add ours to IPython's."""
        super().init_magics()
        self.register_magics(_Packages)

    def init_display_formatter(self) -> None:
        """Add E2B's formats to IPython's."""
        super().init_display_formatter()
        display.install(self.display_formatter)

    def enable_gui(self, gui: str | None = None) -> None:
        """There is no window to show: `%matplotlib` names other than inline change nothing."""

    @property
    def db(self) -> Any:
        """What %store and %cd remember. The folder is made when the first of them is used."""
        if not self.profile_dir.location:
            self.profile_dir.location = os.path.expanduser("~/.ipython/profile_default")
        return super().db

    def attach(self, publish: Publish, publish_main: Publish, interrupted: Callable[[], bool]) -> None:
        """Connect the shell of a new kernel process to its daemon."""
        self.publish = publish
        self.publish_main = publish_main
        self.interrupted = interrupted
        self.kernel = object()
        builtins.input = _refuse_input
        getpass.getpass = _refuse_input
        for message in ("To exit: use", "Output cache limit"):
            warnings.filterwarnings("ignore", message=message)

    async def run(self, code: str) -> None:
        """Run one cell; its outputs and its error are published, nothing is raised but interrupts."""
        self.reported = False
        try:
            transformed, failure = self.transform_cell(code), None
        except Exception:
            transformed, failure = code, sys.exc_info()
        result = await self.run_cell_async(
            code, store_history=True, transformed_cell=transformed, preprocessing_exc_tuple=failure
        )
        self.events.trigger("post_execute")
        self.events.trigger("post_run_cell", result)
        self.display_pub.send_updates()
        if error := result.error_before_exec or result.error_in_exec:
            # IPython only prints exception groups.
            self.report(error, "".join(traceback.format_exception(error)))

    def system(self, cmd: str) -> None:
        """Run a shell command with the kernel's own stdout and stderr, so that its output streams."""
        expanded = self.var_expand(cmd, depth=1)
        code = subprocess.call(expanded, shell=True, executable="/bin/bash", stdin=subprocess.DEVNULL)
        # It may have been pip: a module that was not there a moment ago can be imported now.
        importlib.invalidate_caches()
        self.user_ns["_exit_code"] = code
        if self.system_raise_on_error and code:
            raise subprocess.CalledProcessError(code, expanded)

    system_piped = system_raw = system

    def ask_exit(self) -> NoReturn:
        """Refuse `exit()` and `quit()`: they would take the state of all cells along."""
        raise SystemExit("exit() ended this execution; the kernel and its variables stay. Restart the context to reset")

    def show_usage_error(self, exc: BaseException) -> None:
        """Publish a magic's complaint as the cell's error."""
        self.report(exc)

    def _showtraceback(self, etype: type[BaseException], evalue: BaseException, stb: list[str]) -> None:
        if issubclass(etype, asyncio.CancelledError) and self.interrupted():
            evalue, stb = KeyboardInterrupt(), [*stb[:-1], "KeyboardInterrupt: "]
        self.report(evalue, "\n".join(stb))

    def _format_exception_for_storage(self, *_: Any, **__: Any) -> dict[str, Any]:
        # IPython keeps every traceback for a notebook export that nobody can ask for, and formats it again for that.
        return {}

    def report(self, error: BaseException, trace: str | None = None) -> None:
        """Publish the cell's error, once."""
        if not self.reported:
            self.reported = True
            name, value = type(error).__name__, _text_of(error)
            trace = f"{name}: {value}" if trace is None else trace
            self.publish({"type": "error", "name": name, "value": value, "traceback": trace})


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__name__} whose __str__ failed>"


# Libraries look where Jupyter's shell is from.
ZMQInteractiveShell.__module__ = "ipykernel.zmqshell"


def create() -> ZMQInteractiveShell:
    """Return the shell, as every kernel process has it after its fork. Starts no thread and touches no file."""
    config = Config()
    # Libraries take a non-empty section of this name for a notebook.
    config.IPKernelApp.connection_file = ""
    config.InteractiveShell.colors = "nocolor"
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    config.PlainTextFormatter.max_seq_length = 0
    shell: ZMQInteractiveShell = ZMQInteractiveShell.instance(config=config)
    # Drops the flag of interactive prompts, where "incomplete input" takes the place of what is wrong with the code.
    shell.compile.reset_compiler_flags()
    return shell
