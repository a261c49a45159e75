"""How an object shows itself in a notebook: a heading and its facts, as text that has no effect."""

from __future__ import annotations

from collections.abc import Mapping

from steppe.core.text import html_text


def facts_html(title: str, facts: Mapping[str, object]) -> str:
    """A heading and a line a fact, as HTML; facts that are None are left out."""
    lines = "".join(
        f"<li>{html_text(name)}: {html_text(value)}</li>"
        for name, value in facts.items()
        if value is not None
    )
    return f"<b>{html_text(title)}</b><ul>{lines}</ul>"
