"""Part 6: what is left of the effects where there is little, or nothing, for them to arise from?

The same comparison with points placed just before the last layer, and right before the final
normalisation and the unembedding, where nothing but these two lies between; and on a subject of
the same architecture whose weights were never trained.
"""

from __future__ import annotations

import numpy as np

from steppe.core.axes import CONTROL, KIND, MODE, SAMPLE, STEP
from steppe.recipes.heimersheim2024.bench import Arrays, Bench, measure_curves
from steppe.recipes.heimersheim2024.draws import directions, random_activations, take_bases
from steppe.recipes.heimersheim2024.layout import curve_variables, template
from steppe.recipes.heimersheim2024.material import Material
from steppe.recipes.heimersheim2024.outputs import (
    CONTROL_KINDS,
    CONTROL_SETUPS,
    MODES,
    RANDOM,
    RANDOM_FROM_RANDOM,
    REAL,
)
from steppe.store import Template


def lay_out(material: Material) -> Template:
    """Curves of every control."""
    return template(
        material,
        curve_variables((CONTROL, KIND, MODE, SAMPLE, STEP)),
        labels={CONTROL: CONTROL_SETUPS, KIND: CONTROL_KINDS, MODE: MODES},
        sizes={STEP: material.settings.n_points},
    )


def measure(material: Material, samples: range) -> Arrays:
    """Measure one shard."""
    made = [_measure_one(material, name, samples) for name in CONTROL_SETUPS]
    own = take_bases(material.stock, samples).variables()
    return {**{name: np.stack([one[name] for one in made]) for name in made[0]}, **own}


def _measure_one(material: Material, name: str, samples: range) -> Arrays:
    stock = material.controls[name]
    bases = take_bases(stock, samples)
    real = bases.activations
    start = random_activations(material, bases, "random_base", 1)[:, 0]
    towards = random_activations(material, bases, "plateau_target", 1)[:, 0]
    starts = {REAL: real, RANDOM: real, RANDOM_FROM_RANDOM: start}
    ways = {
        REAL: directions(material, bases, REAL, 1)[:, 0],
        RANDOM: directions(material, bases, RANDOM, 1)[:, 0],
        RANDOM_FROM_RANDOM: towards - start,
    }
    with Bench(material, stock) as bench:
        return measure_curves(bench, bases.prefixes, starts, ways)
