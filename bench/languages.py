"""Measure a hello world of every language: the first in a new sandbox, and the ones after it.

Run it on a quiet machine: `python -m bench.languages` in the repository's root.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time

from e2b import SandboxException
from e2b_code_interpreter import AsyncSandbox

from agent_tools.languages import LANGUAGES, Language, find, recipe_for, run_program

from .server import RunningServer, running

_SECONDS = 300
HELLO = {
    "python": "print('hello')",
    "javascript": "console.log('hello')",
    "typescript": "const word: string = 'hello'\nconsole.log(word)",
    "bash": "echo hello",
    "go": 'package main\nimport "fmt"\nfunc main() { fmt.Println("hello") }',
    "rust": 'fn main() { println!("hello") }',
    "java": 'class Hello { public static void main(String[] a) { System.out.println("hello"); } }',
    "c": '#include <stdio.h>\nint main(void) { puts("hello"); }',
    "cpp": '#include <iostream>\nint main() { std::cout << "hello\\n"; }',
    "csharp": 'class Hello { static void Main() { System.Console.WriteLine("hello"); } }',
    "ruby": "puts 'hello'",
    "php": "<?php echo 'hello';",
    "r": "cat('hello')",
    "julia": 'println("hello")',
}
NET_HTTP = 'package main\nimport ("fmt"; "net/http")\nfunc main() { fmt.Println("hello", http.StatusText(200)) }'
KERNELS = {"r": "cat('hello')", "java": 'System.out.println("hello");'}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.languages", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="new sandboxes for each language")
    rounds = parser.parse_args().rounds
    with running() as server:
        asyncio.run(_measure(server, rounds))


async def _measure(server: RunningServer, rounds: int) -> None:
    print("| program | first, ms | later, ms |")
    print("|---|---|---|")
    for language in LANGUAGES:
        _row(language.title, [await _programs(server, language, HELLO[language.name]) for _ in range(rounds)])
    _row("Go, net/http", [await _programs(server, find("go"), NET_HTTP) for _ in range(rounds)])
    for kernel, code in KERNELS.items():
        _row(f"{find(kernel).title}, in its kernel", [await _cells(server, kernel, code) for _ in range(rounds)])


def _row(title: str, pairs: list[tuple[float, float] | None]) -> None:
    measured = [pair for pair in pairs if pair]
    if measured:
        first, later = (statistics.median(times) * 1000 for times in zip(*measured, strict=True))
        print(f"| {title} | {first:.0f} | {later:.0f} |", flush=True)


async def _create(server: RunningServer) -> AsyncSandbox:
    sandbox = await AsyncSandbox.create(
        timeout=_SECONDS, api_url=server.url, sandbox_url=server.url, api_key=server.api_key
    )
    await sandbox.commands.run("true")
    return sandbox


async def _programs(server: RunningServer, language: Language, code: str) -> tuple[float, float] | None:
    """Return the seconds of the first program in a new sandbox and of the second; None without the language."""
    sandbox = await _create(server)
    try:
        if await recipe_for(sandbox, language) is None:
            return None
        times = []
        for _ in range(2):
            started = time.perf_counter()
            result = await run_program(sandbox, language, code, timeout_s=_SECONDS)
            times.append(time.perf_counter() - started)
            assert result.stdout.startswith("hello"), result
        return times[0], times[1]
    finally:
        await sandbox.kill()


async def _cells(server: RunningServer, kernel: str, code: str) -> tuple[float, float] | None:
    sandbox = await _create(server)
    try:
        times = []
        for _ in range(2):
            started = time.perf_counter()
            await sandbox.run_code(code, language=kernel)
            times.append(time.perf_counter() - started)
        return times[0], times[1]
    except SandboxException:  # no such kernel on this machine
        return None
    finally:
        await sandbox.kill()


if __name__ == "__main__":
    main()
