"""Jupyter notebooks of what was said and run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from .results import Artifact, ExecutionResult
from .rules.languages import canonical_language

Json = dict[str, Any]

# Jupyter gives the cell to the program's standard input. Compiled languages have no such program.
_MAGICS: Final = {
    "bash": "%%bash",
    "javascript": "%%script node",
    "typescript": "%%script node --experimental-transform-types --input-type=module-typescript",
    "ruby": "%%script ruby",
    "php": "%%script php",
    "r": "%%script Rscript -",
    "julia": "%%script julia",
}
_PINNED: Final = re.compile(r"[A-Za-z0-9][\w.-]*==[\w.+!-]+", re.ASCII)
"""What an installer has installed; it comes from a sandbox, and becomes a line that somebody's machine runs."""


class Call(Protocol):
    """A tool call with its answer, as a conversation has it; `content` is what the model was told."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def args(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def content(self) -> Any: ...  # noqa: D102
    @property
    def artifacts(self) -> Sequence[Artifact]: ...  # noqa: D102


Entry = str | ExecutionResult | Call
"""Of a notebook: words in Markdown, or something that was run."""


def notebook(entries: Iterable[Entry], *, title: str = "") -> bytes:
    """Return a Jupyter notebook of version 4.5, in UTF-8.

    Python, and what Jupyter can give to an interpreter, becomes a code cell with its outputs; the latter starts afresh
    in each cell when it is run again, whatever the sandbox's kernel kept. Packages that were installed have a cell
    before. Everything else is shown as text.
    """
    import nbformat  # it takes a while, and only who exports should wait for it

    cells: list[Json] = []
    for entry in entries:
        if isinstance(entry, str):
            cells.append(_markdown(entry))
        else:
            cells += _cells(entry)
    count = 0
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
        if cell["cell_type"] == "code":
            count += 1
            cell["execution_count"] = count
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"title": title, "kernelspec": kernel, "language_info": {"name": "python"}}
    whole = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}
    text: str = nbformat.writes(nbformat.from_dict(whole))  # type: ignore[no-untyped-call]
    # Halves of surrogate pairs are no text, and a model can write them.
    return text.encode(errors="replace")


@dataclass(frozen=True, slots=True)
class _Execution:
    """What there is to show of one run, wherever it comes from."""

    code: str
    language: str
    output: str = ""
    stderr: str = ""
    error: str = ""
    traceback: str = ""
    packages: tuple[str, ...] = ()
    artifacts: tuple[Artifact, ...] = ()


def _cells(entry: ExecutionResult | Call) -> Iterator[Json]:
    execution = _execution(entry)
    if execution is None:
        assert not isinstance(entry, ExecutionResult)
        shown = _fenced(_text(entry.args), "json")
        yield _markdown(f"**{_plain(entry.name)}**\n\n{shown}\n\n{_fenced(_text(entry.content))}")
        return
    if execution.packages and execution.language == "python":
        yield _code(f"%pip install {' '.join(execution.packages)}")
    magic = _MAGICS.get(execution.language)
    if execution.language == "python" or magic:
        source = f"{magic}\n{execution.code}" if magic else execution.code
        yield _code(source, list(_outputs(execution)))
        return
    said = "\n".join(part for part in (execution.output, execution.stderr, execution.error) if part)
    shown = f"{_fenced(execution.code, _plain(execution.language))}\n\n{_fenced(said)}"
    yield _markdown(f"**{_plain(execution.language)}**\n\n{shown}")


def _markdown(text: str) -> Json:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(source: str, outputs: list[Json] | None = None) -> Json:
    return {
        "cell_type": "code",
        "metadata": {},
        "source": source,
        "execution_count": None,
        "outputs": outputs or [],
    }


def _execution(entry: ExecutionResult | Call) -> _Execution | None:
    if isinstance(entry, ExecutionResult):
        return _Execution(
            entry.code,
            entry.language,
            output=entry.output,
            stderr=entry.stderr,
            error=entry.error or "",
            traceback=entry.traceback,
            packages=_pinned(entry.packages_installed),
            artifacts=entry.artifacts,
        )
    args = entry.args
    content = entry.content if isinstance(entry.content, dict) else {"output": _text(entry.content)}
    match entry.name:
        case "execute_python_code":
            code, language = args.get("code"), "python"
        case "execute_code":
            name = str(args.get("language", ""))
            code, language = args.get("code"), canonical_language(name) or name
        case "run_command" | "execute":
            code, language = args.get("command"), "bash"
        case _:
            return None
    if not isinstance(code, str):
        return None
    return _Execution(
        code,
        language,
        output=_text(content.get("output") or content.get("stdout") or ""),
        stderr=_text(content.get("stderr") or ""),
        error=_text(content.get("error") or ""),
        traceback=_text(content.get("traceback") or ""),
        packages=_pinned(content.get("packages_installed")),
        artifacts=tuple(entry.artifacts),
    )


def _outputs(execution: _Execution) -> Iterator[Json]:
    for name, text in (("stdout", execution.output), ("stderr", execution.stderr)):
        if text:
            yield {"output_type": "stream", "name": name, "text": text if text.endswith("\n") else f"{text}\n"}
    for bundle in _bundles(execution.artifacts):
        yield {"output_type": "display_data", "data": bundle, "metadata": {}}
    if execution.error:
        name, _, value = execution.error.partition(": ")
        lines = (execution.traceback or execution.error).splitlines()
        yield {"output_type": "error", "ename": name, "evalue": value, "traceback": lines}


def _bundles(artifacts: Iterable[Artifact]) -> Iterator[Json]:
    """Yield what each result has, by MIME type: its artifacts end in the same number."""
    results: dict[str, Json] = {}
    for artifact in artifacts:
        bundle = results.setdefault(artifact.name.rpartition("-")[2], {})
        if artifact.data is None:
            place = f"in the sandbox: {artifact.path}" if artifact.path else "not kept"
            bundle["text/plain"] = f"[{artifact.kind} of {artifact.size} bytes, {place}]"
        elif artifact.kind in ("json", "chart", "dataframe"):
            bundle[artifact.mime_type] = parsed(artifact.data)
        else:
            # Jupyter's own name for it; it runs no script of a notebook that its user has not trusted.
            kind = "application/javascript" if artifact.kind == "javascript" else artifact.mime_type
            bundle[kind] = artifact.data
    yield from results.values()


def _pinned(packages: object) -> tuple[str, ...]:
    found = packages if isinstance(packages, list | tuple) else ()
    return tuple(item for item in found if isinstance(item, str) and _PINNED.fullmatch(item))


def _fenced(text: str, language: str = "") -> str:
    """Return a code block that the text cannot end."""
    longest = max(map(len, re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _plain(name: str) -> str:
    return re.sub(r"[^\w+#.-]", "_", name)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1, default=str)


def parsed(text: str) -> Any:
    """Return what JSON says, or the text when it is none."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
