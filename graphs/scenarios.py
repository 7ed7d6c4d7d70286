"""Scripts of the scripted model: what a file may say, and what a step becomes in a conversation.

A script has scenarios; the first whose `match` is found in the user's message is played. A scenario has steps; each is
one reply of the model: a text, calls of tools, or both. Texts and arguments may quote:

    {{ last.output }}         a field of the last tool result (or of the first failed one, if calls ran in parallel)
    {{ totals.output.0 }}     of the result of the call with `id: totals`; a number takes an item, of a text a line
    {{ match.n }}             what the group `n` of `match` found in the user's message, else its entry in `defaults`
    {{ message }}             the user's message
    {{ match.file | json }}   as a JSON text: quoted, also for Python and JavaScript

There is nothing else: no expressions, no code. What is not there is quoted as "(no last.output)".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from .errors import ScriptInvalid

FOLLOW_UP = "sandloop_follow_up"
"""Set in the `additional_kwargs` of a HumanMessage that no user wrote, such as the images of a tool's result: no turn
begins with it."""

ALL = "demo"
"""The name of the script that holds the scenarios of all built-in ones."""

_FOLDER = Path(__file__).with_name("scripts")
_QUOTE = re.compile(r"\{\{\s*([A-Za-z_][\w.-]*)\s*(\|\s*json\s*)?\}\}")


def _is_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScriptedCall(_Part):
    """A call of a tool. By its `id`, later steps can quote its result."""

    tool: str
    args: dict[str, JsonValue] = {}
    id: str | None = None


class Step(_Part):
    """One reply of the model. With calls the agent goes on; without, its turn ends here."""

    when: Literal["always", "failed", "succeeded"] = "always"
    """Skip the step unless the results of the step before failed, or all succeeded."""
    text: str = ""
    calls: tuple[ScriptedCall, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.text and not self.calls:
            raise ValueError("a step needs a text or calls")
        return self


class Scenario(_Part):
    """The steps for a kind of user's message."""

    match: Annotated[str, AfterValidator(_is_pattern)]
    """A regular expression, searched in the user's message."""
    defaults: dict[str, str] = {}
    """For the groups of `match` that found nothing."""
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _quotes_what_exists(self) -> Self:
        known = {"last", "match", "message"}
        groups = {*re.compile(self.match).groupindex, *self.defaults}
        for number, step in enumerate(self.steps, 1):
            for path in _quoted(step.model_dump()):
                root, _, rest = path.partition(".")
                if root not in known or (root == "match" and rest not in groups):
                    raise ValueError(f"step {number} quotes {{{{ {path} }}}}, which nothing before it defines")
            known |= {call.id for call in step.calls if call.id}
        return self


