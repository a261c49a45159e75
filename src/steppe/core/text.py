"""Text of others (names, files, errors) as it may be shown: nothing in it is obeyed, only read."""

from __future__ import annotations

from html import escape


def printable(text: str, keep: str = "\n") -> str:
    """Text in which control characters, and those that turn the writing around, are spelt out.

    A terminal obeys escape sequences, and a right-to-left mark makes one name look like another.

    Args:
        text: Any text, unpaired surrogates included.
        keep: Characters that stay although they are not printable.
    """
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)


def html_text(value: object) -> str:
    """A value as text in HTML that has no effect there, in quotes neither."""
    return escape(printable(str(value), keep=""))


def brief(text: object, limit: int = 200) -> str:
    """The beginning of a text, in one line."""
    line = " ".join(str(text).split())
    return line if len(line) <= limit else f"{line[: limit - 4]} ..."
