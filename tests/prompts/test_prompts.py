from __future__ import annotations

import re
from pathlib import Path

import pytest

import prompts
from agent_tools import errors
from prompts import SLOTS, Prompt, SlotError, UnknownPrompt, compose, load, names

VALUES = {slot: f"<value of {slot}>" for slot in SLOTS}
WITH_SANDBOX = ["coding", "data_science"]


def test_there_is_a_prompt_for_each_agent_type():
    assert names() == ["chat", "coding", "data_science"]


@pytest.mark.parametrize("name", names())
def test_every_prompt_renders_and_nothing_is_left_open(name):
    text = load(name).render(**VALUES)
    assert "$" not in text
    assert "<!--" not in text
    assert all(f"<value of {slot}>" in text for slot in load(name).slots)


@pytest.mark.parametrize("name", WITH_SANDBOX)
def test_a_prompt_with_a_sandbox_says_all_that_a_model_must_know_about_it(name):
    assert load(name).slots == SLOTS


@pytest.mark.parametrize("name", WITH_SANDBOX)
def test_a_prompt_with_a_sandbox_teaches_every_error_name(name):
    text = load(name).text
    error_names = {value for key, value in vars(errors).items() if key.isupper() and isinstance(value, str)}
    assert {error for error in error_names if f"`{error}`" not in text} == set()


def test_the_prompt_of_a_chat_needs_no_values():
    assert load("chat").render() == load("chat").render(**VALUES)


def test_every_part_is_included_somewhere():
    folder = Path(prompts.__file__).parent
    included = {
        name for file in folder.glob("*.md") for name in re.findall(r"<!-- include (\w+) -->", file.read_text())
    }
    assert included == {file.stem for file in (folder / "parts").glob("*.md")}


def test_an_unknown_prompt_names_the_known_ones():
    with pytest.raises(UnknownPrompt, match='"poetry".*chat, coding, data_science'):
        load("poetry")


def test_a_name_is_no_path():
    with pytest.raises(UnknownPrompt):
        load("parts/sandbox")


def test_an_unknown_slot_is_named_when_a_prompt_is_read():
    with pytest.raises(SlotError, match=r'"mine".*\$weather.*languages'):
        Prompt.parse("mine", "It is $weather.")


def test_a_dollar_sign_that_begins_no_slot_is_found_with_its_line():
    with pytest.raises(SlotError, match=r'"mine", line 2'):
        Prompt.parse("mine", "It costs\n5 $ a day.")


def test_two_dollar_signs_are_one():
    assert Prompt.parse("mine", "It costs $$5, $policy.").render(policy="always") == "It costs $5, always."


def test_a_missing_value_is_named():
    with pytest.raises(SlotError, match=r'"coding".*\$tools'):
        load("coding").render(**{name: value for name, value in VALUES.items() if name != "tools"})


def test_a_value_for_no_slot_is_named():
    with pytest.raises(SlotError, match=r"\$weather"):
        load("chat").render(weather="fine")


def test_a_dollar_sign_in_a_value_is_no_slot():
    assert Prompt.parse("mine", "$policy").render(policy="$tools $$ $") == "$tools $$ $"


def test_a_system_prompt_extends_or_replaces():
    assert compose("The type's.", "Mine: $5.", "replace") == "Mine: $5."
    extended = compose("The type's.", "Mine: $5.", "extend")
    assert extended.startswith("The type's.\n")
    assert extended.endswith("\nMine: $5.")


@pytest.mark.parametrize("mode", ["replace", "extend"])
@pytest.mark.parametrize("system_prompt", [None, "", " \n"])
def test_without_a_system_prompt_the_type_keeps_its_own(mode, system_prompt):
    assert compose("The type's.", system_prompt, mode) == "The type's."
