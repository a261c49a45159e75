"""Decorators by which anybody adds a kind, direction, path, metric, statistic or study.

Each registers a function under its own name, with the first line of its docstring as its
description. What is registered is at once usable from Python, YAML and the command line of the same
process; a package registers when it is imported, and names its module in the entry-point group
``steppe.kinds``, ``steppe.directions``, ``steppe.paths``, ``steppe.metrics``,
``steppe.statistics`` or ``steppe.studies``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from steppe.activations import KINDS, Kind, TargetRequest
from steppe.core.registry import entry_of
from steppe.metrics import CATALOGUE as METRICS
from steppe.metrics import Metric
from steppe.metrics.catalogue import Measure, Reads
from steppe.paths import DIRECTIONS, PATHS, DirectionKind, DirectionRequest, Ends, PathKind
from steppe.paths.direction_request import as_directions
from steppe.reports import KindStyle, add_style
from steppe.settings.catalogue import STUDIES, StudyEntry
from steppe.statistics import CATALOGUE as STATISTICS
from steppe.statistics import statistic_of
from steppe.study.study import Study

MakeTargets = Callable[[TargetRequest], Tensor]
MakeDirections = Callable[[DirectionRequest], Tensor]
Lay = Callable[[Ends, Tensor], Tensor]
Summarise = Callable[..., NDArray[Any]]


def register_kind(
    *, needs: tuple[str, ...] = (), label: str = "", color: str = ""
) -> Callable[[MakeTargets], MakeTargets]:
    """Register a kind of target of your own.

    The function takes a `steppe.activations.TargetRequest` and returns one target per base,
    ``(sample, d_model)``. Random numbers come from ``request.generators("a name of yours")``, one
    generator per sample.

    Args:
        needs: What it cannot do without: ``pool``, ``moments``, ``sae``. A study makes only what is
            needed, and the request holds it.
        label: Its name in figures and tables.
        color: Its colour in figures.

    Raises:
        InputError: The name is that of a built-in kind.
    """

    def register(function: MakeTargets) -> MakeTargets:
        name, description = entry_of(function)
        KINDS.add(Kind(name, description, function, needs))
        _add_style(name, label, color)
        return function

    return register


def register_direction(
    *, needs: tuple[str, ...] = (), label: str = "", color: str = ""
) -> Callable[[MakeDirections], MakeDirections]:
    """Register a kind of direction of your own.

    The function takes a `steppe.paths.DirectionRequest` and returns one vector per row of
    ``request.rows``, of any length; a zero or NaN vector is no direction.

    Args:
        needs: What it cannot do without: ``pool``, ``moments``, ``sae``.
        label: Its name in figures and tables.
        color: Its colour in figures.
    """

    def register(function: MakeDirections) -> MakeDirections:
        name, description = entry_of(function)

        def make(request: DirectionRequest) -> Tensor:
            return as_directions(function(request).reshape(request.rows.shape), request)

        DIRECTIONS.add(DirectionKind(name, description, make, needs))
        _add_style(name, label, color)
        return function

    return register


def register_path(
    *, unit: str = "fraction of the way", end: float = 1.0, needs: tuple[str, ...] = ()
) -> Callable[[Lay], Lay]:
    """Register a path of your own.

    The function takes `steppe.paths.Ends` and fractions ``(step,)`` from 0 to 1, and returns points
    ``(sample, step, d_model)``, the base at fraction 0.

    Args:
        unit: What a position on the path is counted in.
        end: The position of its last point.
        needs: ``("pool",)`` where it needs ``ends.center``, the mean of real activations.
    """

    def register(function: Lay) -> Lay:
        name, description = entry_of(function)
        PATHS.add(PathKind(name, description, function, unit, end, needs))
        return function

    return register


def register_metric(*, reads: Reads, unit: str = "1") -> Callable[[Measure], Measure]:
    """Register a metric of your own.

    The function takes the outputs of one path, ``(step, d_model)`` or ``(step, vocab)``, the base
    at step 0, and returns one number per step. Axes between step and the last are to be kept.

    Args:
        reads: ``residual`` or ``logits``.
        unit: Its unit; ``"1"`` when it has none.
    """

    def register(function: Measure) -> Measure:
        name, description = entry_of(function)
        METRICS.add(Metric(name, unit, description, reads, function))
        return function

    return register


def register_statistic(*, unit: str = "1") -> Callable[[Summarise], Summarise]:
    """Register a statistic of your own.

    The function takes values ``(..., step)``, and settings by name, and returns ``(...)``; NaN
    where a curve has no such number.

    Args:
        unit: Its unit; ``"step"`` for an index on the path's grid.
    """

    def register(function: Summarise) -> Summarise:
        STATISTICS.add(statistic_of(function, unit))
        return function

    return register


def register_study(study: Study) -> Study:
    """Register a study of your own: `steppe.run`, YAML files and the command line know it then."""
    STUDIES.add(
        StudyEntry(
            name=study.name,
            paper=study.paper,
            question=study.question,
            settings=study.settings,
            study=study,
        )
    )
    return study


def _add_style(name: str, label: str, color: str) -> None:
    if label or color:
        add_style(name, KindStyle(label or name.replace("_", " ").capitalize(), color or "black"))