class Script(_Part):
    """What a scripted model can do."""

    title: str
    examples: Annotated[tuple[str, ...], Field(min_length=1)]
    """Messages of a user that it has a scenario for."""
    scenarios: Annotated[tuple[Scenario, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool's answer, as the model sees it: the fields of its JSON object, or its text as `output`."""

    fields: Mapping[str, JsonValue]
    failed: bool

    @classmethod
    def of(cls, message: ToolMessage) -> Self:
        """Read the content of a message; images in it are left out."""
        text = message.text
        try:
            content = json.loads(text)
        except json.JSONDecodeError:
            content = None
        failed = message.status == "error"
        if not isinstance(content, dict):
            return cls({"error" if failed else "output": text}, failed)
        return cls(content, failed or content.get("success") is False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says next: text, and calls of tools by name and arguments."""

    text: str
    calls: tuple[tuple[str, dict[str, JsonValue]], ...] = ()


def script_names() -> list[str]:
    """The built-in scripts, and the one that holds them all."""
    return [ALL, *sorted(path.stem for path in _FOLDER.glob("*.yaml"))]


@cache
def built_in(name: str) -> Script:
    """A built-in script.

    Raises:
        ScriptInvalid: there is none of this name; lists them.
    """
    names = script_names()
    if name == ALL:
        scripts = [built_in(other) for other in names[1:]]
        return Script(
            title="All built-in scripts",
            examples=tuple(example for script in scripts for example in script.examples),
            scenarios=tuple(scenario for script in scripts for scenario in script.scenarios),
        )
    if name not in names:
        raise ScriptInvalid(f'The scripted model has no script "{name}". As model_id it takes: {", ".join(names)}.')
    return load(_FOLDER / f"{name}.yaml")


def load(path: Path) -> Script:
    """Read a script from a YAML or JSON file.

    Raises:
        ScriptInvalid: the file cannot be read, or says something that a script cannot say; names the place.
    """
    try:
        return Script.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptInvalid(f'The script "{path.name}" cannot be read: {error}') from error
    except yaml.YAMLError as error:
        raise ScriptInvalid(f'The script "{path.name}" is not YAML: {error}') from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "its top level"
        raise ScriptInvalid(f'The script "{path.name}" is malformed at {place}: {first["msg"]}') from error


def next_reply(script: Script, messages: Sequence[BaseMessage]) -> Reply | None:
    """The model's next reply in a conversation; None when the script has no scenario for the user's message.

    Nothing is remembered between calls: the place in the scenario is found by playing the turn so far again.
    """
    start = _turn_start(messages)
    if start is None:
        return None
    message = messages[start].text
    for scenario in script.scenarios:
        if found := re.search(scenario.match, message):
            groups = {name: text for name, text in found.groupdict().items() if text is not None}
            return _play(scenario, {**scenario.defaults, **groups}, message, messages[start + 1 :])
    return None


def _turn_start(messages: Sequence[BaseMessage]) -> int | None:
    for index in reversed(range(len(messages))):
        message = messages[index]
        if isinstance(message, HumanMessage) and not {FOLLOW_UP, "lc_source"} & message.additional_kwargs.keys():
            return index
    return None


def _play(scenario: Scenario, groups: dict[str, str], message: str, turn: Sequence[BaseMessage]) -> Reply:
    scope: dict[str, JsonValue] = {"match": dict(groups), "message": message}
    results = {said.tool_call_id: ToolResult.of(said) for said in turn if isinstance(said, ToolMessage)}
    position, failed = 0, None
    for said in (said for said in turn if isinstance(said, AIMessage)):
        position, step = _step(scenario, position, failed)
        got = [results[call["id"]] for call in said.tool_calls if call["id"] in results]
        failed = any(result.failed for result in got) if got else None
        if got:
            scope["last"] = dict(next((result for result in got if result.failed), got[-1]).fields)
        for call, made in zip(step.calls if step else (), said.tool_calls, strict=False):
            if call.id and made["id"] in results:
                scope[call.id] = dict(results[made["id"]].fields)
    _, step = _step(scenario, position, failed)
    if step is None:
        return Reply(_render("The script ends here. The last result was: {{ last.output }} {{ last.error }}", scope))
    calls = tuple((call.tool, {name: _fill(value, scope) for name, value in call.args.items()}) for call in step.calls)
    return Reply(_render(step.text, scope).strip(), calls)


def _step(scenario: Scenario, position: int, failed: bool | None) -> tuple[int, Step | None]:
    """The next step whose condition holds, and the position behind it."""
    holds = {"always": True, "failed": failed is True, "succeeded": failed is False}
    for index in range(position, len(scenario.steps)):
        if holds[scenario.steps[index].when]:
            return index + 1, scenario.steps[index]
    return len(scenario.steps), None


def _quoted(value: object) -> list[str]:
    if isinstance(value, str):
        return [quote[1] for quote in _QUOTE.finditer(value)]
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [path for part in parts for path in _quoted(part)]


def _fill(value: JsonValue, scope: Mapping[str, JsonValue]) -> JsonValue:
    """A value of a call's arguments. A string that is one quote and nothing else takes the quoted value's own type."""
    if isinstance(value, str):
        whole = _QUOTE.fullmatch(value)
        return _find(whole[1], scope) if whole and not whole[2] else _render(value, scope)
    if isinstance(value, list):
        return [_fill(item, scope) for item in value]
    if isinstance(value, dict):
        return {name: _fill(item, scope) for name, item in value.items()}
    return value


def _render(text: str, scope: Mapping[str, JsonValue]) -> str:
    def quote(found: re.Match[str]) -> str:
        value = _find(found[1], scope)
        if found[2]:
            return json.dumps(value, ensure_ascii=False)
        return value.rstrip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    return _QUOTE.sub(quote, text)


def _find(path: str, scope: Mapping[str, JsonValue]) -> JsonValue:
    value: JsonValue = dict(scope)
    for name in path.split("."):
        if isinstance(value, str):
            value = list[JsonValue](value.splitlines())
        if isinstance(value, list) and re.fullmatch(r"-?\d+", name) and -len(value) <= int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict) and name in value:
            value = value[name]
        else:
            return f"(no {path})"
    return value
