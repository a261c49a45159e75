"""The page itself: one file that holds its data, its script and the plotting library."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from pathlib import Path

from steppe.reports.page.content import Page
from steppe.store.writing import write_atomically

# In this order: a view stands on those before it.
_SCRIPTS = (
    "common", "state", "outputs", "claims", "curves", "numbers", "card", "maps", "start",
)  # fmt: skip
# What would end the element that holds the data, whatever stands around it.
_IN_SCRIPT = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def write_page(path: Path, page: Page) -> None:
    """Write a run's page.

    Args:
        path: The file.
        page: What it says.

    Raises:
        RunFailedError: The disk is full, or cannot be written.
    """
    write_atomically(path, render_page(page).encode())


def render_page(page: Page) -> str:
    """The page as HTML; what it shows is data, which its script writes as text only."""
    here = files("steppe.reports.page")
    data = json.dumps(page.plain(), allow_nan=False, separators=(",", ":"))
    for sign, spelt in _IN_SCRIPT.items():
        data = data.replace(sign, spelt)
    parts = {
        "TITLE": escape(page.title),
        "STYLE": (here / "page.css").read_text(encoding="utf-8"),
        "PLOTLY": files("plotly").joinpath("package_data/plotly.min.js").read_text("utf-8"),
        "DATA": data,
        "SCRIPT": _script(),
    }
    first, *rest = (here / "page.html").read_text(encoding="utf-8").split("<!--@")
    # Split, not replaced: what stands for a part in another part stays as it is.
    pieces = [first]
    for one in rest:
        name, after = one.split("-->", 1)
        pieces += [parts[name], after]
    return "".join(pieces)


def _script() -> str:
    """The script of all views, as one: its parts share what they declare."""
    parts = files("steppe.reports.page").joinpath("script")
    texts = (parts.joinpath(f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS)
    return '"use strict";\n' + "\n".join(texts)
