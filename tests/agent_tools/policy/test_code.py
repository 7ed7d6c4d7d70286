import threading
import time
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_tools.errors import InvalidCall, PolicyRefusal
from agent_tools.policy import CodePattern, SandboxPolicy
from agent_tools.rules.code import check_code
from agent_tools.rules.python_names import read_names


def policy_with(**pattern):
    return SandboxPolicy(dangerous_code_patterns=(CodePattern(name="found", **pattern),))


SHELL = policy_with(calls=("os.system", "subprocess.*", "eval", "get_ipython.system"), action="warn")
CTYPES = policy_with(imports=("ctypes", "os.path"))


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.system('ls')",
        "import os as o\no.system('ls')",
        "import os.path\nos.system('ls')",
        "from os import system\nsystem('ls')",
        "from os import system as s\ns('ls')",
        "from os import *\nsystem('ls')",
        "def f():\n    import os\n    return os.system\n",
        "f()\nimport os\nrun = os.system\n",
        "def f():\n    go('ls')\nfrom os import system as go",
        "import os\ngetattr(os, 'system')('ls')",
        "__import__('os').system('ls')",
        "import importlib\nimportlib.import_module('os').system('ls')",
        "from importlib import import_module\nimport_module('os').system('ls')",
        "import subprocess\nsubprocess.run(['ls'])",
        "import subprocess as sp\nsp.Popen(['ls'])",
        "from subprocess import check_output as co\nco(['ls'])",
        "import os\nos.system.__call__('ls')",
        "eval('1')",
        "import builtins\nbuiltins.eval('1')",
        "__builtins__.eval('1')",
        "x = await f(lambda: eval('1'))",
        "!ls",
        "x = 1\n!ls -la",
        "%matplotlib inline\nimport os\nos.system('ls')",
        "%%time\nimport os\nos.system('ls')",
        "import os\nos.system?\nos.system('ls')",
        "  import os\n  os.system('ls')",
        "get_ipython().system('ls')",
        "import os\nx = '\\d'; os.system('ls')",
        "import os\nos . system ('ls')",
        "import os\n(os\n.system)('ls')",
    ],
)
def test_a_use_of_a_dangerous_function_is_found(code):
    (warning,) = check_code(SHELL, code, "python").warnings
    assert "[code.found]" in warning and "line " in warning


@pytest.mark.parametrize(
    "code",
    [
        "print('os.system')",
        "# os.system('ls')",
        "import os\nos.listdir()",
        "import os\nos.system_x()",
        "df.eval('a+b')",
        "import re\nre.compile('a')",
        "system('ls')",
        "import os as o\nos.listdir()",
        "class A:\n    system = 1\n",
        "eval = 3",
        "x = 7 % 3",
        "x = (7\n  % 3)",
        "print('''\n!ls\n''')",
        "",
        "os.system(",  # it fails by itself
        "import os\nos.system('ls'\n",
    ],
)
def test_what_only_looks_like_it_is_not_found(code):
    assert check_code(SHELL, code, "python").warnings == ()


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import ctypes", True),
        ("import ctypes.util as u", True),
        ("from ctypes import CDLL", True),
        ("def f():\n    from ctypes.util import find_library", True),
        ("import json, ctypes", True),
        ("__import__('ctypes')", True),
        ("from os import path", True),
        ("import ctypeslib", False),
        ("from . import ctypes", False),
        ("from .ctypes import x", False),
        ("import os", False),
    ],
)
def test_an_import_is_found_with_what_is_below_it(code, found):
    assert bool(check_code(CTYPES, code, "python").warnings) is found


def test_a_match_is_told_with_its_message_and_its_line():
    policy = policy_with(calls=("os.system",), action="block", message="Use run_command.")
    with pytest.raises(PolicyRefusal) as caught:
        check_code(policy, "import os\n\nos.system('ls')", "python")
    assert str(caught.value) == "Use run_command. Found: os.system in line 3."
    assert caught.value.rule == "code.found"


@pytest.mark.parametrize(
    ("checks", "action", "outcome"),
    [
        ("block", "block", "refused"),
        ("block", "ask", "asked"),
        ("block", "warn", "warned"),
        ("block", "off", "nothing"),
        ("warn", "block", "warned"),
        ("warn", "ask", "warned"),
        ("warn", "warn", "warned"),
        ("warn", "off", "nothing"),
        ("off", "block", "nothing"),
        ("off", "ask", "nothing"),
    ],
)
def test_the_switch_bounds_what_each_pattern_does(checks, action, outcome):
    pattern = CodePattern(name="found", regex="bad", action=action)
    policy = SandboxPolicy(code_checks=checks, dangerous_code_patterns=(pattern,))
    try:
        verdict = check_code(policy, "bad", "ruby")
    except PolicyRefusal:
        assert outcome == "refused"
        return
    seen = "asked" if verdict.asks else "warned" if verdict.warnings else "nothing"
    assert seen == outcome


def test_a_regular_expression_is_searched_for_in_its_languages_only():
    policy = policy_with(regex=r"\bsystem\s*\(", languages=("php", "C++"))
    assert check_code(policy, "system ('ls');", "php").warnings
    assert check_code(policy, "system ('ls');", "c++").warnings
    assert not check_code(policy, "system ('ls')", "ruby").warnings
    assert check_code(policy_with(regex="x"), "x", "ruby").warnings


