"""Studies from Python: run one, write its report anew, open several runs as one dataset."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from steppe.core.axes import POSITION
from steppe.core.errors import InputError
from steppe.execution.outcome import write_report
from steppe.execution.run import run_study
from steppe.execution.workers import workers_of
from steppe.models import Model, load_model
from steppe.settings.catalogue import STUDIES
from steppe.settings.configuration import default_folder, settings_of
from steppe.store import Opening, Run, open_run
from steppe.study import Study
from steppe.study.given import Given
from steppe.study.prompts import GIVEN, width_of
from steppe.study.registry import register_study

# Settings that tell runs apart without being an axis of anything.
_NO_AXIS = {"out", "device", "engine", "bootstrap", "model_identity", "left_out"}


def run(
    study: str | Study,
    *,
    model: Any = None,
    sae: Any = None,
    prompts: Any = None,
    out: str | Path | None = None,
    **settings: Any,
) -> Run:
    """Run a study, or go on with it, and open the run.

    Args:
        study: A name (`steppe list`), or a study of your own.
        model: A name, a folder, a `transformers` model, or what `load_model` returns.
        sae: A release, a folder, or an SAE object.
        prompts: A file or data set; texts; or token ids ``(prompt, position)``, which need no
            tokenizer, also as a tokenizer returns them, without padding.
        out: The run folder; by default ``runs/<study>-<model>``.
        settings: Any setting of the study (`steppe explain STUDY`), and ``overwrite``, ``workers``,
            ``threads`` as on the command line.

    Returns:
        The finished run.

    Raises:
        InputError: Settings, a model, an SAE, prompts or a folder that do not fit.
        RunFailedError: The run could not be finished.

    Example:
        ```python
        run = steppe.run("janiak2024", samples=20, out="runs/first")
        run.claims
        ```
    """
    overwrite = bool(settings.pop("overwrite", False))
    workers_asked, threads = settings.pop("workers", "serial"), settings.pop("threads", None)
    study_name = _named(study)
    asked, given = _asked(model, sae, prompts, settings)
    checked = settings_of({**asked, "study": study_name}, "steppe.run")
    folder = Path(out) if out is not None else default_folder(checked)
    workers = workers_of(workers_asked, None, threads, dict(os.environ))
    run_study(checked, Opening(folder, overwrite=overwrite), workers, given)
    return open_run(folder)


def _named(study: str | Study) -> str:
    """The name that a study is known by; one of somebody's own is registered."""
    if isinstance(study, str):
        return study
    built_in = STUDIES.get(study.name)
    if built_in is not None and built_in.is_of(study):
        return study.name
    return register_study(study).name


def report(path: str | Path) -> Run:
    """Write the tables, figures, claims and summary of a finished run anew; needs no model.

    Raises:
        InputError: There is no run, or its study is not known here.
    """
    write_report(open_run(path))
    return open_run(path)


def open_runs(paths: str | Path | Sequence[str | Path], dataset: str = "") -> xr.Dataset:
    """Open several runs of one study as one dataset, with what tells them apart as axes.

    Args:
        paths: Run folders, or a pattern such as ``runs/sweep/*``.
        dataset: Which dataset of the runs; by default their only one, or the first.

    Returns:
        The dataset with one more dimension per setting in which the runs differ; one dimension
        ``run`` instead where they are not a full grid of such settings.

    Raises:
        InputError: There is no run, the runs are of different studies, or the dataset has another
            length in some: of paths, for instance. Samples, positions of a prompt and labels that
            a run lacks are NaN there.
    """
    runs = several_runs(paths)
    chosen = dataset or next(iter(runs[0].datasets()), "")
    axes = axes_of(runs)
    opened = _alike(runs, [one.dataset(chosen) for one in runs])
    if not axes:
        return opened[0] if len(opened) == 1 else xr.concat(opened, "run", join="outer")
    joined = xr.concat(opened, "run", join="outer", combine_attrs="drop_conflicts")
    joined = joined.assign_coords({name: ("run", values) for name, values in axes.items()})
    sizes = np.prod([len(set(values)) for values in axes.values()])
    if sizes != len(runs) or len(set(zip(*axes.values(), strict=True))) != len(runs):
        return joined
    if len(axes) == 1:
        return joined.swap_dims({"run": next(iter(axes))})
    return joined.set_index(run=list(axes)).unstack("run")


