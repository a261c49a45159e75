"""A figure as files: a PDF, a PNG and its caption."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from steppe.core.text import printable
from steppe.reports.style import DPI, ROW_HEIGHT, WIDTH, house_style, style_of
from steppe.store.writing import write_atomically


class ShownFigure(Figure):
    """A figure that a notebook shows: pyplot, which sees to that elsewhere, knows nothing of it."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with house_style():
            self.savefig(buffer, format="png", dpi=DPI // 2)
        return buffer.getvalue()


@dataclass(frozen=True)
class Drawing:
    """A figure and what is written under it.

    Attributes:
        figure: The figure.
        caption: One paragraph: what is shown, n, units, model.
    """

    figure: Figure
    caption: str


@dataclass(frozen=True)
class Setting:
    """What a figure's axes and caption say of the run.

    Attributes:
        model: Name of the model.
        step_labels: For each mode (or the only entry, for any): what a step is, for instance
            ``step (0.5 units each)``.
        notes: Sentences that end the caption, for instance on scaled constants.
    """

    model: str
    step_labels: Mapping[str, str] = field(default_factory=dict)
    notes: str = ""

    def step_label(self, mode: str = "") -> str:
        """The x axis label of a mode."""
        if mode in self.step_labels or len(self.step_labels) != 1:
            return self.step_labels.get(mode, "step")
        return next(iter(self.step_labels.values()))

    def caption(self, *sentences: str) -> str:
        """Sentences, then the model and the notes, as one paragraph."""
        return " ".join(s for s in (*sentences, f"Model: {self.model}.", self.notes) if s)


def save_drawing(folder: Path, name: str, drawing: Drawing) -> list[Path]:
    """Write ``name.pdf``, ``name.png`` (300 dpi) and the caption as ``name.txt``.

    The same numbers give the same bytes: no date is written into the files.

    Raises:
        RunFailedError: The disk is full, or cannot be written.
    """
    buffers = {kind: io.BytesIO() for kind in ("pdf", "png")}
    with house_style():
        figure = drawing.figure
        figure.set_dpi(DPI)
        # Where everything stands is found once: savefig would anew, and draw, for every file.
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)
            figure.set_layout_engine("none")
        pixels: Any = FigureCanvasAgg(figure)
        pixels.print_png(buffers["png"], metadata={"Software": None})
        page: Any = FigureCanvasPdf(figure)
        page.print_pdf(buffers["pdf"], metadata={"CreationDate": None})
    for kind, buffer in buffers.items():
        write_atomically(folder / f"{name}.{kind}", buffer.getvalue())
    write_atomically(folder / f"{name}.txt", f"{drawing.caption}\n".encode())
    return [folder / f"{name}.{ending}" for ending in (*buffers, "txt")]


def panels(rows: int, columns: int = 2) -> tuple[Figure, list[list[Axes]]]:
    """An empty figure of the page's width, with a grid of axes."""
    figure = ShownFigure(figsize=(WIDTH, ROW_HEIGHT * rows + 0.35), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    return figure, [list(row) for row in grid]


def n_of(counts: Iterable[int]) -> str:
    """``n = 120``, or ``n = 118-120`` where some lines or dots stand for fewer."""
    found = sorted(counts)
    return f"n = {'-'.join(map(str, dict.fromkeys([found[0], found[-1]])))}"


def write_note(ax: Axes, text: str, at: Literal["top", "bottom"] = "top") -> None:
    """Write n and model in small print into a corner on the left, over whatever line is there."""
    place = {"top": 0.97, "bottom": 0.03}[at]
    ax.text(
        0.02, place, text, transform=ax.transAxes, va=at, fontsize=6.5, color="0.4",
        # A name with two dollar signs is a name.
        parse_math=False,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85},
    )  # fmt: skip


def sign(figure: Figure, setting: Setting) -> None:
    """Say in small print, at the figure's lower right, which model it shows."""
    figure.supxlabel(
        f"Model: {printable(setting.model)}",
        x=0.995, ha="right", fontsize=6.5, color="0.4", parse_math=False,
    )  # fmt: skip


def add_legend(figure: Figure, kinds: list[str], *, dots: bool = False) -> None:
    """One legend above all axes: a line per kind, in its colour and dash, or solid with its dot."""
    handles = [
        Line2D([], [], color=s.color, label=s.label, marker=s.marker, markersize=4.5)
        if dots
        else Line2D([], [], color=s.color, label=s.label, linestyle=s.dash)
        for s in map(style_of, kinds)
    ]
    columns = legend_columns([str(handle.get_label()) for handle in handles])
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)


def legend_columns(labels: Sequence[str]) -> int:
    """How many entries of a legend stand side by side within the page's width."""
    longest = max(map(len, labels), default=0)
    fitting = 4 if longest <= 26 else 3 if longest <= 34 else 2
    return min(len(labels), fitting)
