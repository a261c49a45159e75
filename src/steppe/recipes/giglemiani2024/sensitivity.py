"""Directional sensitivity: how the output moves from real bases towards each kind of target."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from steppe.core.axes import KIND, MODE, POSITION, SAMPLE, STEP
from steppe.paths import absolute, relative, relative_grid, target_distance, target_step
from steppe.readouts import CATALOGUE, measure_paths
from steppe.recipes.giglemiani2024.draws import Draws, draw
from steppe.recipes.giglemiani2024.material import Material
from steppe.recipes.giglemiani2024.outputs import READOUTS, Selection
from steppe.store import Template, Variable

CURVE = (KIND, MODE, SAMPLE, STEP)


def template(material: Material, selection: Selection, shard_size: int) -> Template:
    """The dataset ``curves``: one curve per kind, mode and sample, and what was drawn."""
    n_steps = relative_grid(material.settings.reading).n_points
    return Template(
        samples=material.settings.samples,
        shard_size=shard_size,
        variables={
            **curve_variables(CURVE),
            **draw_variables(),
            "target_distance": Variable((KIND, SAMPLE), "residual stream", "base to target"),
            "target_step": Variable((KIND, SAMPLE), "step", "absolute step at the target", "int64"),
            "target_cosine": Variable(
                (KIND, SAMPLE), "1", "cosine of base and target about the SAE's decoder bias"
            ),
        },
        fixed=xr.Dataset(
            coords={
                KIND: (KIND, np.array(selection.kinds, dtype=object)),
                MODE: (MODE, np.array(selection.modes, dtype=object)),
                STEP: (STEP, np.arange(n_steps)),
            },
            attrs=attributes(material),
        ),
        sizes={POSITION: material.settings.prompt_length},
    )


def curve_variables(dims: tuple[str, ...]) -> dict[str, Variable]:
    """The readouts of a dataset of curves with these dimensions."""
    return {
        name: Variable(dims, CATALOGUE[name].unit, CATALOGUE[name].long_name) for name in READOUTS
    }


def draw_variables() -> dict[str, Variable]:
    """What is kept of each sample's base and real target."""
    return {
        "base_norm": Variable((SAMPLE,), "residual stream", "norm of the base"),
        "tokens": Variable((SAMPLE, POSITION), "token", "the base's prompt", "int64"),
        "base_row": Variable((SAMPLE,), "1", "row of the base's prompt", "int64"),
        "target_row": Variable((SAMPLE,), "1", "row of the real target's prompt", "int64"),
        "redraws": Variable((SAMPLE,), "1", "real targets drawn again: equal to the base", "int64"),
    }


def attributes(material: Material) -> dict[str, str | float]:
    """What a dataset says of itself."""
    return {
        "subject": material.subject.name,
        # Not "coordinates": xarray takes that attribute for its own.
        "residual_coordinates": material.subject.coordinates,
        "site": material.stock.site.name,
        "read": material.read.name,
        "reading": material.settings.reading,
        "step_size": material.scales.step_size,
    }


def measure(
    material: Material, selection: Selection, samples: range
) -> dict[str, NDArray[np.generic]]:
    """Measure one shard: every kind and mode for some samples."""
    draws = draw(material, samples, selection.kinds)
    shape = (len(selection.kinds), len(selection.modes), len(samples))
    n_steps = relative_grid(material.settings.reading).n_points
    curves = {name: np.full((*shape, n_steps), np.nan, np.float32) for name in READOUTS}
    laid = [
        lay(material, mode, draws.base, draws.targets[kind])
        for kind in selection.kinds
        for mode in selection.modes
    ]
    with material.suffix() as suffix:
        for s, prefix in enumerate(draws.prefixes):
            points = torch.stack([paths[s] for paths in laid])
            found = measure_paths(suffix, prefix, points, READOUTS, material.read)
            for name in READOUTS:
                curves[name][:, :, s] = found[name].reshape(*shape[:2], n_steps)
    return {**curves, **draws.variables(), **_geometry(material, draws, selection.kinds)}


def lay(material: Material, mode: str, base: Tensor, target: Tensor) -> Tensor:
    """The paths of one mode, ``(sample, step, d_model)``."""
    reading = material.settings.reading
    if mode == "relative":
        return relative(base, target, reading=reading)
    return absolute(base, target, step_size=material.scales.step_size, reading=reading)


def _geometry(
    material: Material, draws: Draws, kinds: tuple[str, ...]
) -> dict[str, NDArray[np.generic]]:
    center = material.sae.b_dec.float().cpu()
    targets = [draws.targets[kind] for kind in kinds]
    step_size = material.scales.step_size
    return {
        "target_distance": np.stack(
            [target_distance(draws.base, target).astype(np.float32) for target in targets]
        ),
        "target_step": np.stack(
            [target_step(draws.base, target, step_size=step_size) for target in targets]
        ),
        "target_cosine": np.stack(
            [
                torch.cosine_similarity(draws.base - center, target - center, dim=1).numpy()
                for target in targets
            ]
        ),
    }
