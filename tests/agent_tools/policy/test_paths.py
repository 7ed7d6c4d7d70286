import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_tools.errors import InvalidCall, PolicyRefusal
from agent_tools.policy import SandboxPolicy
from agent_tools.rules.paths import check_file_name, check_path

POLICY = SandboxPolicy()


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("data.csv", "/home/user/data.csv"),
        ("./a/./b", "/home/user/a/b"),
        ("a/../b", "/home/user/b"),
        ("a//b/", "/home/user/a/b"),
        (".", "/home/user"),
        ("~", "/home/user"),
        ("~/a", "/home/user/a"),
        ("~x", "/home/user/~x"),
        ("...", "/home/user/..."),
        ("-rf", "/home/user/-rf"),
        ("/home/user", "/home/user"),
        ("/home/user/", "/home/user"),
        ("//home//user/a", "/home/user/a"),
        ("///home/user/a", "/home/user/a"),
        ("/home/user/../user/a", "/home/user/a"),
        ("/tmp", "/tmp"),
        ("/tmp/a b", "/tmp/a b"),
        ("../../tmp/a", "/tmp/a"),
        ("größe/表.csv", "/home/user/größe/表.csv"),
        ("👩‍💻.txt", "/home/user/👩‍💻.txt"),
        ("a" * 255, "/home/user/" + "a" * 255),
    ],
)
def test_a_path_becomes_absolute_and_normal(path, normal):
    assert check_path(POLICY, path) == normal


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("", "path.empty"),
        ("  ", "path.empty"),
        ("/", "path.outside"),
        ("//", "path.outside"),
        ("..", "path.outside"),
        ("/etc/passwd", "path.outside"),
        ("/home", "path.outside"),
        ("/home/user-2/a", "path.outside"),
        ("/home/userx", "path.outside"),
        ("/tmpfile", "path.outside"),
        ("/tmp/..", "path.outside"),
        ("/home/user/../..", "path.outside"),
        ("/home/user/../../etc/passwd", "path.outside"),
        ("a/../../../etc", "path.outside"),
        ("~/../../etc", "path.outside"),
        ("//etc/passwd", "path.outside"),
        ("/proc/self/environ", "path.outside"),
        ("a\0b", "path.characters"),
        ("/home/user/a\0/../../etc", "path.characters"),
        ("a\nb", "path.characters"),
        ("a\x1b[31m", "path.characters"),
        ("a\x7f", "path.characters"),
        ("a\x85", "path.characters"),
        ("a\u2028b", "path.characters"),
        ("gpj.\u202eexe", "path.characters"),
        ("a\ud800", "path.encoding"),
        ("a\udcff", "path.encoding"),
        ("a" * 256, "path.length"),
        ("ä" * 128, "path.length"),
        ("a/" * 2048, "path.length"),
        ("a/" * 2043, "path.length"),  # short enough alone, too long below the home
        ("x" * 10_000, "path.length"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_bad_path_is_refused_with_a_reason(path, rule):
    with pytest.raises(InvalidCall) as caught:
        check_path(POLICY, path)
    assert caught.value.rule == rule
    message = str(caught.value)
    assert message.isprintable() and message.isascii() and len(message) < 400


def test_the_working_directory_is_allowed_too():
    assert check_path(POLICY, "a", cwd="/srv/x/") == "/srv/x/a"
    assert check_path(POLICY, "/srv/x", cwd="/srv/x") == "/srv/x"
    assert check_path(POLICY, "/home/user/a", cwd="/srv/x") == "/home/user/a"
    with pytest.raises(InvalidCall, match="/home/user, /tmp, /srv/x"):
        check_path(POLICY, "../y", cwd="/srv/x")


PIECES = st.sampled_from(
    ["..", ".", "", "~", "a", "home", "user", "tmp", "etc", "user2", "…", " ", "\\", "\0", "%2e%2e"]
)
PATHS = st.one_of(
    st.text(max_size=60),
    st.builds(
        lambda lead, parts: lead + "/".join(parts),
        st.sampled_from(["", "/", "//", "~/"]),
        st.lists(PIECES, max_size=10),
    ),
)


@given(PATHS, st.sampled_from(["/home/user", "/home/user/project", "/tmp/x", "/work"]))
def test_no_accepted_path_leaves_the_places_for_files(path, cwd):
    try:
        normal = check_path(POLICY, path, cwd=cwd)
    except InvalidCall:
        return
    assert any(posixpath.commonpath([normal, root]) == root for root in ("/home/user", "/tmp", cwd))
    assert normal == posixpath.normpath(normal) and normal.startswith("/") and not normal.startswith("//")
    assert not {"..", "."} & set(normal.split("/")) and "\0" not in normal
    assert check_path(POLICY, normal, cwd=cwd) == normal


def test_without_file_tools_every_path_is_refused():
    with pytest.raises(PolicyRefusal) as caught:
        check_path(SandboxPolicy(enable_file_system=False), "a.txt")
    assert caught.value.rule == "path.disabled"


@pytest.mark.parametrize("name", ["a.exe", "/tmp/report.pdf.EXE", "a.exe.", "a.exe ", "a.scr . ."])
def test_an_ending_that_does_harm_is_noticed_however_it_is_written(name):
    verdict = check_file_name(POLICY, name)
    assert len(verdict.warnings) == 1 and "[file.suspicious]" in verdict.warnings[0]


@pytest.mark.parametrize("name", ["a.py", "exe", "a.exe.txt", "/tmp/x.exe/a.txt", "", ".."])
def test_other_names_are_not_noticed(name):
    assert check_file_name(POLICY, name).warnings == ()


def test_an_ending_can_block_or_ask():
    def policy(action):
        return SandboxPolicy(suspicious_file_endings=(".sh",), suspicious_file_action=action)

    assert check_file_name(policy("ask"), "/tmp/a.sh").asks[0].subject == "a.sh"
    with pytest.raises(PolicyRefusal) as caught:
        check_file_name(policy("block"), "a.SH")
    assert caught.value.rule == "file.suspicious"
    assert check_file_name(policy("block"), "a.exe").warnings == ()
