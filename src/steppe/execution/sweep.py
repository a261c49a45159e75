"""One study over a grid of settings: a run folder per cell, each resumable by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from steppe.core.errors import InputError, SteppeError
from steppe.core.sites import Site
from steppe.execution.calls import run
from steppe.execution.cell_names import as_value, folder_name, label_of
from steppe.settings.catalogue import find_study
from steppe.store import Run
from steppe.study import Study

# A short form of ``site``: the same point of these layers.
LAYER = "layer"


@dataclass(frozen=True)
class Sweep:
    """How a sweep ended.

    Attributes:
        runs: The finished runs.
        failed: By cell: why it has none.
    """

    runs: tuple[Run, ...]
    failed: Mapping[str, str]


def sweep(
    study: str | Study,
    grid: Mapping[str, Sequence[Any]],
    *,
    out: str | Path,
    **settings: Any,
) -> Sweep:
    """Run a study for every combination of some settings; a cell that fails stops no other.

    Args:
        study: A name, or a study of your own.
        grid: Values by setting, for instance ``{"seed": [0, 1], "layer": [1, 4]}``; ``layer``
            stands for the study's site at these layers. Models, SAEs and prompts may be objects.
        out: The folder that holds one run folder per cell. The same call goes on where it stopped.
        settings: Everything else, as `steppe.run` takes it.

    Returns:
        The runs, which `steppe.open_runs` joins, and why cells have none.

    Raises:
        InputError: An axis without values, with one twice or one that has no name, or one that is
            no setting of the study.
    """
    study_name = study.name if isinstance(study, Study) else find_study(study).name
    known = study.settings if isinstance(study, Study) else find_study(study_name).settings_class()
    _check_axes(study_name, grid, {*known.model_fields, LAYER})
    site = str(settings.get("site") or known.model_fields["site"].default) if LAYER in grid else ""
    runs, failed = [], {}
    for name, cell in named(grid).items():
        try:
            asked = {**settings, **_with_site(cell, site)}
            runs.append(run(study, out=Path(out) / name, **asked))
        except SteppeError as error:
            failed[name] = str(error)
    return Sweep(tuple(runs), failed)


def named(grid: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """Every combination of the axes' values by its folder's name, the last axis fastest.

    Raises:
        InputError: A value that has no name, or two of one name.
    """
    axes = {axis: [as_value(axis, value) for value in values] for axis, values in grid.items()}
    for axis, values in axes.items():
        labels = [label_of(axis, value) for value in values]
        twice = [label for label in labels if labels.count(label) > 1]
        if twice:
            raise InputError(
                f"axis {axis}",
                got=f"{twice[0]} twice",
                expected="values that differ, each of a run folder of its own",
                fix="leave one out",
            )
    found = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    return {folder_name(cell): cell for cell in found}


def _with_site(cell: Mapping[str, Any], site: str) -> dict[str, Any]:
    """The cell's settings, a layer turned into the site at that layer."""
    asked = {name: value for name, value in cell.items() if name != LAYER}
    if LAYER in cell:
        layer = cell[LAYER]
        if layer != "last" and (not isinstance(layer, int) or layer < 0):
            raise InputError(
                "axis layer",
                got=repr(layer),
                expected="whole numbers from 0 on, or last",
                fix="count layers from 0, as sites do",
            )
        number = -1 if layer == "last" else layer
        asked["site"] = replace(Site.parse(site), layer=number).name
    return asked


def _check_axes(study_name: str, grid: Mapping[str, Sequence[Any]], known: set[str]) -> None:
    wrong = [name for name in grid if name not in known]
    empty = [name for name, values in grid.items() if isinstance(values, str) or not len(values)]
    if wrong or empty or not grid:
        raise InputError(
            f"sweep of {study_name}",
            got=f"the axis {wrong[0]!r}"
            if wrong
            else f"no values for {empty[0]!r}"
            if empty
            else "no axis",
            expected="settings of the study, each with a list of values",
            fix=f"`steppe explain {study_name}` lists its settings; `layer` is an axis too",
        )
