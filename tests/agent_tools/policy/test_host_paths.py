import os

import pytest

from agent_tools.errors import CallRefused, InvalidCall, PolicyRefusal
from agent_tools.policy import SandboxPolicy
from agent_tools.rules.host import check_host_path


@pytest.fixture
def shared(tmp_path):
    """A host directory with a neighbour that is none."""
    directory = tmp_path / "shared"
    (directory / "sub").mkdir(parents=True)
    (directory / "a.txt").write_text("a")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("key")
    (tmp_path / "shared2").mkdir()
    return directory


@pytest.fixture
def policy(shared):
    return SandboxPolicy(host_directories=(str(shared),))


def test_files_of_the_directory_pass_relative_and_absolute(policy, shared):
    for path in ("a.txt", str(shared / "a.txt"), "sub/../a.txt", "./a.txt"):
        assert check_host_path(policy, path) == shared / "a.txt"
    assert check_host_path(policy, "sub/new.txt") == shared / "sub" / "new.txt"


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret/key", "sub/../../secret/key", "/", "..", "../shared2/x"])
def test_what_lies_elsewhere_is_refused(policy, path):
    with pytest.raises(PolicyRefusal) as caught:
        check_host_path(policy, path)
    assert caught.value.rule == "host_path.outside"


def test_links_that_lead_out_are_refused_and_those_that_stay_are_followed(policy, shared):
    secret = shared.parent / "secret"
    (shared / "file").symlink_to(secret / "key")
    (shared / "folder").symlink_to(secret)
    (shared / "dangling").symlink_to(secret / "not-there")
    (shared / "chain").symlink_to("folder")
    (shared / "inside").symlink_to("a.txt")
    for path in ("file", "folder", "folder/key", "folder/new", "dangling", "chain/key", "folder/../secret/key"):
        with pytest.raises(PolicyRefusal):
            check_host_path(policy, path)
    assert check_host_path(policy, "inside") == shared / "a.txt"


def test_the_directory_itself_may_be_a_link(shared, tmp_path):
    (tmp_path / "link").symlink_to(shared)
    policy = SandboxPolicy(host_directories=(str(tmp_path / "link"),))
    assert check_host_path(policy, "a.txt") == shared / "a.txt"
    assert check_host_path(policy, str(tmp_path / "link" / "a.txt")) == shared / "a.txt"


def test_several_directories_are_allowed(shared, tmp_path):
    policy = SandboxPolicy(host_directories=(str(shared), str(tmp_path / "shared2")))
    assert check_host_path(policy, str(tmp_path / "shared2" / "x")) == tmp_path / "shared2" / "x"


@pytest.mark.parametrize("path", ["", "a\0b", "a\nb", "\ud800", "a" * 300, "a/" * 5000])
def test_a_malformed_path_is_refused(policy, path):
    with pytest.raises(InvalidCall) as caught:
        check_host_path(policy, path)
    assert caught.value.rule in ("host_path.text", "host_path.missing") and len(str(caught.value)) < 400


def test_a_circle_of_links_is_refused(policy, shared):
    (shared / "x").symlink_to("y")
    (shared / "y").symlink_to("x")
    with pytest.raises(CallRefused):
        check_host_path(policy, "x/file")


def test_a_pipe_is_refused(policy, shared):
    os.mkfifo(shared / "pipe")
    with pytest.raises(InvalidCall) as caught:
        check_host_path(policy, "pipe")
    assert caught.value.rule == "host_path.kind"


def test_a_missing_folder_is_refused_with_what_to_do(policy):
    with pytest.raises(InvalidCall, match="Make it first") as caught:
        check_host_path(policy, "no/such/file")
    assert caught.value.rule == "host_path.missing"


def test_without_host_directories_nothing_passes():
    with pytest.raises(PolicyRefusal) as caught:
        check_host_path(SandboxPolicy(), "/etc/hostname")
    assert caught.value.rule == "host_path.disabled"