def several_runs(paths: str | Path | Sequence[str | Path]) -> list[Run]:
    """The runs of one study that a pattern or several paths name.

    Raises:
        InputError: There is no run, or they are of different studies.
    """
    runs = [open_run(path) for path in _folders(paths)]
    names = {str(one.config["resolved"]["study"]) for one in runs}
    if not runs or len(names) > 1:
        raise InputError(
            f"runs {paths}",
            got=f"runs of {', '.join(sorted(names))}" if runs else "no run folder",
            expected="one or more runs of one study",
            fix="give their folders, or a pattern such as runs/sweep/*",
        )
    return runs


def _folders(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    found = []
    for path in several:
        matches = [str(path)] if Path(path).exists() else sorted(glob(str(path)))
        if not matches:
            raise InputError(
                f"runs {path}",
                got="nothing there",
                expected="a run folder, or a pattern of some",
                fix="check the path (relative paths start at the current folder)",
            )
        found += [Path(match) for match in matches]
    return [path for path in found if path.is_dir()]


def _alike(runs: Sequence[Run], opened: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """The datasets, of which every dimension without labels is of one length.

    Token n of a prompt is the n-th in prompts of any length; step n of a path is not.
    """
    found = list(opened)
    for dim in dict.fromkeys(str(dim) for one in found for dim in one.dims):
        sizes = [one.sizes.get(dim) for one in found]
        if len(set(sizes)) == 1 or any(dim in one.indexes for one in found):
            continue
        if dim == POSITION:
            found = [one.assign_coords({dim: range(one.sizes[dim])}) for one in found]
            continue
        several = {size: run.path for size, run in zip(sizes, runs, strict=True)}
        raise InputError(
            "runs",
            got=f"{dim}: " + "; ".join(f"{size} in {path}" for size, path in several.items()),
            expected="runs whose datasets have the same length along it",
            fix="give runs of one length, or open each by itself",
        )
    return found


def axes_of(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Plain settings in which the runs differ, by name, one value a run."""
    configs = [one.config["resolved"] for one in runs]
    axes = {}
    for name in configs[0]:
        values = [config.get(name) for config in configs]
        plain = all(isinstance(value, str | int | float | bool) for value in values)
        if plain and name not in _NO_AXIS and len(set(values)) > 1:
            axes[name] = values
    return axes


def _asked(
    model: Any, sae: Any, prompts: Any, settings: Mapping[str, Any]
) -> tuple[dict[str, Any], Given]:
    """Split a call's arguments into settings and objects that stand in for them."""
    asked = dict(settings)
    objects: dict[str, Any] = {}
    if isinstance(model, str | Path):
        asked["model"] = str(model)
    elif model is not None:
        objects["model"] = model if isinstance(model, Model) else load_model(model)
        asked["model"] = objects["model"].name
    for name, value in (("sae", sae), ("prompts", prompts)):
        if isinstance(value, str | Path):
            asked[name] = str(value)
        elif value is not None:
            objects[name] = value
    if "prompts" in objects:
        asked["prompts"] = GIVEN
        width = width_of(prompts)
        if width and settings.get("prompt_length", width) != width:
            raise InputError(
                "setting prompt_length",
                got=f"{settings['prompt_length']!r}, for token ids of {width} tokens a prompt",
                expected="the length of the prompts that are given, or nothing",
                fix="leave it out, or cut the prompts",
            )
        if width:
            asked["prompt_length"] = width
    return asked, Given(**objects)
