"""R and Java: Jupyter kernels, each behind a bridge process of its own (jupyter_bridge.py) that speaks our protocol."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..config import TEMPLATE, SandboxConfig
from ..processes import Processes
from . import Kernel, KernelUnavailable
from .program import Program, ProgramKernel

Language = Literal["r", "java"]

_BRIDGE = Path(__file__).with_name("jupyter_bridge.py")
_PYTHON = Path(TEMPLATE, "bin", "python")
_JJAVA = Path(TEMPLATE, "share", "jupyter", "kernels", "java", "jjava.jar")
_R_LIBRARIES = ("/usr/lib/R/site-library", "/usr/local/lib/R/site-library", "/usr/lib/R/library")
_SETTLE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class _Spec:
    """How to run a Jupyter kernel; `{connection_file}` in `argv` is filled in by jupyter_client."""

    argv: list[str]
    interrupt_mode: Literal["signal", "message"]


async def start(processes: Processes, config: SandboxConfig, cwd: str, language: Language) -> Kernel:
    """Start a kernel and the bridge to it; takes about a second.

    Raises:
        KernelUnavailable: the kernel or its runtime is not installed, or does not start.
    """
    env = config.base_env()
    spec = _r(env) if language == "r" else _java(env, config)
    argv = [str(_PYTHON), "-I", str(_BRIDGE), language, spec.interrupt_mode, *spec.argv]
    try:
        program = await _Bridge.start(processes, config, argv, env=env, cwd=cwd)
    except KernelUnavailable:
        # The kernel binds ports that were free when the connection file was written; they may be taken by then.
        program = await _Bridge.start(processes, config, argv, env=env, cwd=cwd)
    return ProgramKernel(program)


class _Bridge(Program):
    async def _interrupt(self) -> None:
        # The bridge interrupts the kernel as its specification says, and never needs a signal itself.
        await self._send('{"op": "interrupt"}\n')
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                await self._wait_idle()


def _r(env: dict[str, str]) -> _Spec:
    program = shutil.which("R", path=env["PATH"])
    if program is None or not any(Path(library, "IRkernel").is_dir() for library in _R_LIBRARIES):
        raise KernelUnavailable("R needs its Jupyter kernel on the host: install the package r-cran-irkernel")
    return _Spec([program, "--slave", "-e", "IRkernel::main()", "--args", "{connection_file}"], "signal")


def _java(env: dict[str, str], config: SandboxConfig) -> _Spec:
    program = shutil.which("java", path=env["PATH"])
    if program is None or shutil.which("javac", path=env["PATH"]) is None:
        raise KernelUnavailable("Java needs a JDK (11 or later) on the host: install openjdk-17-jdk-headless")
    if not _JJAVA.exists():
        raise KernelUnavailable("Java needs its Jupyter kernel: install jjava into the template")
    options = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m"]
    # E2B gives Java the create call's variables as system properties, since it cannot set its own environment.
    options += [f"-D{name}={value}" for name, value in config.envs.items()]
    opens = ["--add-opens", "jdk.jshell/jdk.jshell=ALL-UNNAMED"]
    return _Spec([program, *options, *opens, "-jar", str(_JJAVA), "{connection_file}"], "message")
