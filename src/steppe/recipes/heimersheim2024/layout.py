"""How are the study's datasets laid out: curves and crossings over kinds, modes and samples?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from steppe.core.axes import KIND, MODE, POSITION, SAMPLE, STEP
from steppe.paths import END
from steppe.readouts import CATALOGUE
from steppe.recipes.heimersheim2024.draws import base_variables
from steppe.recipes.heimersheim2024.material import Material
from steppe.recipes.heimersheim2024.outputs import MODES, READOUTS
from steppe.store import Template, Variable

SHARD_SIZE = 10
KIND_MODE = (KIND, MODE, SAMPLE)
UNITS = {"straight": "norm of the base", "sphere": "degrees"}


def curve_variables(dims: tuple[str, ...]) -> dict[str, Variable]:
    """Every readout along a path."""
    found = {}
    for name in READOUTS:
        readout = CATALOGUE[name.removesuffix("_normalized")]
        after = " after the final normalisation" if name.endswith("_normalized") else ""
        found[name] = Variable(dims, readout.unit, readout.long_name + after)
    return found


def crossing_variables(dims: tuple[str, ...], prefix: str = "") -> dict[str, Variable]:
    """Crossings of a search (`stacked`)."""
    meanings = {
        "crossing": ("norm of the base (straight), degrees (sphere)", "where KL first reaches the "
                     "level; NaN where it never does, or there is no direction", "float32"),
        "censored": ("1", "whether KL stays below the level all along the path", "bool"),
        "scanned": ("1", "whether bisection was not safe", "bool"),
        "evaluations": ("points", "points that the search computed", "int64"),
    }  # fmt: skip
    return {
        f"{prefix}{name}": Variable(dims, unit, meaning, dtype)
        for name, (unit, meaning, dtype) in meanings.items()
    }


def template(
    material: Material,
    variables: Mapping[str, Variable],
    *,
    labels: Mapping[str, Sequence[str]],
    sizes: Mapping[str, int],
    at_most: int | None = None,
) -> Template:
    """A dataset of this study.

    Args:
        material: Gives sizes, and what the dataset says of itself.
        variables: What is filled shard by shard, beside the bases' own.
        labels: Names along the dimensions that have some.
        sizes: Lengths of other dimensions.
        at_most: For a part of few samples: how many. They are shared out one by one.
    """
    settings = material.settings
    positions = {
        f"{mode}_position": (
            STEP,
            np.linspace(0, END[mode], settings.n_points),
            {"unit": UNITS[mode], "long_name": f"where a step of a {mode} path lies"},
        )
        for mode in MODES
    }
    has_steps = any(STEP in variable.dims for variable in variables.values())
    coordinates = {dim: (dim, np.array(names, dtype=object)) for dim, names in labels.items()}
    return Template(
        samples=min(settings.samples, settings.samples if at_most is None else at_most),
        shard_size=SHARD_SIZE if at_most is None else 1,
        variables={**variables, **base_variables()},
        fixed=xr.Dataset(
            coords={**coordinates, **(positions if has_steps else {})},
            attrs={
                "subject": material.subject.name,
                "residual_coordinates": material.subject.coordinates,
                "site": material.stock.site.name,
                "read": material.read.name,
                "level": settings.level,
            },
        ),
        sizes={**sizes, POSITION: settings.prompt_length},
    )
