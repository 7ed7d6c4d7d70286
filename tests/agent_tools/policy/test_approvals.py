import pytest

from agent_tools.policy import CodePattern, SandboxPolicy
from agent_tools.rules.approvals import asks_of_call

POLICY = SandboxPolicy(
    package_approval="ask",
    denied_packages=("torch",),
    allowed_languages=("python", "bash", "javascript"),
    dangerous_code_patterns=(
        CodePattern(name="shell", calls=("os.system",), action="ask"),
        CodePattern(name="download", regex="curl", languages=("bash",), action="ask"),
        CodePattern(name="never", regex="forbidden", action="block"),
    ),
    suspicious_file_action="ask",
)


@pytest.mark.parametrize(
    ("tool", "arguments", "rules"),
    [
        ("execute_python_code", {"code": "1+1"}, []),
        ("execute_python_code", {"code": "1+1", "install_packages": ["pandas"]}, ["package.unlisted"]),
        ("execute_python_code", {"code": "import os; os.system('ls')"}, ["code.shell"]),
        (
            "execute_python_code",
            {"code": "import os; os.system('ls')", "install_packages": ["a", "b", "a"]},
            ["package.unlisted", "package.unlisted", "code.shell"],
        ),
        ("execute_code", {"code": "import os; os.system('ls')", "language": "py"}, ["code.shell"]),
        ("execute_code", {"code": "curl x", "language": "sh"}, ["code.download"]),
        ("run_command", {"command": "curl x"}, ["code.download"]),
        ("install_packages", {"packages": ["pandas"]}, ["package.unlisted"]),
        ("install_packages", {"packages": ["lodash"], "language": "javascript"}, ["package.unlisted"]),
        ("write_file", {"file_path": "/home/user/a.exe", "content": ""}, ["file.suspicious"]),
        ("download_file", {"sandbox_path": "x", "host_path": "a.scr"}, ["file.suspicious"]),
        # What will be refused anyway is nobody's question.
        ("install_packages", {"packages": ["pandas", "torch"]}, []),
        ("install_packages", {"packages": ["./x"]}, []),
        ("execute_python_code", {"code": "import os; os.system('forbidden')"}, []),
        ("execute_code", {"code": "curl x", "language": "rust"}, []),
        # Nor is what the tool itself will refuse.
        ("execute_python_code", {}, []),
        ("execute_python_code", {"code": 5, "install_packages": "pandas"}, []),
        ("install_packages", {"packages": None, "language": 3}, []),
        ("get_sandbox_info", {"sandbox_id": "x"}, []),
        ("no_such_tool", {"code": "curl"}, []),
    ],
)
def test_a_call_asks_what_its_rules_ask(tool, arguments, rules):
    asks = asks_of_call(POLICY, tool, arguments)
    assert [ask.rule for ask in asks] == rules
    assert asks == asks_of_call(POLICY, tool, arguments)
    assert all(ask.reason and ask.subject for ask in asks)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("execute_python_code", {"code": "1"}),
        ("execute_code", {"code": "1", "language": "ruby"}),
        ("run_command", {"command": "ls"}),
    ],
)
def test_running_anything_with_internet_is_a_question_where_the_policy_asks(tool, arguments):
    policy = SandboxPolicy(enable_network=True, network_approval="ask")
    assert [ask.rule for ask in asks_of_call(policy, tool, arguments)] == ["network.ask"]
    assert asks_of_call(SandboxPolicy(enable_network=True), tool, arguments) == ()
