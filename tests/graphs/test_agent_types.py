from __future__ import annotations

from pathlib import Path

import pytest

from graphs import AgentTypes
from graphs.agent_types import read_agent_type
from graphs.errors import AgentTypeInvalid, UnknownAgentType

from .asking import ask
from .conftest import OpenService
from .openai_server import OpenAIServer, Reply

GOOD = """
name = "reviewer"
description = "Reads code and says what is wrong."
prompt = "You review code. Your tools: $tools."
tools = ["read_file", "list_files"]
allowed_tools = ["run_command"]

[policy]
name = "read only"
enableInstalls = false

[[mcp_servers]]
name = "docs"
command = "docs-server"
args = ["--stdio"]
"""


def test_a_type_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "reviewer.toml").write_text(GOOD)
    (tmp_path / "notes.txt").write_text("not a type")
    found = AgentTypes(tmp_path).find("reviewer")
    assert found.tools == ("read_file", "list_files")
    assert found.permitted == ("read_file", "list_files", "run_command")
    assert not found.policy.enable_installs
    assert found.mcp_servers[0].args == ("--stdio",)


def test_the_built_in_types_are_there_and_can_be_replaced(tmp_path: Path) -> None:
    assert [known.name for known in AgentTypes()] == ["coding", "data_science", "chat"]
    (tmp_path / "chat.yaml").write_text("name: chat\ndescription: Mine.\nprompt: Be brief.\n")
    assert AgentTypes(tmp_path).find("chat").description == "Mine."
    with pytest.raises(UnknownAgentType, match="chat, coding, data_science"):
        AgentTypes().find("poet")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", GOOD.replace('"reviewer"', '"Re viewer"'), "name"),
        ("a.toml", GOOD.replace("read_file", "read_mind"), "read_mind"),
        ("a.toml", GOOD.replace("$tools", "$toolz"), "toolz"),
        ("a.toml", GOOD.replace("enableInstalls", "enableFlying"), "policy.enableFlying"),
        ("a.toml", GOOD.replace('command = "docs-server"', ""), "mcp_servers.0"),
        ("a.toml", GOOD.replace("tools =", "tulz =", 1), "tulz"),
        ("a.toml", "name = ", "not well-formed"),
        ("a.yaml", "- 1", "must hold fields"),
        ("a.yaml", "name: [", "not well-formed"),
        ("a.yaml", "name: x", "description"),
    ],
)
def test_a_malformed_file_is_named_with_its_field(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(AgentTypeInvalid, match=f'"{name}".*{said}'):
        AgentTypes(tmp_path)


def test_a_file_that_is_not_text_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(AgentTypeInvalid, match="cannot be read"):
        read_agent_type(tmp_path / "a.toml")
    with pytest.raises(AgentTypeInvalid, match="does not exist"):
        AgentTypes(tmp_path / "nothing")


def test_two_files_with_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(GOOD)
    with pytest.raises(AgentTypeInvalid, match='"b.toml".*reviewer'):
        AgentTypes(tmp_path)


async def test_a_type_of_the_users_own_serves_requests(
    open_service: OpenService, openai: OpenAIServer, tmp_path: Path
) -> None:
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "reviewer.toml").write_text(GOOD.partition("[[mcp_servers]]")[0])
    service = await open_service(agent_types=tmp_path / "types")
    openai.replies(Reply("Fine."))
    await ask(service, "Review it", agent_type="reviewer")
    assert openai.requests[0].tools == ["read_file", "list_files"]
    assert openai.requests[0].messages[0]["content"] == "You review code. Your tools: read_file, list_files."
    assert [known.name for known in service.agent_types()][-1] == "reviewer"
