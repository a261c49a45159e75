"""Text of others in CSV and Markdown: it is shown as it is, and nothing in it takes effect."""

from __future__ import annotations

import re

from steppe.core.text import printable

# What a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Of Markdown: code, emphasis, formulas, cells, what makes links and pictures of brackets, and
# underscores but those inside a word, which mean nothing. Of HTML: what begins a tag.
_MARKDOWN = re.compile(r"[\\`*~$|]|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])|<(?=[A-Za-z/!?])")
# A character's name stands for it: its own would be read as Markdown.
_ENTITY = re.compile(r"&(?=#?\w+;)")


def csv_cell(value: object) -> object:
    """A cell of a CSV file: text that a spreadsheet would compute begins with an apostrophe."""
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def markdown(text: object) -> str:
    """Text in one line of Markdown."""
    line = printable(" ".join(str(text).split()), keep="")
    return _MARKDOWN.sub(lambda found: f"\\{found[0]}", _ENTITY.sub("&amp;", line))
