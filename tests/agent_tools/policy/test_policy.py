import json

import pytest
from pydantic import ValidationError

from agent_tools.policy import CodePattern, SandboxPolicy


def test_the_default_policy_is_valid_and_reaches_only_the_registries():
    policy = SandboxPolicy()
    assert (policy.timeout, policy.max_execution_time, policy.network) == (1800, 300, "registries")
    assert policy.enable_file_system and not policy.enable_network and not policy.restricts_packages


def test_a_form_in_camel_case_survives_json_both_ways():
    form = {
        "name": "Analyst",
        "description": "Looks at tables",
        "systemPrompt": "Be exact.\nShow charts.",
        "timeout": 600,
        "defaultPackages": ["Pandas>=2", "npm:lodash@^4"],
        "allowedPackages": ["pandas", "Scikit_Learn", "npm:lodash"],
        "maxExecutionTime": 60,
        "enableFileSystem": True,
        "enableNetwork": False,
        "enableGPU": False,
        "deniedPackages": ["torch"],
        "packageApproval": "ask",
        "allowedLanguages": ["Python", "C++"],
        "dangerousCodePatterns": [{"name": "shell", "calls": ["os.system"], "action": "ask"}],
        "codeChecks": "block",
        "hostDirectories": ["/srv/data/"],
    }
    policy = SandboxPolicy.model_validate_json(json.dumps(form))
    assert policy.allowed_packages == ("pandas", "scikit-learn", "npm:lodash")
    assert policy.allowed_languages == ("python", "cpp")
    assert policy.host_directories == ("/srv/data",)
    assert policy.default_requirements("python") == ("pandas>=2",)
    assert policy.default_requirements("npm") == ("lodash@^4",)

    wire = json.loads(policy.model_dump_json(by_alias=True))
    assert set(form) <= set(wire) and "enableGPU" in wire
    assert SandboxPolicy.model_validate(wire) == policy


def test_python_code_may_use_snake_case():
    policy = SandboxPolicy(max_execution_time=5, enable_gpu=False)
    assert policy == SandboxPolicy.model_validate({"maxExecutionTime": 5, "enableGPU": False})


def test_a_policy_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        SandboxPolicy().timeout = 60


def test_every_field_has_a_title_and_a_description_for_the_form():
    schema = SandboxPolicy.model_json_schema(by_alias=True)
    models = [schema, *schema["$defs"].values()]
    for model in models:
        for name, field in model["properties"].items():
            assert field.get("description"), name
            assert field.get("title") or "$ref" in field, name


