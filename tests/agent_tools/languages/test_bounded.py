from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent_tools.languages.bounded import BoundedText


def test_what_fits_is_kept_as_it_is() -> None:
    text = BoundedText(10)
    for piece in ("héé", "", "llo"):
        text.add(piece)
    assert (text.text(), text.total_bytes, text.left_out_bytes) == ("hééllo", 8, 0)


def test_the_beginning_and_the_end_of_more_are_kept() -> None:
    text = BoundedText(8)
    for piece in ("abcdef", "ghi", "jklmnop"):
        text.add(piece)
    assert text.text() == "abcd\n[... 8 bytes left out ...]\nmnop"


def test_characters_are_not_cut_in_two() -> None:
    text = BoundedText(6)
    text.add("ééééé")
    assert text.text() == "é\n[... 4 bytes left out ...]\né"


@given(st.lists(st.text(max_size=30), max_size=30), st.integers(2, 40))
def test_however_it_comes_no_more_is_kept_than_allowed(pieces: list[str], limit: int) -> None:
    text, whole = BoundedText(limit), "".join(pieces).encode(errors="replace")
    for piece in pieces:
        text.add(piece)
    assert text.total_bytes == len(whole)
    assert text.left_out_bytes == max(0, len(whole) - limit // 2 * 2)
    if not text.left_out_bytes:
        assert text.text().encode() == whole
