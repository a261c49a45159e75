"""Single points of paths give what the whole paths give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.metrics import find_metrics, measure_paths
from steppe.metrics import points as module
from steppe.metrics.points import PointMetrics
from steppe.models import Model
from steppe.propagation import Suffix, build_prefix, read_residuals

SITE = Site.parse("blocks.1.hook_resid_pre")
LAST = Site.parse("blocks.last.hook_resid_post")
METRICS = ["l2", "kl", "cosine"]


def laid(model: Model) -> tuple[torch.Tensor, torch.Tensor]:
    """A prompt, and three paths (path, step, d_model), two of them from one base."""
    tokens = torch.arange(30).reshape(3, 10)
    ends = read_residuals(model, tokens, SITE)
    starts = torch.stack([ends[0], ends[0], ends[1]])
    steps = torch.linspace(0, 1, 9)[:, None]
    paths = starts[:, None] + steps * (ends[[1, 2, 2]] - starts)[:, None]
    return tokens[0], paths


@pytest.mark.parametrize("rows", [512, 6])
def test_points_are_those_of_whole_paths(
    model: Model, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "rows_at_once", lambda _: rows)
    tokens, paths = laid(model)
    wanted = np.random.default_rng(0).random((3, 9)) < 0.5
    wanted[1] = False
    wanted[2, 0] = True
    with Suffix(model, SITE, read=[LAST], logits=True) as suffix:
        prefix = build_prefix(model, tokens, SITE)
        whole = measure_paths(suffix, prefix, paths, METRICS, LAST)
        some = PointMetrics(suffix, find_metrics(METRICS), LAST)(prefix, paths, wanted)
    for name in METRICS:
        assert np.array_equal(np.isnan(some[name]), ~wanted)
        scale = np.abs(whole[name]).max()
        np.testing.assert_allclose(
            some[name][wanted], whole[name][wanted], rtol=0, atol=2e-6 * scale
        )
    assert some["l2"][2, 0] == 0


def test_the_base_alone_costs_nothing_else(model: Model) -> None:
    tokens, paths = laid(model)
    wanted = np.zeros((3, 9), bool)
    with Suffix(model, SITE, read=[LAST], logits=False) as suffix:
        reader = PointMetrics(suffix, find_metrics(["l2"]), LAST)
        prefix = build_prefix(model, tokens, SITE)
        assert np.isnan(reader(prefix, paths, wanted)["l2"]).all()
        wanted[:, 0] = True
        assert not reader(prefix, paths, wanted)["l2"][:, 0].any()


@pytest.mark.parametrize("metric", ["relative_distance", "linear_prediction"])
def test_a_metric_of_whole_paths_is_refused(model: Model, metric: str) -> None:
    with (
        Suffix(model, SITE, read=[LAST], logits=False) as suffix,
        pytest.raises(InputError, match=f"metrics of whole paths: {metric}"),
    ):
        PointMetrics(suffix, find_metrics(["l2", metric]), LAST)


def test_half_precision_is_refused(model: Model) -> None:
    found: Any = type("Half", (), {"dtype": torch.bfloat16})
    with pytest.raises(InputError, match="bfloat16"):
        module.check_single_points(found, find_metrics(["l2"]))