@pytest.mark.parametrize(
    ("network", "installs", "approval", "level"),
    [
        (True, True, None, "on"),
        (True, False, None, "on"),
        (False, True, None, "registries"),
        (False, True, "ask", "registries"),
        (False, False, None, "off"),
        (False, True, "deny", "off"),  # nothing is allowed, so nothing has to be fetched
    ],
)
def test_the_network_level_follows_from_network_and_installs(network, installs, approval, level):
    policy = SandboxPolicy(enable_network=network, enable_installs=installs, package_approval=approval)
    assert policy.network == level


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [
        ("enableGPU", True, "Set enableGPU to false"),
        ("name", " ", "one line"),
        ("name", "a\nb", "one line"),
        ("name", "", "at least 1 character"),
        ("description", "x\0y", "control characters"),
        ("systemPrompt", "x" * 50_001, "at most 50000"),
        ("systemPrompt", "\x1b[31m", "control characters"),
        ("timeout", 9, "greater than or equal to 10"),
        ("timeout", 86_401, "less than or equal to 86400"),
        ("timeout", True, "valid integer"),
        ("timeout", "60", "valid integer"),
        ("maxExecutionTime", 0, "greater than or equal to 1"),
        ("maxExecutionTime", -5, "greater than or equal to 1"),
        ("enableNetwork", "no", "valid boolean"),
        ("defaultPackages", ["x @ git+https://host/x"], "address"),
        ("defaultPackages", "pandas", "valid array"),
        ("defaultPackages", ["--index-url=http://x"], "option"),
        ("allowedPackages", ["pandas>=2"], "give the name only"),
        ("allowedPackages", ["requests[socks]"], "give the name only"),
        ("deniedPackages", ["npm:lodash@4"], "give the name only"),
        ("suspiciousPackageNames", ["a b"], "not a Python package"),
        ("suspiciousPackageAction", "explode", "'off', 'warn', 'block' or 'ask'"),
        ("packageApproval", "maybe", "'allow', 'ask' or 'deny'"),
        ("allowedLanguages", ["python", "cobol"], "not a language here. Use: python"),
        ("codeChecks", "ask", "'off', 'warn' or 'block'"),
        ("dangerousCodePatterns", [{"name": "x"}], "looks for nothing"),
        ("dangerousCodePatterns", [{"name": "x", "regex": "("}], "not a regular expression"),
        ("dangerousCodePatterns", [{"name": "x", "regex": "((a{1000}){1000}){1000}"}], "repeats too often"),
        ("dangerousCodePatterns", [{"name": "x", "regex": f"((?:{'a?b?' * 99}){{100}}){{10}}"}], "repeats too often"),
        ("dangerousCodePatterns", [{"name": "x", "regex": f"(?x)(?:{'a?b?' * 100}) {{1000}}"}], "repeats too often"),
        ("dangerousCodePatterns", [{"name": "x", "calls": ["os.system()"]}], "match pattern"),
        ("dangerousCodePatterns", [{"name": "X y", "calls": ["a"]}], "match pattern"),
        ("dangerousCodePatterns", [{"name": "x", "regex": "a", "languages": ["cobol"]}], "not a language"),
        ("dangerousCodePatterns", [{"name": "x", "regex": "a"}, {"name": "x", "regex": "b"}], "used twice: x"),
        ("suspiciousFileEndings", ["exe"], "with its dot"),
        ("suspiciousFileEndings", ["./x"], "with its dot"),
        ("hostDirectories", ["data"], "absolute path"),
        ("hostDirectories", ["~/data"], "absolute path"),
        ("hostDirectories", ["/srv/../etc"], "absolute path"),
        ("hostDirectories", ["//"], "whole machine"),
        ("hostDirectories", ["/srv\0"], "absolute path"),
        ("maxOutputBytes", 10, "greater than or equal to 1024"),
        ("maxFileBytes", 2**40, "less than or equal to"),
        ("maxCodeBytes", 2**21, "less than or equal to 1048576"),
        ("maxExecutionTimes", 5, "not permitted"),
    ],
)
def test_a_wrong_value_is_refused_with_what_to_do(field, value, advice):
    with pytest.raises(ValidationError) as caught:
        SandboxPolicy.model_validate_json(json.dumps({field: value}))
    (error,) = caught.value.errors()
    assert error["loc"][0] == field
    assert advice in error["msg"]


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({"allowedPackages": ["a", "b"], "deniedPackages": ["B"]}, "Remove from allowedPackages .*: b"),
        ({"allowedPackages": ["a"], "defaultPackages": ["c==1"]}, "Add to allowedPackages, .*: c"),
        ({"deniedPackages": ["c"], "defaultPackages": ["c==1"]}, "Remove from defaultPackages .*: c"),
        ({"packageApproval": "deny", "defaultPackages": ["c"]}, "Add to allowedPackages, .*: c"),
        ({"allowedPackages": ["a"], "packageApproval": "allow"}, "Choose 'deny' or 'ask'"),
        ({"enableInstalls": False, "defaultPackages": ["a"]}, "set enableInstalls to true"),
        ({"allowedPackages": ["lodash"], "defaultPackages": ["npm:lodash"]}, "Add to allowedPackages, .*: npm:lodash"),
    ],
)
def test_lists_that_contradict_each_other_are_refused(values, advice):
    with pytest.raises(ValidationError, match=advice):
        SandboxPolicy.model_validate(values)


@pytest.mark.parametrize(
    ("values", "unlisted"),
    [
        ({}, "allow"),
        ({"allowedPackages": ["a"]}, "deny"),
        ({"deniedPackages": ["a"]}, "allow"),
        ({"allowedPackages": ["a"], "packageApproval": "ask"}, "ask"),
        ({"packageApproval": "deny"}, "deny"),
    ],
)
def test_what_happens_to_unlisted_packages_follows_from_the_list_unless_it_is_said(values, unlisted):
    assert SandboxPolicy.model_validate(values).unlisted_packages == unlisted


def test_titles_are_words():
    fields = SandboxPolicy.model_json_schema(by_alias=True)["properties"]
    assert (fields["packageApproval"]["title"], fields["enableGPU"]["title"]) == ("Package approval", "Enable GPU")


def test_the_shipped_patterns_have_a_message_each():
    patterns = SandboxPolicy().dangerous_code_patterns
    assert patterns and all(isinstance(pattern, CodePattern) and pattern.message for pattern in patterns)


@pytest.mark.parametrize(
    "regex", [r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"(?:\d{1,3}\.){3}\d{1,3}", r"sk-\w{20,200}", ".{0,1000}x"]
)
def test_expressions_of_everyday_do_not_repeat_too_often(regex: str):
    SandboxPolicy(dangerous_code_patterns=(CodePattern(name="x", regex=regex),))
