"""Single points are run in as large batches as fit, and compared with the references named."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.metrics import CATALOGUE
from steppe.metrics.probe import Probe
from steppe.models import load_model
from steppe.propagation import Suffix, build_prefix

SITE, READ = Site(1, "resid_pre"), Site(2, "resid_post")


def test_points_are_run_in_as_many_pairs_as_fit(
    sharp_gpt2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(sharp_gpt2, dtype="bfloat16")
    torch.manual_seed(2)
    with Suffix(model, SITE, read=[], logits=True) as suffix:
        probe = Probe(suffix, CATALOGUE["kl"], READ)
        prefix = build_prefix(model, torch.arange(12), SITE)
        points = prefix.base + 0.1 * torch.randn(150, 24)
        together = probe.outputs(prefix, points)
        monkeypatch.setattr(suffix, "fits", lambda _prefix, rows: rows <= 6)
        apart = probe.outputs(prefix, points)
    torch.testing.assert_close(apart, together, rtol=1e-3, atol=1e-3)


def test_points_are_compared_with_their_own_reference(sharp_gpt2: Any) -> None:
    model = load_model(sharp_gpt2)
    torch.manual_seed(3)
    with Suffix(model, SITE, read=[READ]) as suffix:
        probe = Probe(suffix, CATALOGUE["l2"], READ)
        prefix = build_prefix(model, torch.arange(12), SITE)
        outputs = probe.outputs(prefix, prefix.base + torch.randn(5, 24))
        found = probe.values(outputs[:2], torch.tensor([0, 1, 1, 0]), outputs[1:])
    expected = (outputs[1:] - outputs[[0, 1, 1, 0]]).norm(dim=1)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", ["linear_prediction", "relative_distance"])
def test_metrics_of_whole_paths_have_no_single_points(sharp_gpt2: Any, name: str) -> None:
    with (
        Suffix(load_model(sharp_gpt2), SITE, read=[READ]) as suffix,
        pytest.raises(InputError, match="whole curves"),
    ):
        Probe(suffix, CATALOGUE[name], READ)
