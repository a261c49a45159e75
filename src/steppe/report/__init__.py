"""Tables, figures and the summary of a run, made from labelled numbers that are given."""

from steppe.report.drawing import Drawing, Setting, save_drawing
from steppe.report.example_curves import example_curves
from steppe.report.latent_properties import latent_cosines, latent_counts
from steppe.report.step_distribution import step_distribution
from steppe.report.style import label_of, style_of
from steppe.report.summary import FigureEntry, Summary, TableEntry, write_summary
from steppe.report.tables import terminal_table, to_latex, to_markdown, write_table

__all__ = [
    "Drawing",
    "FigureEntry",
    "Setting",
    "Summary",
    "TableEntry",
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
