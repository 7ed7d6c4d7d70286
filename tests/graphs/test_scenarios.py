from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from graphs.errors import ScriptInvalid
from graphs.scenarios import FOLLOW_UP, Reply, Script, built_in, load, next_reply, script_names


def script(*steps: dict[str, Any], match: str = "go", **more: Any) -> Script:
    return Script.model_validate(
        {"title": "t", "examples": ["go"], "scenarios": [{"match": match, "steps": steps, **more}]}
    )


def call(code: str = "1", **more: Any) -> dict[str, Any]:
    return {"tool": "run", "args": {"code": code}, **more}


class Conversation:
    """A conversation in which each call of the scripted model's replies gets the result that a test gives."""

    def __init__(self, played: Script, message: str = "go") -> None:
        self.script = played
        self.messages: list[BaseMessage] = [HumanMessage(message)]

    def next(self, *results: object, status: Any = "success") -> Reply:
        """Give the results of the last reply's calls; return the next reply."""
        last = self.messages[-1]
        for made, result in zip(getattr(last, "tool_calls", ()), results, strict=True):
            content = result if isinstance(result, str) else json.dumps(result)
            self.messages.append(ToolMessage(content, tool_call_id=made["id"], status=status))
        reply = next_reply(self.script, self.messages)
        assert reply
        number = len(self.messages)
        calls = [{"name": name, "args": args, "id": f"{number}-{i}"} for i, (name, args) in enumerate(reply.calls)]
        self.messages.append(AIMessage(reply.text, tool_calls=calls))
        return reply


def test_steps_follow_each_other():
    talk = Conversation(script({"text": "one", "calls": [call()]}, {"calls": [call("2")]}, {"text": "end"}))
    assert talk.next() == Reply("one", (("run", {"code": "1"}),))
    assert talk.next({"success": True}) == Reply("", (("run", {"code": "2"}),))
    assert talk.next({"success": True}) == Reply("end")


@pytest.mark.parametrize(
    ("result", "status", "said"),
    [
        ({"success": True, "output": "3"}, "success", "good"),
        ({"success": False, "error": "E"}, "success", "bad"),
        ("refused", "error", "bad"),
        ("plain text", "success", "good"),
        ("[1, 2]", "success", "good"),
    ],
)
def test_a_step_can_depend_on_the_result(result, status, said):
    talk = Conversation(
        script({"calls": [call()]}, {"when": "failed", "text": "bad"}, {"when": "succeeded", "text": "good"})
    )
    talk.next()
    assert talk.next(result, status=status).text == said


def test_one_failure_among_parallel_calls_is_a_failure_and_is_the_one_that_is_quoted():
    talk = Conversation(script({"calls": [call(), call()]}, {"when": "failed", "text": "{{ last.error }}"}))
    talk.next()
    assert talk.next({"success": False, "error": "first"}, {"success": True}).text == "first"


def test_results_are_quoted_by_path_line_and_name():
    talk = Conversation(
        script(
            {"calls": [call(id="a")]},
            {"calls": [call(id="b")]},
            {"text": "{{ a.output.-1 }}, {{ a.items.1.name }}, {{ last.output }}, {{b.n}}, {{ a.output | json }}"},
        )
    )
    talk.next()
    talk.next({"output": "x\ny\n", "items": [{}, {"name": "z"}]})
    assert talk.next({"output": "last\n", "n": 4}).text == 'y, z, last, 4, "x\\ny\\n"'


def test_what_is_not_there_is_said_to_be_not_there():
    talk = Conversation(script({"calls": [call()]}, {"text": "{{ last.output }} {{ last.output.7 }} {{ last.a.b }}"}))
    talk.next()
    assert talk.next({"output": "x"}).text == "x (no last.output.7) (no last.a.b)"


def test_a_result_cannot_smuggle_in_a_quote():
    talk = Conversation(script({"calls": [call()]}, {"text": "{{ last.output }}"}))
    talk.next()
    assert talk.next({"output": "{{ message }}"}).text == "{{ message }}"


def test_arguments_quote_the_message_and_keep_types():
    talk = Conversation(
        script(
            {"calls": [{"tool": "run", "args": {"n": "{{ match.n }}", "list": ["{{ match.n }}!", 3, {"k": None}]}}]},
            {"calls": [{"tool": "run", "args": {"value": "{{ last.items }}", "text": "{{ last.items | json }}"}}]},
            match=r"go (?P<n>\d+)",
        ),
        "please go 42",
    )
    assert talk.next().calls == (("run", {"n": "42", "list": ["42!", 3, {"k": None}]}),)
    assert talk.next({"items": [1, 2]}).calls == (("run", {"value": [1, 2], "text": "[1, 2]"}),)


