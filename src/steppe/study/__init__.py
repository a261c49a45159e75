"""A study as data: its parts, tables, figures and claims, and what runs them.

A study declares; this package prepares what its parts need, measures them shard by shard, and
reports. Names are reached lazily: what reports loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steppe.settings.study_settings import BaseSettings as BaseSettings
    from steppe.settings.study_settings import PageSettings as PageSettings
    from steppe.settings.study_settings import PointSettings as PointSettings
    from steppe.study.analysis import Analysis as Analysis
    from steppe.study.claims import Claim as Claim
    from steppe.study.claims import mostly as mostly
    from steppe.study.claims import positive as positive
    from steppe.study.context import Bases as Bases
    from steppe.study.context import Context as Context
    from steppe.study.curve_part import CurvePart as CurvePart
    from steppe.study.curve_part import Laid as Laid
    from steppe.study.needs import Need as Need
    from steppe.study.outputs import CurveFigure as CurveFigure
    from steppe.study.outputs import Figure as Figure
    from steppe.study.outputs import MeanTable as MeanTable
    from steppe.study.outputs import Record as Record
    from steppe.study.outputs import Table as Table
    from steppe.study.part import ControlPart as ControlPart
    from steppe.study.part import FunctionPart as FunctionPart
    from steppe.study.part import Part as Part
    from steppe.study.part import WholePart as WholePart
    from steppe.study.part import attributes as attributes
    from steppe.study.part import dataset_spec as dataset_spec
    from steppe.study.published import is_published as is_published
    from steppe.study.running import StudyRun as StudyRun
    from steppe.study.running import open_study as open_study
    from steppe.study.study import Study as Study

_NAMES = {
    "Analysis": "steppe.study.analysis",
    "BaseSettings": "steppe.settings.study_settings",
    "Bases": "steppe.study.context",
    "Claim": "steppe.study.claims",
    "Context": "steppe.study.context",
    "ControlPart": "steppe.study.part",
    "CurveFigure": "steppe.study.outputs",
    "CurvePart": "steppe.study.curve_part",
    "Figure": "steppe.study.outputs",
    "FunctionPart": "steppe.study.part",
    "Laid": "steppe.study.curve_part",
    "MeanTable": "steppe.study.outputs",
    "Need": "steppe.study.needs",
    "PageSettings": "steppe.settings.study_settings",
    "Part": "steppe.study.part",
    "PointSettings": "steppe.settings.study_settings",
    "Record": "steppe.study.outputs",
    "Study": "steppe.study.study",
    "StudyRun": "steppe.study.running",
    "Table": "steppe.study.outputs",
    "WholePart": "steppe.study.part",
    "attributes": "steppe.study.part",
    "dataset_spec": "steppe.study.part",
    "is_published": "steppe.study.published",
    "mostly": "steppe.study.claims",
    "open_study": "steppe.study.running",
    "positive": "steppe.study.claims",
}

__all__ = [*_NAMES]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'steppe.study' has no attribute {name!r}")
