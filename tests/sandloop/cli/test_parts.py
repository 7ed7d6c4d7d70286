"""The parts of the command line that need no process."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from agent_tools.results import Artifact
from sandloop.cli import graphics, saving, sources
from sandloop.cli.calls import call_text
from sandloop.cli.exits import Problem
from sandloop.cli.paragraphs import Paragraphs
from sandloop.cli.terminal import Filter, visible, visible_line

PNG = b"\x89PNG\r\n\x1a\n" + bytes(10_000)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_a_filter_takes_escapes_out_wherever_the_pieces_end(size: int) -> None:
    text = "a\x1b[31mb\x1b]0;title\x07c\x1b]8;;http://x\x1b\\de\x07\r10%\r\n\u202ef"
    taken = Filter()
    assert "".join(taken.take(text[start : start + size]) for start in range(0, len(text), size)) == "abcde\r10%\r\nf"


def test_a_filter_does_not_wait_for_the_end_of_an_escape_for_ever() -> None:
    taken = Filter()
    shown = "".join(taken.take("\x1b]" if number == 0 else "x" * 1000) for number in range(10))
    assert "\x1b" not in shown and len(shown) > 4000


def test_visible_text_hides_nothing() -> None:
    assert visible("a\rb\x1b[8m\u202e\u200b\n\tc é") == "a\\rb\\x1b[8m\\u202e\\u200b\n\tc é"
    assert visible_line("a\nb\t") == "a\\nb\\t"


def test_paragraphs_are_complete_and_code_blocks_are_whole() -> None:
    words = Paragraphs()
    text = "One.\n\nTwo:\n```python\na = 1\n\nb = 2\n```\n\nThree"
    done = [paragraph for character in text for paragraph in words.add(character)]
    assert done == ["One.", "Two:\n```python\na = 1\n\nb = 2\n```"]
    assert (words.finish(), words.finish()) == ("Three", "")


def test_a_terminal_that_shows_images_is_known_by_its_variables() -> None:
    assert graphics.protocol({"KITTY_WINDOW_ID": "1"}) == "kitty"
    assert graphics.protocol({"TERM_PROGRAM": "iTerm.app"}) == "iterm2"
    assert graphics.protocol({"TERM": "xterm-256color"}) is None
    assert graphics.protocol({"KITTY_WINDOW_ID": "1", "TMUX": "/tmp/x"}) is None


def test_images_are_sent_in_the_terminals_own_way() -> None:
    kitty = graphics.shown(PNG, "kitty")
    assert kitty is not None
    chunks = kitty.strip().split("\x1b\\")[:-1]
    assert all(len(chunk) <= 4096 + 40 for chunk in chunks)
    assert base64.b64decode("".join(chunk.partition(";")[2] for chunk in chunks)) == PNG
    iterm = graphics.shown(PNG, "iterm2")
    assert iterm is not None and iterm.startswith("\x1b]1337;File=inline=1;")
    assert graphics.shown(b"no image \x1b[2J", "kitty") is None


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "a//b", ".", ""])
def test_a_name_from_a_sandbox_does_not_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(Problem):
        saving.save_file(b"x", tmp_path / "out", name)
    assert not (tmp_path / "evil").exists()


def test_nothing_is_saved_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/sub").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "out/link.txt").symlink_to(tmp_path / "target.txt")
    with pytest.raises(Problem, match="is a link"):
        saving.save_file(b"x", tmp_path / "out", "sub/file.txt")
    assert saving.save_file(b"x", tmp_path / "out", "link.txt").name == "link-2.txt"
    assert not (tmp_path / "target.txt").exists() and not list((tmp_path / "elsewhere").iterdir())


def test_a_name_with_control_characters_is_saved_without_them(tmp_path: Path) -> None:
    assert saving.save_file(b"x", tmp_path, "a\x1b[2J\nb").name.isprintable()


def test_of_a_result_in_several_kinds_one_image_is_taken() -> None:
    kinds = (("svg", "svg-1"), ("png", "png-1"), ("svg", "svg-2"), ("html", "html-3"), ("chart", "chart-1"))
    made = tuple(Artifact(kind=kind, name=name, mime_type="x/y", size=1, data="") for kind, name in kinds)  # type: ignore[arg-type]
    assert [artifact.name for artifact in saving.images(made)] == ["png-1", "svg-2"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("1500", 1.5), ("30s", 30), ("2m", 120), ("1h", 3600), ("250ms", 0.25), ("1.5s", 1.5)]
)
def test_times_are_milliseconds_or_say_their_unit(text: str, seconds: float) -> None:
    assert sources.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "0s", "1d", "ten", "1e3", "nan", "١s"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Problem):
        sources.seconds(text)


def test_transfers_name_both_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("x")
    Path("odd:name").write_text("x")
    Path("folder").mkdir()
    assert [sources.upload(text).there for text in ("a.csv", "a.csv:b.csv", "a.csv:/tmp/x/", "odd:name")] == [
        "a.csv",
        "b.csv",
        "/tmp/x/a.csv",
        "odd:name",
    ]
    assert [str(sources.download(text).here) for text in ("/tmp/r.txt", "r.txt:s.txt", "r.txt:folder")] == [
        "r.txt",
        "s.txt",
        "folder/r.txt",
    ]


def test_a_call_is_shown_by_its_code_and_its_other_arguments() -> None:
    made = call_text("execute_code", {"code": "puts 1", "language": "ruby", "timeout": 3})
    assert (made.title, made.code, made.lexer) == ("execute_code  language=ruby  timeout=3", "puts 1", "ruby")
    edit = call_text("edit_file", {"file_path": "/a.py", "old_string": "x = 1", "new_string": "x = 2"})
    assert edit.lexer == "diff" and "-x = 1" in edit.code and "+x = 2" in edit.code
    odd = call_text("tool\x1b[2J", {"a\n": ["b\x07"]})
    assert odd.title.isprintable()
