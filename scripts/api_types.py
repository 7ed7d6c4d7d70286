"""Writes the page's view of the HTTP API from its OpenAPI description: its types, and the policy's form.

`python -m scripts.api_types` writes it; `--check` only says whether it is up to date.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from agent_tools.policy import SandboxPolicy
from graphs.requests import AgentEvent
from sandloop.http import create_app
from sandloop.settings import Settings

FOLDER = Path(__file__).parent.parent / "web" / "src" / "api"
_HEAD = "// Written by `make web-types` from the server's OpenAPI description. Do not edit.\n"
_REF = "#/components/schemas/"
_SIMPLE = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_METHODS = ("get", "post", "put", "patch", "delete")

Schema = Mapping[str, Any]


def files() -> dict[str, str]:
    """Return the texts of the files by their names."""
    form = SandboxPolicy.model_json_schema(by_alias=True)
    return {"types.ts": types(), "policy.json": json.dumps(form, indent=2, ensure_ascii=False) + "\n"}


def types() -> str:
    """Return the text of the TypeScript file."""
    described = create_app(Settings(), auth=False).openapi()
    # Events travel in a stream, which OpenAPI says little about.
    events = TypeAdapter(AgentEvent).json_schema(mode="serialization", ref_template=_REF + "{model}")
    schemas: dict[str, Schema] = {**events.pop("$defs"), **described["components"]["schemas"], "AgentEvent": events}
    # The server answers with every field; what is sent to it, too, may leave out what has a default.
    answered = set(_reached(schemas, *_answers(described), events)) - set(_reached(schemas, *_bodies(described)))
    parts = [_HEAD, *(_declared(name, schemas[name], answered) for name in sorted(schemas, key=_name))]
    return "\n".join([*parts, _operations(described), ""])


def _declared(name: str, schema: Schema, answered: set[str]) -> str:
    comment = _comment(schema.get("description"))
    if schema.get("type") == "object" and "properties" in schema:
        return f"{comment}export interface {_name(name)} {_fields(schema, whole=name in answered)}\n"
    return f"{comment}export type {_name(name)} = {_type(schema)};\n"


def _fields(schema: Schema, *, whole: bool) -> str:
    required = set(schema.get("required", ()))
    lines = []
    for field, inner in schema["properties"].items():
        mark = "" if field in required or whole else "?"
        lines.append(f"  {_key(field)}{mark}: {_type(inner)};")
    return "{\n" + "\n".join(lines) + "\n}"


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return _name(schema["$ref"].removeprefix(_REF))
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " | ".join(dict.fromkeys(_type(inner) for inner in schema[choice]))
    match schema.get("type"):
        case "array":
            return f"({_type(schema['items'])})[]" if "items" in schema else "unknown[]"
        case "object":
            return _object(schema)
        case str(simple) if simple in _SIMPLE:
            return _SIMPLE[simple]
    return "unknown"


def _object(schema: Schema) -> str:
    if "properties" in schema:
        return _fields(schema, whole=True)
    more = schema.get("additionalProperties")
    return f"Record<string, {_type(more) if isinstance(more, dict) else 'unknown'}>"


def _operations(described: Schema) -> str:
    lines = []
    for path, verbs in sorted(described["paths"].items()):
        for verb in _METHODS:
            if verb in verbs:
                lines.append(f"  {json.dumps(f'{verb.upper()} {path}')}: {_operation(verbs[verb])};")
    return "/** Each route with its body and its answer. */\nexport interface Operations {\n" + "\n".join(lines) + "\n}"


def _operation(operation: Schema) -> str:
    body = _json(operation.get("requestBody", {}))
    answers = [_json(answer) for status, answer in operation["responses"].items() if status.startswith("2")]
    return f"{{ body: {body}; answer: {' | '.join(dict.fromkeys(answers))} }}"


def _json(described: Schema) -> str:
    content = described.get("content", {})
    return _type(content["application/json"]["schema"]) if "application/json" in content else "undefined"


def _answers(described: Schema) -> Iterator[Schema]:
    for verbs in described["paths"].values():
        for operation in verbs.values():
            yield from operation["responses"].values()


def _bodies(described: Schema) -> Iterator[Schema]:
    for verbs in described["paths"].values():
        for operation in verbs.values():
            yield operation.get("requestBody", {})


def _reached(schemas: Mapping[str, Schema], *starts: Schema) -> Iterator[str]:
    """Yield the names that the starts refer to, by whatever way."""
    seen: set[str] = set()
    rest = list(starts)
    while rest:
        for name in re.findall(rf'"{_REF}([^"]+)"', json.dumps(rest.pop())):
            if name in schemas and name not in seen:
                seen.add(name)
                rest.append(schemas[name])
                yield name


def _name(name: str) -> str:
    return re.sub(r"\W", "", name)


def _key(field: str) -> str:
    return field if re.fullmatch(r"[A-Za-z_]\w*", field) else json.dumps(field)


def _comment(text: str | None) -> str:
    first = (text or "").split("\n\n")[0].replace("*/", "* /").replace("\n", " ").strip()
    return f"/** {first} */\n" if first else ""


def main() -> int:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = [name for name, text in files().items() if not _is(FOLDER / name, text)]
    for name in stale:
        if check:
            print(f"{name} is out of date: run 'make web-types'", file=sys.stderr)  # noqa: T201
        else:
            (FOLDER / name).write_text(files()[name])
    return 1 if check and stale else 0


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main())
