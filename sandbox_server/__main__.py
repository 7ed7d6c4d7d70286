"""Run an E2B-compatible sandbox server on this machine."""

from __future__ import annotations

import argparse
import dataclasses
import ipaddress
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .errors import SandboxServerError
from .guest.config import MIB, Limits
from .settings import Settings

PROGRAM = "python -m sandbox_server"
DEFAULT_PORT = 49980


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except (SandboxServerError, OSError) as error:
        print(f"sandbox_server: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands.add_parser("serve", help="run a server in the foreground"))
    env = commands.add_parser("env", help="print the variables for E2B's SDKs, starting the server in the background")
    env.add_argument("--shell", choices=("posix", "fish"), default="posix", help="whose syntax (default: %(default)s)")
    env.set_defaults(command=_env)
    status = commands.add_parser("status", help="tell whether a server runs, and where")
    status.set_defaults(command=_status)
    stop = commands.add_parser("stop", help="end the server and all its sandboxes")
    stop.set_defaults(command=_stop)
    listing = commands.add_parser("list", help="list the server's sandboxes")
    listing.set_defaults(command=_list)
    doctor = commands.add_parser("doctor", help="check what this machine can do, and say what to change")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(command=_doctor)
    return parser


_LIMITS = (
    ("--memory-mb", "memory_bytes", MIB, "memory of its processes"),
    ("--home-mb", "home_bytes", MIB, "size of its home folder"),
    ("--tmp-mb", "tmp_bytes", MIB, "size of its /tmp"),
    ("--file-mb", "file_bytes", MIB, "size of one file"),
    ("--output-mb", "output_bytes", MIB, "text that one execution may print"),
    ("--processes", "processes", 1, "processes and threads"),
    ("--open-files", "open_files", 1, "open files of one process"),
    ("--cpus", "cpus", 1, "share of the machine's processors"),
)
"""Option, field of `Limits`, unit, and what it bounds."""


def _add_serve(serve: argparse.ArgumentParser) -> None:
    limits = Limits()
    add = serve.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=_port, default=DEFAULT_PORT, help="0: any free one (default: %(default)s)")
    add("--api-key", metavar="KEY", help="what clients must send (default: $E2B_API_KEY, else made up; see 'env')")
    add("--template", type=_template, action="append", default=[], metavar="NAME=FILE", dest="templates",
        help="offer one more template, made of a requirements file; repeatable")  # fmt: skip
    add("--toolchain", type=Path, action="append", default=[], metavar="DIR", dest="toolchains",
        help="let sandboxes see a folder that has a bin/; repeatable")  # fmt: skip
    add("--idle-exit", type=_amount, metavar="SECONDS", help="end after this long without a sandbox")
    group = serve.add_argument_group("limits of each sandbox")
    for option, name, unit, text in _LIMITS:
        default = getattr(limits, name)
        kind, shown = (_count, default // unit) if isinstance(default, int) else (_amount, default)
        group.add_argument(option, type=kind, default=shown, metavar="MIB" if unit == MIB else "N",
            help=f"{text} (default: %(default)s)")  # fmt: skip
    group.add_argument("--lifetime", type=_count, default=Settings().max_lifetime_s, metavar="SECONDS",
        help="longest timeout that a client may ask for (default: %(default)s)")  # fmt: skip
    serve.set_defaults(command=lambda options: _serve(options, serve))


def _serve(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from . import logs
    from .foreground import serve

    api_key = options.api_key if options.api_key is not None else os.environ.get("E2B_API_KEY", "")
    if options.api_key == "" or not all("!" <= character <= "~" for character in api_key):
        # It travels in a header.
        parser.error("the API key must be printable ASCII without spaces")
    if ":" in options.host:
        parser.error("--host takes a name or an IPv4 address")
    if not _is_loopback(options.host):
        if not api_key:
            parser.error(f"--host {options.host} is open to other machines: choose a key by --api-key or E2B_API_KEY")
        print(f"warning: {options.host} is open to other machines, and the traffic is not encrypted", file=sys.stderr)
    given = {name: getattr(options, option[2:].replace("-", "_")) * unit for option, name, unit, _ in _LIMITS}
    settings = Settings(
        host=options.host,
        port=options.port,
        api_key=api_key,
        templates=dict(options.templates),
        toolchains=tuple(options.toolchains),
        limits=Limits(**given),
        max_lifetime_s=options.lifetime,
    )
    logs.to_stderr()
    serve(settings, idle_exit_s=options.idle_exit)
    return 0


def _env(options: argparse.Namespace) -> int:
    from . import resident

    for name, value in resident.ensure().env().items():
        if options.shell == "fish":
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            print(f"set -gx {name} '{quoted}'")
        else:
            quoted = value.replace("'", "'\"'\"'")
            print(f"export {name}='{quoted}'")
    return 0


def _status(options: argparse.Namespace) -> int:
    from . import resident

    found = resident.status()
    address = found.address
    paused = sum(sandbox.state == "paused" for sandbox in found.sandboxes)
    print(f"running at {address.url} (pid {address.pid}, version {address.version})")
    print(f"{len(found.sandboxes) - paused} running and {paused} paused sandboxes")
    return 0


def _stop(options: argparse.Namespace) -> int:
    from . import resident

    state = resident.stop()
    print(f"stopped the server at {state.url or 'its start'} (pid {state.pid})")
    return 0


def _list(options: argparse.Namespace) -> int:
    from . import resident

    rows = [("ID", "TEMPLATE", "STATE", "STARTED", "ENDS")]
    rows += [dataclasses.astuple(sandbox) for sandbox in resident.status().sandboxes]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from . import doctor, logs

    logs.to_stderr()
    findings = doctor.examine()
    print(doctor.as_json(findings) if options.json else doctor.as_text(findings))
    return 0 if doctor.usable(findings) else 1


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 65536:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("a number of at least 1 is expected")
    return number


def _amount(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("a number above 0 is expected")
    return number


def _template(text: str) -> tuple[str, Path]:
    name, separator, file = text.partition("=")
    if not (name and separator and file):
        raise argparse.ArgumentTypeError("NAME=FILE is expected")
    if not Path(file).is_file():
        raise argparse.ArgumentTypeError(f"there is no file '{file}'")
    return name, Path(file).absolute()


if __name__ == "__main__":
    sys.exit(main())
