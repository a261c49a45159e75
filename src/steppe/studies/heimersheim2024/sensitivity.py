"""Parts 1, 2 and 6: from real and random bases, in several directions, here and in controls.

Part 1 asks how far the output stays as it was: all bases of a sample stand in the same prompt and
are moved towards the same random activations; a shared displacement is the same vector for all of
them. Part 2 asks which directions away from real bases change the output soonest. Part 6 repeats
both just before the last layer, right before the final normalisation and the unembedding, and with
weights that were never trained.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from steppe.core.axes import CONTROL, DRAW, KIND, MODE, SAMPLE, STEP
from steppe.core.sites import Site
from steppe.studies.heimersheim2024 import names as n
from steppe.studies.heimersheim2024.paths import (
    Grid,
    Study,
    crossing_variables,
    crossings,
    curve_variables,
    curves,
    drawn,
    from_bases,
)
from steppe.studies.heimersheim2024.settings import Settings
from steppe.study import Bases, FunctionPart
from steppe.study.context import Arrays


def measure_plateaus(study: Study, samples: range) -> Arrays:
    """Measure some samples of part 1."""
    bases = study.bases(samples)
    towards = drawn(study, bases, "plateau_target")
    shared = study.directions(bases, n.MIXTURE, study.settings.artificial_draws)
    starts = {
        "real": bases.activations[:, None],
        "real_foreign": drawn(study, bases, "foreign_base", real=True),
        "random": drawn(study, bases, "random_base"),
    }
    along = {kind: (start, towards - start) for kind, start in starts.items()}
    alike = {kind: (start.expand_as(shared), shared) for kind, start in starts.items()}
    found = crossings(study, bases, alike, "shared_")
    return first_draw(curves(study, bases, along)) | found | bases.variables()


def measure_directions(study: Study, samples: range) -> Arrays:
    """Measure some samples of part 2."""
    bases = study.bases(samples)
    paths = from_bases(study, bases, n.CROSSING_DIRECTIONS, study.settings.draws)
    firsts = {kind: (paths[kind][0][:, :1], paths[kind][1][:, :1]) for kind in n.CURVE_DIRECTIONS}
    found = crossings(study, bases, paths)
    return first_draw(curves(study, bases, firsts)) | found | bases.variables()


def measure_examples(study: Study, samples: range) -> Arrays:
    """Measure some samples of the curves that are shown one by one."""
    bases = study.bases(samples)
    paths = from_bases(study, bases, n.CURVE_DIRECTIONS, study.settings.example_draws)
    return curves(study, bases, paths) | bases.variables()


def measure_features(study: Study, samples: range) -> Arrays:
    """Measure some samples of the SAE's directions (part 5)."""
    bases = study.bases(samples)
    paths = from_bases(study, bases, n.FEATURE_DIRECTIONS, study.settings.draws)
    return crossings(study, bases, paths) | bases.variables()


def measure_further(study: Study, samples: range) -> Arrays:
    """Measure some samples of the kinds of direction that were asked for."""
    bases = study.bases(samples)
    paths = from_bases(study, bases, study.settings.directions)
    return crossings(study, bases, paths) | bases.variables()


def controls(study: Study) -> dict[str, Study]:
    """By control: the same prompts where another model or site is looked at."""
    last, settings = study.model.n_layers - 1, study.settings
    limit = max(settings.control_samples, study.model.d_model + 1)
    few = settings.model_copy(update={"moments_samples": min(limit, settings.moments_samples)})
    places = {
        n.LAST_LAYER: study.at(Site(last, "resid_pre")),
        n.UNEMBEDDING: study.at(Site(last, "resid_post")),
        n.UNTRAINED: study.untrained,
    }
    return {name: replace(place, settings=few) for name, place in places.items()}


def measure_controls(study: Study, samples: range) -> Arrays:
    """Measure some samples of the controls."""
    made = [_control(there, there.bases(samples)) for there in study.once(controls).values()]
    found = {name: np.stack([one[name] for one in made]) for name in made[0]}
    return found | study.bases(samples).variables()


def _control(study: Study, bases: Bases) -> Arrays:
    start, towards = (drawn(study, bases, name) for name in ("random_base", "plateau_target"))
    paths = from_bases(study, bases, (n.REAL, n.RANDOM))
    paths[n.RANDOM_FROM_RANDOM] = (start, towards - start)
    return first_draw(curves(study, bases, paths))


def first_draw(found: Arrays) -> Arrays:
    """Curves without their axis of draws, of which there is one."""
    return {name: values[:, :, :, 0] for name, values in found.items()}


RANDOM = frozenset({"pool", "moments"})
_DIMS = (KIND, MODE, SAMPLE)
_CROSSINGS, _DRAWS = crossing_variables(*_DIMS, DRAW), {DRAW: "draws"}
_PLATEAUS = Grid(
    curve_variables(*_DIMS, STEP) | crossing_variables(*_DIMS, DRAW, prefix="shared_"),
    {KIND: n.BASES, MODE: n.MODES},
    {DRAW: "artificial_draws"},
)
_DIRECTIONS = Grid(
    curve_variables(n.CURVE_KIND, MODE, SAMPLE, STEP) | _CROSSINGS,
    {n.CURVE_KIND: n.CURVE_DIRECTIONS, KIND: n.CROSSING_DIRECTIONS, MODE: n.MODES},
    _DRAWS,
)
_EXAMPLES = Grid(
    curve_variables(*_DIMS, DRAW, STEP),
    {KIND: n.CURVE_DIRECTIONS, MODE: n.MODES},
    {DRAW: "example_draws"},
    at_most="examples",
)
_FEATURES = Grid(_CROSSINGS, {KIND: n.FEATURE_DIRECTIONS, MODE: n.MODES}, _DRAWS)
_CONTROLS = Grid(
    curve_variables(CONTROL, *_DIMS, STEP),
    {CONTROL: n.CONTROL_SETUPS, KIND: n.CONTROL_KINDS, MODE: n.MODES},
)
PLATEAUS = FunctionPart(n.PLATEAUS, _PLATEAUS, measure_plateaus, RANDOM)
DIRECTIONS = FunctionPart(n.DIRECTIONS, _DIRECTIONS, measure_directions, RANDOM)
EXAMPLES = FunctionPart(n.EXAMPLES, _EXAMPLES, measure_examples, RANDOM)
FEATURES = FunctionPart(n.FEATURES, _FEATURES, measure_features, frozenset({"pool", "sae"}))


def further(settings: Settings) -> list[FunctionPart]:
    """The kinds of direction that were asked for beside the report's, one of each per base."""
    if not settings.directions:
        return []
    labels = {KIND: settings.directions, MODE: n.MODES}
    grid = Grid(_CROSSINGS, labels, {DRAW: 1})
    return [FunctionPart(n.FURTHER, grid, measure_further, settings.direction_needs | {"pool"})]


CONTROLS = FunctionPart(n.CONTROLS, _CONTROLS, measure_controls, RANDOM)
