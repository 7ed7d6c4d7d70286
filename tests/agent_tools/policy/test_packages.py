import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent_tools.errors import CallRefused, InvalidCall, PolicyRefusal
from agent_tools.policy import SandboxPolicy
from agent_tools.rules.packages import MAX_PACKAGES, check_packages
from agent_tools.rules.typosquats import TYPOSQUATS

ANY = SandboxPolicy(suspicious_package_action="off")


@pytest.mark.parametrize(
    ("text", "requirement"),
    [
        ("requests", "requests"),
        ("  requests ", "requests"),
        ("Foo.Bar_baz", "foo-bar-baz"),
        ("requests>=2,<3", "requests<3,>=2"),
        ("requests >= 2", "requests>=2"),
        ("requests (>=2)", "requests>=2"),
        ("requests[socks,Security]==2.32.0", "requests[security,socks]==2.32.0"),
        ("pandas~=2.0", "pandas~=2.0"),
        ("pandas===2.0", "pandas===2.0"),
        ("pandas==2.*", "pandas==2.*"),
        ("pandas==2.0+local.1", "pandas==2.0+local.1"),
        ("tomli; python_version < '3.11'", 'tomli; python_version < "3.11"'),
        ("3to2", "3to2"),
    ],
)
def test_a_python_package_is_read_into_one_argument(text, requirement):
    assert check_packages(ANY, [text]).requirements == (requirement,)


HOSTILE = [
    "",
    " ",
    "-",
    "--",
    "-r/etc/passwd",
    "-e .",
    "--index-url=http://host/simple",
    "--config-settings=x=y",
    "requests --pre",
    "requests; id",
    "requests;id",
    "requests && id",
    "requests | sh",
    "`id`",
    "$(id)",
    "a;b",
    "requests\nevil",
    "requests\n",
    "requests\r--pre",
    "requests\tevil",
    "requests\0",
    "reque\u017fts",
    "rеquests",
    "ｒequests",
    "requests\u200b",
    "x @ git+https://host/x",
    "x @ https://host/x.whl",
    "x@file:///etc",
    "git+https://host/x",
    "https://host/x.whl",
    "file:///x",
    "./x",
    "../x",
    ".",
    "..",
    "~/x",
    "/x",
    "x/y",
    "C:\\x",
    "evil.whl",
    "evil-1.0-py3-none-any.whl",
    "x.tar.gz",
    "x.ZIP",
    "requirements.txt",
    "setup.py",
    "requests==",
    "requests>=$(id)",
    "requests=='2'; import os",
    "requests[",
    "requests[--pre]",
    "requests[socks] evil",
    "requests evil",
    "requests,evil",
    "requests; python_version < '$(id)'",
    "requests; python_version < '3' or `id`",
    "a" * 10_000,
    "requests==" + "1" * 10_000,
    "_requests",
    "requests-",
    "@types/node",
    "%s",
    "{x}",
    "'requests'",
    '"requests"',
    "requests # comment",
    "requests \\",
    "\ud800",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:40])
def test_what_is_no_python_package_is_refused(text):
    with pytest.raises(InvalidCall) as caught:
        check_packages(ANY, ["numpy", text])
    assert caught.value.rule == "package.name"
    assert len(str(caught.value)) < 700
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("lodash", "lodash"),
        ("lodash@4", "lodash"),
        ("lodash@^4.17.0", "lodash"),
        ("lodash@~4", "lodash"),
        ("lodash@>=4 <5", "lodash"),
        ("lodash@4.x || 5.x", "lodash"),
        ("lodash@latest", "lodash"),
        ("lodash@4.0.0-rc.1+build", "lodash"),
        ("@types/node", "@types/node"),
        ("@types/node@20", "@types/node"),
        ("socket.io", "socket.io"),
    ],
)
@pytest.mark.parametrize("language", ["javascript", "TypeScript", "node"])
def test_an_npm_package_is_read_into_one_argument(text, name, language):
    verdict = check_packages(ANY, [text], language)
    assert (verdict.requirements, verdict.names) == ((text,), (name,))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-g",
        "--registry=http://host",
        "-",
        ".",
        "..",
        "./x",
        "~/x",
        "/x",
        "file:x",
        "user/repo",
        "github:user/repo",
        "git+ssh://git@host/x",
        "git://host/x",
        "https://host/x.tgz",
        "x.tgz",
        "x@x.tgz",
        "x@https://host/x.tgz",
        "x@npm:evil",
        "x@file:..",
        "x@git+https://host/x",
        "x@user/repo",
        "x@./y",
        "x@..",
        "x@~/y",
        "x@",
        "@x",
        "@x/",
        "@/x",
        "@x/y/z",
        "lod ash",
        "lodash\n",
        "lodash\0",
        "lodаsh",
        "Lodash",
        "lodash; id",
        "lodash@$(id)",
        "lodash@`id`",
        "lodash@4;id",
        "lodash@4&id",
        "lodash@'4'",
        "_x",
        ".x",
        "a" * 10_000,
    ],
    ids=lambda text: ascii(text)[:40],
)
def test_what_is_no_npm_package_is_refused(text):
    with pytest.raises(InvalidCall) as caught:
        check_packages(ANY, [text], "javascript")
    assert caught.value.rule == "package.name"


