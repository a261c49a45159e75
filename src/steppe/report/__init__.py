"""Tables, figures and the summary of a run, made from labelled numbers that are given."""

from steppe.report.bands import Band, Panel, draw_bands
from steppe.report.bars import Bars, draw_bars
from steppe.report.drawing import Drawing, Setting, save_drawing
from steppe.report.example_curves import example_curves
from steppe.report.latent_properties import latent_cosines, latent_counts
from steppe.report.step_distribution import step_distribution
from steppe.report.style import Dash, label_of, style_of
from steppe.report.summary import FigureEntry, Summary, TableEntry, write_summary
from steppe.report.tables import terminal_table, to_latex, to_markdown, write_table

__all__ = [
    "Band",
    "Bars",
    "Dash",
    "Drawing",
    "FigureEntry",
    "Panel",
    "Setting",
    "Summary",
    "TableEntry",
    "draw_bands",
    "draw_bars",
    "example_curves",
    "label_of",
    "latent_cosines",
    "latent_counts",
    "save_drawing",
    "step_distribution",
    "style_of",
    "terminal_table",
    "to_latex",
    "to_markdown",
    "write_summary",
    "write_table",
]
