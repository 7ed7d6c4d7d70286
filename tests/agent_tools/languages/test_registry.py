from __future__ import annotations

import pytest

from agent_tools.errors import InvalidCall
from agent_tools.languages import LANGUAGES, Language, by_file_name, by_shebang, find
from agent_tools.rules import languages as rules


@pytest.mark.parametrize(
    ("name", "expected"),
    [("js", "javascript"), ("C++", "cpp"), ("c#", "csharp"), (" Golang ", "go"), ("sh", "bash"), ("R", "r")],
)
def test_a_language_is_found_by_what_people_call_it(name: str, expected: str) -> None:
    assert find(name).name == expected


def test_an_unknown_language_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidCall, match=r"'cobol' is not known; there are python, .*julia") as refused:
        find("cobol")
    assert refused.value.rule == "language.name"


def test_a_name_stands_for_one_language() -> None:
    names = [name for language in LANGUAGES for name in (language.name, *language.aliases)]
    assert len(names) == len(set(names))
    assert names == [name.lower() for name in names]


def test_the_policys_names_are_these() -> None:
    assert set(rules.LANGUAGES) == {language.name for language in LANGUAGES}
    aliases = {alias: language.name for language in LANGUAGES for alias in language.aliases}
    assert aliases == rules.ALIASES


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_every_language_says_how_to_get_it(language: Language) -> None:
    assert language.how_to_install
    assert (language.install_command is None) == (not language.packages)


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/b.rs", "rust"), ("B.CPP", "cpp"), ("x.mjs", "javascript"), ("x.R", "r"), ("Makefile", None), ("x.txt", None)],
)
def test_a_file_names_its_language_by_its_ending(path: str, name: str | None) -> None:
    found = by_file_name(path)
    assert (found and found.name) == name


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("#!/bin/sh", "bash"),
        ("#!/usr/bin/env python3.11", "python"),
        ("#!/usr/bin/env -S node --no-warnings", "javascript"),
        ("#! /usr/bin/env LANG=C ruby -w", "ruby"),
        ("#!/usr/bin/Rscript", "r"),
        ("#!/usr/bin/awk -f", None),
        ("#!", None),
        ("print(1)", None),
    ],
)
def test_a_program_names_its_language_in_its_first_line(line: str, name: str | None) -> None:
    found = by_shebang(line + "\nmore")
    assert (found and found.name) == name