SAFE = re.compile(
    r"[a-z0-9][a-z0-9-]*(\[[a-z0-9,-]+\])?[A-Za-z0-9.*+!=<>~,_-]*(; [A-Za-z0-9_.<>=!~\"'() ,+*\[\]-]+)?", re.ASCII
)
MOSTLY_PACKAGES = st.from_regex(
    r"[ -]?[A-Za-z0-9._-]{0,10}(\[[a-z,]{0,6}\])?([<>=!~@ ]{1,3}[0-9a-z.*+/:]{0,8})?(;.{0,20})?"
)


@given(st.one_of(st.text(max_size=40), MOSTLY_PACKAGES))
@example("requests\n")
@example("-e .")
@example("x @ https://host/x")
def test_no_accepted_python_package_is_an_option_or_holds_space_outside_its_marker(text):
    try:
        (requirement,) = check_packages(ANY, [text]).requirements
    except InvalidCall:
        return
    assert SAFE.fullmatch(requirement), requirement
    assert not requirement.startswith("-")
    assert not re.search(r"\s", requirement.partition(";")[0])
    assert check_packages(ANY, [requirement]).requirements == (requirement,)


@given(st.one_of(st.text(max_size=40), st.from_regex(r"(@[a-z]{0,3}/)?[a-zA-Z.~-]{0,6}(@[ -~]{0,10})?")))
def test_no_accepted_npm_package_is_an_option_an_address_or_a_path(text):
    try:
        (requirement,) = check_packages(ANY, [text], "javascript").requirements
    except InvalidCall:
        return
    name, _, version = requirement.rpartition("@") if "@" in requirement[1:] else (requirement, "", "")
    assert requirement[0] == "@" or requirement[0].isalnum()
    assert not re.search(r"[:\\$`'\"\n;&]", requirement)
    assert "/" not in version and not version.startswith((".", "-"))
    assert name.count("/") == (1 if name.startswith("@") else 0)


def test_repeated_packages_are_named_once_in_the_order_of_the_call():
    verdict = check_packages(ANY, ["b", "A", "B", "a>=1", "a"])
    assert verdict.requirements == ("b", "a", "a>=1")
    assert verdict.names == ("b", "a")


def test_too_many_packages_are_refused():
    with pytest.raises(InvalidCall, match="at most 50") as caught:
        check_packages(ANY, [f"p{number}" for number in range(MAX_PACKAGES + 1)])
    assert caught.value.rule == "package.count"


def test_a_text_instead_of_a_list_is_refused_with_the_list_to_give():
    with pytest.raises(InvalidCall, match=r"\['pandas'\]"):
        check_packages(ANY, "pandas")


def test_languages_without_packages_are_refused_unless_there_is_nothing_to_install():
    with pytest.raises(InvalidCall, match="python, javascript, typescript") as caught:
        check_packages(ANY, ["serde"], "rust")
    assert caught.value.rule == "package.language"
    assert check_packages(ANY, [], "rust").requirements == ()


@pytest.mark.parametrize("spelling", ["Foo.Bar", "foo_bar", "FOO-BAR>=2", "foo--bar[x]"])
def test_a_denied_package_is_refused_however_it_is_spelled(spelling):
    policy = SandboxPolicy(name="strict", denied_packages=("foo-bar",))
    with pytest.raises(PolicyRefusal, match="'strict' forbids the package 'foo-bar'") as caught:
        check_packages(policy, [spelling])
    assert caught.value.rule == "package.denied"


