"""Tables, figures and the summary of a run, made from labelled numbers that are given."""

from steppe.reports.along import along
from steppe.reports.bands import Band, Panel, draw_bands
from steppe.reports.bars import BarPanel, Bars, Level, draw_bars
from steppe.reports.by_count import ChangePanel, CountPanel, by_count, changes, count_histogram
from steppe.reports.contours import (
    Plane,
    beeswarm,
    combination_sweep,
    exponents_along,
    fitted_boundaries,
)
from steppe.reports.crossings import CrossingRow, crossing_distributions, crossing_shares
from steppe.reports.curve_bands import BandPanel, Spread, curve_bands, single_curves
from steppe.reports.drawing import Drawing, Setting, n_of, save_drawing
from steppe.reports.example_curves import example_curves
from steppe.reports.landscape import PlaneMap, TriangleMap, plane, triangles
from steppe.reports.latent_properties import latent_cosines, latent_counts
from steppe.reports.rows import Row, RowPanel, draw_rows
from steppe.reports.slices import Slice, slices
from steppe.reports.step_distribution import step_distribution
from steppe.reports.style import Dash, KindStyle, add_style, label_of, shades, style_of
from steppe.reports.summary import FigureEntry, Summary, TableEntry, write_summary
from steppe.reports.tables import terminal_table, to_csv, to_latex, to_markdown, write_table

__all__ = [
    "Band",
    "BandPanel",
    "BarPanel",
    "Bars",
    "ChangePanel",
    "CountPanel",
    "CrossingRow",
    "Dash",
    "Drawing",
    "FigureEntry",
    "KindStyle",
    "Level",
    "Panel",
    "Plane",
    "PlaneMap",
    "Row",
    "RowPanel",
    "Setting",
    "Slice",
    "Spread",
    "Summary",
    "TableEntry",
    "TriangleMap",
    "add_style",
    "along",
    "beeswarm",
    "by_count",
    "changes",
    "combination_sweep",
    "count_histogram",
    "crossing_distributions",
    "crossing_shares",
    "curve_bands",
    "draw_bands",
    "draw_bars",
    "draw_rows",
    "example_curves",
    "exponents_along",
    "fitted_boundaries",
    "label_of",
    "latent_cosines",
    "latent_counts",
    "n_of",
    "plane",
    "save_drawing",
    "shades",
    "single_curves",
    "slices",
    "step_distribution",
    "style_of",
    "terminal_table",
    "to_csv",
    "to_latex",
    "to_markdown",
    "triangles",
    "write_summary",
    "write_table",
]
