"""How far would adaptive points agree with all of them? On the saved curves of a full run.

steppe reproduce giglemiani2024 --samples 500 --out runs/full
python benchmarks/adaptive_points.py runs/full                   one row per statistic
python benchmarks/adaptive_points.py runs/full --by kind mode    and kind and mode, or context
python benchmarks/adaptive_points.py runs/full --every 10 --tolerance inf --of max_slope

No model is needed: what a run would compute is taken from the curves.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from steppe.core.axes import SAMPLE, STEP
from steppe.core.lazy import load
from steppe.curves import metrics
from steppe.settings.catalogue import find_study
from steppe.statistics import refinement
from steppe.statistics.refinement import refine
from steppe.store import open_run
from steppe.study import Analysis, CurvePart, Study
from steppe.study.adaptive import ReadOff, points_that_count
from steppe.study.agreement import compared, errors

Arrays = dict[str, NDArray[Any]]


def refined(part: CurvePart, run: Analysis, curves: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """The curves at adaptive points, and which points these are."""
    assert part.read_off is not None
    dims = (*part.dims, SAMPLE, STEP)
    known = {name: curves[name].transpose(*dims).values for name in metrics(curves)}
    shape = next(iter(known.values())).shape
    flat = {name: values.reshape(-1, shape[-1]) for name, values in known.items()}

    def labelled(values: Mapping[str, NDArray[Any]]) -> xr.Dataset:
        return curves.assign({name: (dims, one.reshape(shape)) for name, one in values.items()})

    def read_off(values: Mapping[str, NDArray[Any]]) -> Arrays:
        assert part.read_off is not None
        steps = part.read_off(run.settings, run.constants, labelled(values))
        arranged = {name: one.reshape(shape) for name, one in values.items()}
        wanted = points_that_count(steps, arranged, part.dims)
        return {name: points.reshape(-1, shape[-1]) for name, points in wanted.items()}

    rows = next(iter(flat.values())).shape
    found = refine(lambda _: flat, read_off, list(flat), rows)
    return (
        labelled({name: one.values for name, one in found.items()}),
        labelled({name: one.computed for name, one in found.items()}),
    )


def rows_of(
    part: CurvePart, run: Analysis, curves: xr.Dataset, by: list[str]
) -> Iterator[dict[str, Any]]:
    """One row per metric, statistic and label."""
    assert part.read_off is not None
    found, computed = refined(part, run, curves)
    both = [part.read_off(run.settings, run.constants, one) for one in (curves, found)]
    of_path = np.logical_or.reduce([computed[name] for name in metrics(curves)])
    yield {"dataset": part.name, "metric": "all", "points": of_path.sum(axis=-1).mean()}
    dims = [dim for dim in part.dims if dim in by]
    for name, given in both[0].items():
        metric = str(given.attrs["metric"])
        five = (given, both[1][name], computed[metric], curves[metric], found[metric])
        stacked = [one.stack(label=dims) if dims else one.expand_dims("label") for one in five]
        for at in range(stacked[0].sizes["label"]):
            steps, ours, points, whole, rebuilt = (one.isel(label=at) for one in stacked)
            labels = {dim: str(steps[dim].values) for dim in dims}
            difference = ours - steps
            exact, rebuilt_rows = (
                one.transpose(..., STEP).values.reshape(-1, one.sizes[STEP])
                for one in (whole, rebuilt)
            )
            falls = falling(exact)
            yield {
                "dataset": part.name,
                "metric": metric,
                "statistic": name.replace(f" of {metric}", ""),
                **labels,
                **compared(steps.values.ravel(), ours.values.ravel()),
                "mean_moved": float(difference.mean()),
                "falling": int(falls.sum()),
                "off_of_falling": int((np.abs(difference.values.ravel()[falls]) > 1).sum()),
                "points": float(points.sum(STEP).mean()),
                "whole": float(points.all(STEP).mean()),
                **errors(exact, rebuilt_rows),
            }


def falling(curves: NDArray[Any]) -> NDArray[np.bool_]:
    """Which curves ``(curve, step)`` fall somewhere by over 1% of their range."""
    below = (np.maximum.accumulate(curves, axis=1) - curves).max(axis=1)
    return np.asarray(below > 0.01 * np.ptp(curves, axis=1))


def table(path: Path, by: list[str], of: str) -> pd.DataFrame:
    """All rows of a run."""
    opened = open_run(path)
    named = find_study(str(opened.config["resolved"]["study"])).study
    study: Study = load(named) if isinstance(named, str) else named
    run = study.analysis.of(opened, study.settings, study.derived)
    parts = [
        one
        for one in study.parts(run.settings)
        if isinstance(one, CurvePart) and one.read_off is not None
    ]
    chosen = [replace(part, read_off=partial(_chosen, part.read_off, of)) for part in parts]
    return pd.DataFrame(
        row for part in chosen for row in rows_of(part, run, run.datasets[part.name].load(), by)
    )


def _chosen(read_off: ReadOff, of: str, *given: Any) -> Mapping[str, xr.DataArray]:
    """Those steps alone whose name begins with a word."""
    return {name: steps for name, steps in read_off(*given).items() if name.startswith(of)}


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--by", nargs="*", default=[], help="kind, mode, context")
    parser.add_argument("--every", type=int, default=refinement.EVERY)
    parser.add_argument("--tolerance", type=float, default=refinement.TOLERANCE)
    parser.add_argument("--of", default="", help="one statistic; else all that the study has")
    options = parser.parse_args()
    refinement.EVERY, refinement.TOLERANCE = options.every, options.tolerance
    print(table(options.run, options.by, options.of).to_string(index=False, float_format="%.5g"))


if __name__ == "__main__":
    main()