def test_an_allowed_list_refuses_the_rest_and_names_what_is_allowed():
    policy = SandboxPolicy(allowed_packages=("pandas", "Foo_Bar"))
    assert check_packages(policy, ["foo.bar==1", "PANDAS"]).requirements == ("foo-bar==1", "pandas")
    with pytest.raises(PolicyRefusal, match="Allowed: pandas, foo-bar") as caught:
        check_packages(policy, ["pandas", "numpy"])
    assert caught.value.rule == "package.unlisted"


def test_the_lists_keep_python_and_npm_apart():
    policy = SandboxPolicy(allowed_packages=("lodash", "npm:react"))
    assert check_packages(policy, ["react@19"], "typescript").names == ("react",)
    for package, language in [("lodash", "javascript"), ("react", "python")]:
        with pytest.raises(PolicyRefusal):
            check_packages(policy, [package], language)


def test_an_unlisted_package_is_a_question_where_the_policy_asks():
    policy = SandboxPolicy(allowed_packages=("pandas",), denied_packages=("torch",), package_approval="ask")
    verdict = check_packages(policy, ["pandas", "numpy>=2"])
    assert [(ask.rule, ask.subject) for ask in verdict.asks] == [("package.unlisted", "numpy")]
    assert verdict.requirements == ("pandas", "numpy>=2")
    with pytest.raises(PolicyRefusal, match=r"approval.*Install 'numpy>=2'\?"):
        verdict.require_approval(approved=False)
    verdict.require_approval(approved=True)
    with pytest.raises(PolicyRefusal):
        check_packages(policy, ["torch"])


def test_the_default_packages_need_nobody_s_approval():
    policy = SandboxPolicy(default_packages=("pandas==2.2.0", "sklearn"), package_approval="ask")
    verdict = check_packages(policy, ["pandas", "sklearn"])
    assert not verdict.asks and not verdict.warnings


def test_no_installs_means_none():
    policy = SandboxPolicy(enable_installs=False)
    with pytest.raises(PolicyRefusal) as caught:
        check_packages(policy, ["pandas"])
    assert caught.value.rule == "package.installs"
    assert check_packages(policy, []).requirements == ()


@pytest.mark.parametrize(
    ("name", "meant"), [("reqeusts", "requests"), ("python_jwt", "pyjwt"), ("SKLearn", "scikit-learn")]
)
def test_a_name_that_is_easily_mistaken_is_refused_with_what_was_probably_meant(name, meant):
    with pytest.raises(PolicyRefusal, match=f"Did you mean '{meant}'") as caught:
        check_packages(SandboxPolicy(), [name])
    assert caught.value.rule == "package.suspicious"


def test_a_suspicious_name_can_be_a_warning_a_question_or_nothing():
    def verdict(action):
        return check_packages(SandboxPolicy(suspicious_package_action=action), ["reqeusts"])

    assert "Did you mean 'requests'?" in verdict("warn").warnings[0] and not verdict("warn").asks
    assert verdict("ask").asks[0].rule == "package.suspicious" and not verdict("ask").warnings
    assert verdict("off").warnings == verdict("off").asks == ()


def test_an_allowed_package_is_not_suspicious():
    assert not check_packages(SandboxPolicy(allowed_packages=("python-jwt",)), ["python-jwt"]).warnings


def test_a_policy_can_name_suspicious_packages_of_its_own():
    policy = SandboxPolicy(suspicious_package_names=("left-pad", "npm:left-pad"))
    for language in ("python", "javascript"):
        with pytest.raises(PolicyRefusal, match="Check the name"):
            check_packages(policy, ["left-pad"], language)


def test_nothing_that_is_meant_is_itself_in_the_list_of_mistakes():
    assert not set(TYPOSQUATS.values()) & {name.removeprefix("npm:") for name in TYPOSQUATS}


@given(st.lists(st.text(max_size=20), max_size=3), st.sampled_from(["allow", "ask", "deny"]))
def test_the_same_question_has_the_same_answer(packages, approval):
    policy = SandboxPolicy(package_approval=approval)

    def answer():
        try:
            return check_packages(policy, packages)
        except CallRefused as refusal:
            return type(refusal), refusal.rule, str(refusal)

    assert answer() == answer()