def test_a_quoted_name_is_a_literal_in_code():
    played = script({"calls": [call("open({{ match.file | json }})")]}, match="go (?P<file>.+)")
    assert Conversation(played, 'go a"b.csv').next().calls[0][1] == {"code": 'open("a\\"b.csv")'}


def test_a_group_that_found_nothing_has_its_default():
    played = script({"text": "{{ match.n }}"}, match=r"go(?: (?P<n>\d))?", defaults={"n": "7"})
    assert Conversation(played).next().text == "7"
    assert Conversation(played, "go 3").next().text == "3"


def test_the_first_scenario_that_matches_is_played():
    played = Script.model_validate(
        {
            "title": "t",
            "examples": ["go"],
            "scenarios": [{"match": m, "steps": [{"text": m}]} for m in ("(?i)left", "(?i)left|right")],
        }
    )
    assert Conversation(played, "RIGHT").next().text == "(?i)left|right"
    assert Conversation(played, "left or right").next().text == "(?i)left"
    assert next_reply(played, [HumanMessage("up")]) is None


def test_a_new_message_begins_anew_and_what_no_user_wrote_does_not():
    talk = Conversation(script({"text": "one", "calls": [call()]}, {"text": "two"}))
    talk.next()
    talk.next({"success": True})
    talk.messages.append(HumanMessage("go again"))
    assert talk.next().text == "one"
    last = talk.messages[-1]
    assert isinstance(last, AIMessage)
    talk.messages.append(ToolMessage("{}", tool_call_id=last.tool_calls[0]["id"]))
    talk.messages.append(HumanMessage("the images of this result: go", additional_kwargs={FOLLOW_UP: True}))
    assert next_reply(talk.script, talk.messages) == Reply("two")


def test_the_place_in_a_scenario_needs_no_memory():
    played = script(
        {"calls": [call("a")]},
        {"when": "failed", "calls": [call("b")]},
        {"when": "failed", "text": "no"},
        {"text": "ok"},
    )
    talk = Conversation(played)
    talk.next()
    talk.next({"success": False})
    assert talk.next({"success": True}).text == "ok"
    assert [next_reply(played, talk.messages[:n]) for n in (1, 3, 5)] == [
        Reply("", (("run", {"code": "a"}),)),
        Reply("", (("run", {"code": "b"}),)),
        Reply("ok"),
    ]


def test_a_script_that_runs_out_says_so_and_quotes_the_last_result():
    talk = Conversation(script({"calls": [call()]}))
    talk.next()
    assert "script ends here" in talk.next({"output": "42"}).text
    assert "42" in next_reply(talk.script, talk.messages[:-1]).text  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title: [", "not YAML"),
        ("just words", "malformed at its top level"),
        ("{title: t, examples: [x], scenarios: []}", "malformed at scenarios"),
        ("{title: t, examples: [x], scenarios: [{match: '(', steps: [{text: a}]}]}", "scenarios.0.match.*regular"),
        ("{title: t, examples: [x], scenarios: [{match: a, steps: [{}]}]}", "steps.0.*text or calls"),
        ("{title: t, examples: [x], scenarios: [{match: a, steps: [{txt: a}]}]}", "steps.0.txt"),
        ("{title: t, examples: [x], scenarios: [{match: a, steps: [{text: '{{ later.x }}'}]}]}", "later.x"),
        ("{title: t, examples: [x], scenarios: [{match: a, steps: [{text: '{{ match.n }}'}]}]}", "match.n"),
    ],
)
def test_a_malformed_script_says_where(tmp_path: Path, text, words):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ScriptInvalid, match=f'(?s)"mine.yaml".*{words}'):
        load(file)


def test_a_script_can_be_json(tmp_path: Path):
    file = tmp_path / "mine.json"
    file.write_text(script({"text": "hello"}).model_dump_json())
    assert load(file) == script({"text": "hello"})


@pytest.mark.parametrize("content", [None, b"title: \xff\xfe"])
def test_a_script_that_cannot_be_read_says_so(tmp_path: Path, content):
    file = tmp_path / "mine.yaml"
    if content:
        file.write_bytes(content)
    with pytest.raises(ScriptInvalid, match=r'"mine.yaml" cannot be read'):
        load(file)


@pytest.mark.parametrize("name", ["poetry", "../errors", "/etc/passwd"])
def test_only_built_in_scripts_go_by_name(name):
    with pytest.raises(ScriptInvalid, match="demo, analysis, factorial"):
        built_in(name)


@pytest.mark.parametrize("name", script_names())
def test_every_example_of_a_built_in_script_has_a_scenario(name):
    for example in built_in(name).examples:
        assert next_reply(built_in(name), [HumanMessage(example)])
