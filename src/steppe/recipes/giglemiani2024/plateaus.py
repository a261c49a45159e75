"""Activation plateaus: how far from each kind of base the output stays where it is.

Every path heads for a fresh random target. In the ``foreign`` context, the paper's, a real base is
another prompt's activation placed in this prompt; in the ``native`` context it is the prompt's own.
The other kinds are made for the prompt they are placed in, so both contexts hold the same curves.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from steppe.core.axes import CONTEXT, KIND, POSITION, SAMPLE, STEP
from steppe.paths import relative_grid, target_distance, target_step
from steppe.readouts import measure_paths
from steppe.recipes.giglemiani2024.draws import draw
from steppe.recipes.giglemiani2024.material import Material
from steppe.recipes.giglemiani2024.outputs import CONTEXTS, READOUTS
from steppe.recipes.giglemiani2024.sensitivity import (
    attributes,
    curve_variables,
    draw_variables,
    lay,
)
from steppe.store import Template, Variable

CURVE = (CONTEXT, KIND, SAMPLE, STEP)


def template(material: Material, bases: tuple[str, ...], shard_size: int) -> Template:
    """The dataset ``plateaus``: one curve per context, kind of base and sample."""
    n_steps = relative_grid(material.settings.reading).n_points
    pair = (CONTEXT, KIND, SAMPLE)
    return Template(
        samples=material.settings.samples,
        shard_size=shard_size,
        variables={
            **curve_variables(CURVE),
            **draw_variables(),
            "target_distance": Variable(pair, "residual stream", "base to random target"),
            "target_step": Variable(pair, "step", "absolute step at the target", "int64"),
        },
        fixed=xr.Dataset(
            coords={
                CONTEXT: (CONTEXT, np.array(CONTEXTS, dtype=object)),
                KIND: (KIND, np.array(bases, dtype=object)),
                STEP: (STEP, np.arange(n_steps)),
            },
            attrs=attributes(material),
        ),
        sizes={POSITION: material.settings.prompt_length},
    )


def measure(
    material: Material, bases: tuple[str, ...], samples: range
) -> dict[str, NDArray[np.generic]]:
    """Measure one shard: every context and kind of base for some samples."""
    draws = draw(material, samples, bases)
    end = material.stock.gaussian.draw(material.generators("plateau_end", samples))
    n_steps = relative_grid(material.settings.reading).n_points
    shape = (len(CONTEXTS), len(bases), len(samples))
    found: dict[str, NDArray[np.generic]] = {
        name: np.full((*shape, n_steps), np.nan, np.float32) for name in READOUTS
    }
    found["target_distance"] = np.full(shape, np.nan, np.float32)
    found["target_step"] = np.zeros(shape, np.int64)
    step_size = material.scales.step_size
    placed = list(_placed(draws.base, {kind: draws.targets[kind] for kind in bases}))
    laid = [lay(material, "absolute", base, end) for _, base in placed]
    with material.suffix() as suffix:
        curves = [
            measure_paths(
                suffix, prefix, torch.stack([paths[s] for paths in laid]), READOUTS, material.read
            )
            for s, prefix in enumerate(draws.prefixes)
        ]
    for index, (place, base) in enumerate(placed):
        for name in READOUTS:
            found[name][place] = np.stack([curve[name][index] for curve in curves])
        found["target_distance"][place] = target_distance(base, end)
        found["target_step"][place] = target_step(base, end, step_size=step_size)
    return {**found, **draws.variables()}


def _placed(
    own: Tensor, targets: dict[str, Tensor]
) -> Iterator[tuple[tuple[int | slice, int], Tensor]]:
    """Where in (context, kind) each different set of bases goes, and the bases."""
    for index, (kind, made) in enumerate(targets.items()):
        if kind == "real":
            yield (CONTEXTS.index("native"), index), own
            yield (CONTEXTS.index("foreign"), index), made
        else:
            yield (slice(None), index), made
