import math

import pytest

from agent_tools.errors import InvalidCall, PolicyRefusal
from agent_tools.languages import LANGUAGES as REGISTRY
from agent_tools.policy import SandboxPolicy
from agent_tools.rules.bounds import check_file_size, check_timeout
from agent_tools.rules.languages import LANGUAGES, canonical_language, check_language
from agent_tools.rules.network import check_network

POLICY = SandboxPolicy(max_execution_time=60, max_file_bytes=2048)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (5, (5, False)),
        (0.5, (0.5, False)),
        (60, (60, False)),
        (61, (60, True)),
        (math.inf, (60, True)),
        (None, (60, False)),
    ],
)
def test_a_timeout_is_what_was_asked_for_up_to_the_policy_s(asked, given):
    assert check_timeout(POLICY, asked) == given


@pytest.mark.parametrize("asked", [0, -1, -math.inf, math.nan, True])
def test_a_timeout_that_is_none_is_refused(asked):
    with pytest.raises(InvalidCall, match="at most 60") as caught:
        check_timeout(POLICY, asked)
    assert caught.value.rule == "timeout.value"


def test_a_file_above_the_limit_is_refused():
    check_file_size(POLICY, 2048, "a.bin")
    with pytest.raises(PolicyRefusal, match="2049 bytes.*at most 2048") as caught:
        check_file_size(POLICY, 2049, "a.bin")
    assert caught.value.rule == "file.size"


@pytest.mark.parametrize(
    ("name", "canonical"),
    [("Python", "python"), (" js ", "javascript"), ("C++", "cpp"), ("c#", "csharp"), ("sh", "bash")],
)
def test_a_language_has_one_name(name, canonical):
    assert check_language(SandboxPolicy(), name) == canonical


@pytest.mark.parametrize("name", ["", "cobol", "python\n;", "рython", "python2", "x" * 10_000])
def test_an_unknown_language_is_refused_with_the_known_ones(name):
    with pytest.raises(InvalidCall, match="Use one of: python, javascript") as caught:
        check_language(SandboxPolicy(), name)
    assert caught.value.rule == "language.unknown" and len(str(caught.value)) < 300


def test_a_language_outside_of_the_policy_is_refused_with_its_own():
    policy = SandboxPolicy(allowed_languages=("py", "bash"))
    assert check_language(policy, "python3") == "python"
    with pytest.raises(PolicyRefusal, match="Use one of: python, bash") as caught:
        check_language(policy, "rust")
    assert caught.value.rule == "language.denied"


def test_policies_and_the_registry_of_languages_agree_on_names():
    assert {language.name for language in REGISTRY} == set(LANGUAGES)
    for language in REGISTRY:
        for alias in language.aliases:
            assert canonical_language(alias) == language.name


@pytest.mark.parametrize(
    ("values", "asks"),
    [
        ({"enable_network": True, "network_approval": "ask"}, 1),
        ({"enable_network": True}, 0),
        ({"network_approval": "ask"}, 0),
    ],
)
def test_the_internet_is_a_question_where_the_policy_asks(values, asks):
    assert len(check_network(SandboxPolicy(**values)).asks) == asks
