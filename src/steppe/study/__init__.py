"""A study as data: its parts, tables, figures and claims, and what runs them.

A study declares; this package prepares what its parts need, measures them shard by shard, and
reports.
"""

from steppe.settings.study_settings import BaseSettings, PageSettings, PointSettings
from steppe.study.analysis import Analysis
from steppe.study.claims import Claim, mostly, positive
from steppe.study.context import Bases, Context
from steppe.study.curve_part import CurvePart, Laid
from steppe.study.needs import Need
from steppe.study.outputs import CurveFigure, Figure, MeanTable, Record, Table
from steppe.study.part import (
    ControlPart,
    FunctionPart,
    Part,
    WholePart,
    attributes,
    dataset_spec,
)
from steppe.study.published import is_published
from steppe.study.report import report
from steppe.study.running import StudyRun, open_study
from steppe.study.study import Study

__all__ = [
    "Analysis",
    "BaseSettings",
    "Bases",
    "Claim",
    "Context",
    "ControlPart",
    "CurveFigure",
    "CurvePart",
    "Figure",
    "FunctionPart",
    "Laid",
    "MeanTable",
    "Need",
    "PageSettings",
    "Part",
    "PointSettings",
    "Record",
    "Study",
    "StudyRun",
    "Table",
    "WholePart",
    "attributes",
    "dataset_spec",
    "is_published",
    "mostly",
    "open_study",
    "positive",
    "report",
]
