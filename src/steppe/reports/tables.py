"""Tables as CSV with every digit, and as Markdown, LaTeX and text for reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from steppe.core.axes import KIND
from steppe.core.text import printable
from steppe.reports.escaping import csv_cell, markdown
from steppe.reports.style import label_of
from steppe.store.writing import write_atomically

UNDEFINED = "–"

_HEADINGS = {
    "n": "n",
    "p": "p",
    "mode": "Path",
    "std": "Std dev",
    "ks": "KS",
    "verdict_holm": "Verdict (Holm)",
}
_WORDS = {"kl": "KL", "l0": "L0", "l2": "L2", "sae": "SAE", "ks": "KS"}
# A column that names what each row measures: its numbers have no common unit.
_MIXED = "quantity"
_BOUND = "_is_upper_bound"
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        UNDEFINED: "--",
    }
)


def write_table(folder: Path, name: str, table: pd.DataFrame, caption: str) -> list[Path]:
    """Write ``name.csv``, ``name.md`` and ``name.tex``.

    Args:
        folder: Where the files go.
        name: File name, and the LaTeX label ``tab:name``.
        table: Any table; ``x``, ``x_low`` and ``x_high`` are read as a number and its interval.
        caption: What the table shows: n, units, model.

    Raises:
        RunFailedError: The disk is full, or cannot be written.
    """
    texts = {
        "csv": to_csv(table),
        "md": f"{to_markdown(table)}\n{markdown(caption)}\n",
        "tex": to_latex(table, caption, f"tab:{name}"),
    }
    for ending, text in texts.items():
        write_atomically(folder / f"{name}.{ending}", text.encode())
    return [folder / f"{name}.{ending}" for ending in texts]


def to_csv(table: pd.DataFrame) -> str:
    """The table as CSV with every digit, in which no cell or heading is a formula."""
    text: str = table.map(csv_cell).rename(columns=csv_cell).to_csv(index=False)
    return text


def to_markdown(table: pd.DataFrame) -> str:
    """The table as Markdown, numbers rounded, intervals in brackets."""
    cells = for_reading(table)
    rows = [list(map(markdown, row)) for row in cells.to_numpy().tolist()]
    rule = ["---:" if right else "---" for right in right_aligned(table, cells)]
    return "".join(
        f"| {' | '.join(row)} |\n" for row in [[*map(markdown, cells.columns)], rule, *rows]
    )


def to_latex(table: pd.DataFrame, caption: str, label: str) -> str:
    """The table as a LaTeX table (package booktabs), with its caption."""
    cells = for_reading(table)
    columns = "".join("r" if right else "l" for right in right_aligned(table, cells))
    rows = [_latex_row(row) for row in cells.to_numpy().tolist()]
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        f"    {_latex_row(cells.columns)}",
        r"    \midrule",
        *(f"    {row}" for row in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        rf"  \caption{{{escape_latex(caption)}}}",
        rf"  \label{{{label}}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def terminal_table(table: pd.DataFrame, title: str = "") -> str:
    """The table as aligned text, kinds under the names that options take."""
    cells = for_reading(table, kind_labels=False).map(lambda text: printable(text, keep=""))
    right = right_aligned(table, cells)
    rows = [list(cells.columns), *cells.to_numpy().tolist()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(right))]
    lines = [
        "  ".join(
            text.rjust(width) if is_right else text.ljust(width)
            for text, width, is_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([*([title] if title else []), lines[0], rule, *lines[1:], ""])


def for_reading(table: pd.DataFrame, *, kind_labels: bool = True) -> pd.DataFrame:
    """The table as text: rounded, ``x`` with ``x_low`` and ``x_high`` as ``x [low, high]``.

    Where ``x_is_upper_bound`` says so, the interval is but a bound, ``x [< high]``.

    Numbers have two decimals, or three in a column that stays within -1 to 1, and more where fewer
    than two digits would be left; published numbers have two decimals, as printed. A column that
    holds no interval, or nothing but NaN, keeps its place.
    """
    texts = {str(name): _texts(table, str(name)) for name in table.columns}
    if KIND in texts and kind_labels:
        texts[KIND] = [label_of(str(kind)) for kind in table[KIND]]
    made: dict[str, list[str]] = {}
    for name, column in texts.items():
        stem, _, end = name.rpartition("_")
        if end in {"low", "high"} and {stem, f"{stem}_low", f"{stem}_high"} <= set(texts):
            continue
        if name.endswith(_BOUND):
            continue
        if {f"{name}_low", f"{name}_high"} <= set(texts):
            column = _with_intervals(table, texts, name)
        made[_heading(name)] = column
    return pd.DataFrame(made, columns=list(made), dtype=object)


def _with_intervals(table: pd.DataFrame, texts: Mapping[str, list[str]], name: str) -> list[str]:
    bounds = table.get(f"{name}{_BOUND}", pd.Series(False, table.index))
    rows = zip(texts[name], texts[f"{name}_low"], texts[f"{name}_high"], bounds, strict=True)
    return [
        x if low == UNDEFINED else f"{x} [< {high}]" if bound else f"{x} [{low}, {high}]"
        for x, low, high, bound in rows
    ]


def escape_latex(text: str) -> str:
    """Text with LaTeX's special characters written out."""
    return printable(" ".join(text.split()), keep="").translate(_LATEX)


def _texts(table: pd.DataFrame, name: str) -> list[str]:
    column = table[name]
    if not pd.api.types.is_float_dtype(column):
        return [UNDEFINED if pd.isna(value) else str(value) for value in column]
    numbers = column.to_numpy(dtype=float)
    if _MIXED in table.columns:
        return [_number(x, 3 if abs(x) < 10 else 2) for x in numbers]
    stem = name.removesuffix("_low").removesuffix("_high")
    family = [c for c in (stem, f"{stem}_low", f"{stem}_high") if c in table.columns]
    largest = np.nanmax(np.abs(table[family].to_numpy(dtype=float)), initial=0)
    small = largest <= 1 and not name.startswith("published_")
    return [_number(x, 3 if small else 2) for x in numbers]


def _number(value: float, decimals: int) -> str:
    if np.isnan(value):
        return UNDEFINED
    is_small = 0 < abs(value) < 10.0 ** (1 - decimals)
    return f"{value:#.2g}" if is_small else f"{value:.{decimals}f}"


def _heading(name: str) -> str:
    if name in _HEADINGS:
        return _HEADINGS[name]
    prefix, _, rest = name.partition("_")
    if prefix == "published" and rest in _HEADINGS:
        return f"Published {_HEADINGS[rest]}".replace(" Std", " std")
    words = name.replace("_", " ").capitalize().split(" ")
    return " ".join(_WORDS.get(word.lower(), word) for word in words)


def right_aligned(table: pd.DataFrame, cells: pd.DataFrame) -> list[bool]:
    """Which columns of ``cells``, made by `for_reading`, hold numbers."""
    numeric = {_heading(str(c)) for c in table.columns if pd.api.types.is_numeric_dtype(table[c])}
    return [heading in numeric for heading in cells.columns]


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(escape_latex(str(text)) for text in cells) + r" \\"
