"""How an object shows itself in a notebook: a heading and its facts, as text that has no effect."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from steppe.core.text import printable


def facts_html(title: str, facts: Mapping[str, object]) -> str:
    """A heading and a line a fact, as HTML; facts that are None are left out."""
    lines = "".join(
        f"<li>{_text(name)}: {_text(value)}</li>"
        for name, value in facts.items()
        if value is not None
    )
    return f"<b>{_text(title)}</b><ul>{lines}</ul>"


def _text(value: object) -> str:
    return escape(printable(str(value), keep=""))
