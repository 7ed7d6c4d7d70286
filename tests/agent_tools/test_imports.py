"""Who wants a policy, or only the package, does not wait for the SDK and for LangChain."""

from __future__ import annotations

import subprocess
import sys

import pytest

import agent_tools
from agent_tools import languages

HEAVY = ("e2b", "e2b_code_interpreter", "langchain", "langchain_core", "langgraph", "httpx", "sandbox_server")


@pytest.mark.parametrize(
    "statement",
    [
        "import agent_tools",
        "from agent_tools import SandboxPolicy, CallContext, SandboxSettings, InvalidCall",
        "import agent_tools.policy, agent_tools.audit, agent_tools.rules.approvals, agent_tools.results",
        "from agent_tools.languages import LANGUAGES, find",
    ],
)
def test_what_is_light_to_import_stays_light(statement: str):
    code = f"{statement}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == ""


@pytest.mark.parametrize("module", [agent_tools, languages])
def test_public_names_are_sorted_and_exist(module):
    assert sorted(module.__all__) == sorted(set(module.__all__))
    assert all(getattr(module, name) is not None for name in module.__all__)
    assert set(dir(module)) == set(module.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        module.nothing  # noqa: B018
