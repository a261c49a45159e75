from __future__ import annotations

import pytest

from steppe.core.text import brief, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – naïve 文字", "plain – naïve 文字"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("model\u202egpj.exe", r"model\u202egpj.exe"),
        ("a\r\nb", "a\\r\nb"),
        ("\udc80", r"\udc80"),
    ],
)
def test_nothing_in_a_text_is_obeyed(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_cell_keeps_no_line_end() -> None:
    assert printable("a\nb\tc", keep="") == r"a\nb\tc"


def test_the_beginning_of_a_text_is_one_line() -> None:
    assert brief("a\n  b") == "a b"
    assert len(brief("x" * 1000)) == 200
