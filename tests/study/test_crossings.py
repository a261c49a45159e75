"""Searched crossings: in half precision, from several bases of one prompt, without a direction."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from steppe.core.sites import Site
from steppe.metrics import CATALOGUE
from steppe.metrics.probe import Probe
from steppe.models import Model, load_model
from steppe.paths import Family, family_of
from steppe.propagation import Prefix, Suffix, build_prefix
from steppe.statistics import Crossings
from steppe.study.crossings import Search

SITE, READ = Site(1, "resid_pre"), Site(-1, "resid_post")
LEVEL, STEPS = 1e-4, 101


def prefix_of(model: Model) -> Prefix:
    return build_prefix(model, torch.arange(12), SITE)


def searched(model: Model, family: Family) -> Crossings:
    with Suffix(model, SITE, read=[], logits=True) as suffix:
        probe = Probe(suffix, CATALOGUE["kl"], READ)
        return Search(probe, LEVEL)(prefix_of(model), family, STEPS)


def sphere(model: Model) -> Family:
    torch.manual_seed(1)
    displacements = torch.randn(40, 24)
    base = prefix_of(model).base.float()
    return family_of("sphere", base.expand(40, -1), displacements, mean_free=True)


def test_crossings_of_small_levels_are_those_of_float32(sharp_gpt2: Any) -> None:
    models = [load_model(sharp_gpt2), load_model(sharp_gpt2, dtype="bfloat16")]
    exact, half = (searched(model, sphere(model)) for model in models)
    assert not exact.censored.any()
    error = np.abs(half.step - exact.step) / exact.step
    assert np.median(error) < 0.015
    assert error.max() < 0.05


def test_paths_from_several_bases_are_each_compared_with_their_own(sharp_gpt2: Any) -> None:
    model = load_model(sharp_gpt2)
    generator = torch.Generator().manual_seed(2)
    bases = prefix_of(model).base + torch.randn(3, 24, generator=generator)
    ways = torch.randn(3, 24, generator=generator)
    together = searched(model, family_of("sphere", bases, ways))
    for row in range(3):
        alone = searched(model, family_of("sphere", bases[row][None], ways[row][None]))
        np.testing.assert_allclose(together.step[row], alone.step, rtol=1e-4)
    assert len(set(together.step.round(3))) == 3


def test_paths_without_a_direction_stay_undefined(sharp_gpt2: Any) -> None:
    model = load_model(sharp_gpt2)
    base = prefix_of(model).base.expand(3, -1)
    ways = torch.stack([torch.arange(24.0).cos(), base[0] * 2, torch.full((24,), torch.nan)])
    found = searched(model, family_of("sphere", base, ways))
    nothing = searched(model, family_of("sphere", base[1:], ways[1:]))
    assert np.isnan(found.step[1:]).all()
    assert not found.censored[1:].any()
    assert found.evaluations.tolist()[1:] == [0, 0]
    assert found.evaluations[0] > 0
    assert np.isnan(nothing.step).all()