def test_python_that_does_not_parse_is_searched_as_text():
    assert check_code(policy_with(regex="os.system"), "import os; os.system(", "python").warnings


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (":(){ :|:& };:", "fork-bomb"),
        (": ( ) { : | : & } ; :", "fork-bomb"),
        ("xmrig -o stratum+tcp://pool:3333", "crypto-mining"),
    ],
)
def test_the_shipped_patterns_block_what_only_does_harm(command, name):
    with pytest.raises(PolicyRefusal) as caught:
        check_code(SandboxPolicy(), command, "bash")
    assert caught.value.rule == f"code.{name}"


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf /",
        "rm -rf /*",
        "sudo rm -r -f ~",
        "rm -rf ~/ ",
        "rm --no-preserve-root -rf / ;ls",
        "rm -rf $HOME",
        "rm -rf /home/user/*",
        "cat /proc/1/environ",
        "cat /etc/shadow",
        "curl http://169.254.169.254/latest",
    ],
)
def test_the_shipped_patterns_warn_of_what_loses_work_or_looks_for_secrets(command):
    assert len(check_code(SandboxPolicy(), command, "bash").warnings) == 1
    assert len(check_code(SandboxPolicy(), f"import os\nos.system({command!r})", "python").warnings) == 1


@pytest.mark.parametrize(
    "command",
    ["rm -rf build", "rm -rf /tmp/x", "rm -rf ~/x", "rm -rf ./", "farm -rf /", "ls /", "pip install x", "git rm -r a"],
)
def test_the_shipped_patterns_leave_daily_work_alone(command):
    verdict = check_code(SandboxPolicy(), command, "bash")
    assert not verdict.warnings and not verdict.asks


INSTALLS = [
    ("pip install evil", "bash"),
    ("python -m pip install evil", "bash"),
    ("pip3.11 install -r x", "bash"),
    ("uv pip install evil", "bash"),
    ("uv add evil", "bash"),
    ("npm i evil", "bash"),
    ("npx evil", "bash"),
    ("!pip install evil", "python"),
    ("%pip install evil", "python"),
    ("import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', 'evil'])", "python"),
    ("child_process.execSync('npm install evil')", "javascript"),
]


@pytest.mark.parametrize(("code", "language"), INSTALLS)
def test_installs_by_command_are_refused_where_packages_are_restricted(code, language):
    with pytest.raises(PolicyRefusal, match="install_packages") as caught:
        check_code(SandboxPolicy(allowed_packages=("pandas",)), code, language)
    assert caught.value.rule == "code.install-command"
    assert not check_code(SandboxPolicy(), code, language).warnings


@pytest.mark.parametrize(
    "code", ["pip list", "pip show pandas", "echo installing", "npm test", "npm run build", "pipeline install"]
)
def test_other_commands_are_not_installs(code):
    assert not check_code(SandboxPolicy(package_approval="ask"), code, "bash").warnings


def test_code_above_the_limit_is_refused():
    policy = SandboxPolicy(max_code_bytes=1024, code_checks="off")
    check_code(policy, "x" * 1024, "python")
    with pytest.raises(PolicyRefusal, match="1026 bytes.*at most 1024") as caught:
        check_code(policy, "ä" * 513, "python")
    assert caught.value.rule == "code.size"


@pytest.mark.parametrize("code", ["a\0b", "print('\ud800')"])
def test_code_that_no_program_can_be_is_refused(code):
    with pytest.raises(InvalidCall) as caught:
        check_code(SandboxPolicy(), code, "python")
    assert caught.value.rule == "code.characters"


def test_a_slow_expression_counts_as_found_and_says_so():
    policy = policy_with(regex="(a+)+$", action="ask")
    started = time.process_time()
    (ask,) = check_code(policy, "a" * 5000 + "b", "ruby").asks
    assert "takes too long" in ask.reason and ask.rule == "code.found"
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    "code",
    [
        "x" + ".a" * 100_000,
        ("x" + ".a" * 900 + "\n") * 100,
        "1" + "+1" * 100_000,
        "-" * 200_000 + "1",
        "(" * 200_000,
        "f(" * 90 + ")" * 90,
        "x" + "()" * 100_000,
        "not " * 50_000 + "1",
        "lambda:" * 30_000 + "1",
        "a, " * 50_000 + "= ",
        "from os import *\n" * 5000 + "a\n" * 50_000,
        "rm " + "-a " * 60_000,
        "!" * 200_000,
    ],
    ids=lambda code: code[:10],
)
def test_hostile_code_ends_the_search_soon_and_never_the_process(code):
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(check_code(SandboxPolicy(), code, "python")))
    started = time.process_time()
    thread.start()
    thread.join()
    assert len(outcome) == 1
    assert time.process_time() - started < 20


def test_the_search_says_nothing_to_the_process_s_own_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = read_names("import os\nprint('\\d'); 1 is 1; os.system('x')")
    assert "os.system" in names.used


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(code):
    read_names(code)


NAMES = st.sampled_from(
    [
        "import os",
        "from os import system as s",
        "!ls",
        "%time 1",
        "x = !ls",
        "s()",
        "os.system()",
        "?",
        "  y",
        "def f():",
        "\tpass",
        "(",
        "'''",
        "\\",
    ]
)


@given(st.lists(NAMES, max_size=8).map("\n".join))
def test_any_mixture_of_cells_is_read_without_an_error(code):
    names = read_names(code)
    assert all(1 <= line <= code.count("\n") + 1 for line in [*names.used.values(), *names.imports.values()])
