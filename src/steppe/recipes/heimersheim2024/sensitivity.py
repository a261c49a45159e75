"""Part 2: which directions away from real bases change the output soonest?

The first direction of each kind is measured as a whole curve, of few bases several of them; of all
directions, the crossing is searched. The mixtures are the later paper's (Lee and Heimersheim 2024):
they do not hold the base.
"""

from __future__ import annotations

import numpy as np

from steppe.core.axes import DRAW, KIND, MODE, SAMPLE, STEP
from steppe.recipes.heimersheim2024.bench import Arrays, Bench, measure_curves, search
from steppe.recipes.heimersheim2024.draws import directions, take_bases
from steppe.recipes.heimersheim2024.layout import (
    KIND_MODE,
    crossing_variables,
    curve_variables,
    template,
)
from steppe.recipes.heimersheim2024.material import Material
from steppe.recipes.heimersheim2024.outputs import (
    CROSSING_DIRECTIONS,
    CURVE_DIRECTIONS,
    FEATURE_DIRECTIONS,
    MODES,
)
from steppe.store import Template

# Curves are of fewer kinds than crossings are.
CURVE_KIND = "curve_kind"


def lay_out(material: Material) -> Template:
    """Curves along the first direction of each kind, and crossings along all of them."""
    settings = material.settings
    return template(
        material,
        {
            **curve_variables((CURVE_KIND, *KIND_MODE[1:], STEP)),
            **crossing_variables((*KIND_MODE, DRAW)),
        },
        labels={CURVE_KIND: CURVE_DIRECTIONS, KIND: CROSSING_DIRECTIONS, MODE: MODES},
        sizes={STEP: settings.n_points, DRAW: settings.draws},
    )


def measure(material: Material, samples: range) -> Arrays:
    """Measure one shard."""
    bases = take_bases(material.stock, samples)
    draws = material.settings.draws
    ways = {kind: directions(material, bases, kind, draws) for kind in CROSSING_DIRECTIONS}
    starts = {kind: bases.activations[:, None].expand_as(way) for kind, way in ways.items()}
    with Bench(material, material.stock) as bench:
        curves = measure_curves(
            bench,
            bases.prefixes,
            dict.fromkeys(CURVE_DIRECTIONS, bases.activations),
            {kind: ways[kind][:, 0] for kind in CURVE_DIRECTIONS},
        )
        found = search(bench, bases.prefixes, starts, ways)
    return {**curves, **found, **bases.variables()}


def lay_out_examples(material: Material) -> Template:
    """Curves along several directions of each kind, from few bases: to be looked at one by one."""
    settings = material.settings
    return template(
        material,
        curve_variables((*KIND_MODE, DRAW, STEP)),
        labels={KIND: CURVE_DIRECTIONS, MODE: MODES},
        sizes={STEP: settings.n_points, DRAW: settings.example_draws},
        at_most=settings.examples,
    )


def measure_examples(material: Material, samples: range) -> Arrays:
    """Measure one shard of the curves that are shown one by one."""
    bases = take_bases(material.stock, samples)
    draws = material.settings.example_draws
    ways = {kind: directions(material, bases, kind, draws) for kind in CURVE_DIRECTIONS}
    starts = dict.fromkeys(CURVE_DIRECTIONS, bases.activations)
    with Bench(material, material.stock) as bench:
        each = [
            measure_curves(
                bench, bases.prefixes, starts, {kind: way[:, draw] for kind, way in ways.items()}
            )
            for draw in range(draws)
        ]
    draw_axis = KIND_MODE.index(SAMPLE) + 1
    curves = {name: np.stack([one[name] for one in each], axis=draw_axis) for name in each[0]}
    return {**curves, **bases.variables()}


def lay_out_features(material: Material) -> Template:
    """Crossings along decoder rows of the SAE."""
    return template(
        material,
        crossing_variables((*KIND_MODE, DRAW)),
        labels={KIND: FEATURE_DIRECTIONS, MODE: MODES},
        sizes={DRAW: material.settings.draws},
    )


def measure_features(material: Material, samples: range) -> Arrays:
    """Measure one shard of the SAE's directions (part 5)."""
    bases = take_bases(material.stock, samples)
    draws = material.settings.draws
    ways = {kind: directions(material, bases, kind, draws) for kind in FEATURE_DIRECTIONS}
    starts = {kind: bases.activations[:, None].expand_as(way) for kind, way in ways.items()}
    with Bench(material, material.stock) as bench:
        found = search(bench, bases.prefixes, starts, ways)
    return {**found, **bases.variables()}
