from __future__ import annotations

import sys

import pytest
import torch

from steppe.core.errors import InputError
from steppe.metrics import jacobian_norm
from steppe.models import Model
from steppe.propagation import GradientSuffix, build_prefix

TOKENS = torch.arange(8)
MID, OUT = "blocks.1.hook_resid_mid", "blocks.1.hook_mlp_out"


def suffix_of(model: Model, site: str) -> tuple[GradientSuffix, torch.Tensor]:
    prefix = build_prefix(model, TOKENS, site)
    moved = torch.randn(2, model.d_model, generator=torch.Generator().manual_seed(0))
    return GradientSuffix(model, prefix), prefix.base + torch.cat([0 * moved[:1], moved])


def test_the_exact_norm_of_an_mlp_is_that_of_autograd_on_the_block_itself(model: Model) -> None:
    suffix, points = suffix_of(model, MID)
    norms, errors = jacobian_norm(suffix, points, OUT)
    block = model.hf_model.transformer.h[1]

    def mlp(x: torch.Tensor) -> torch.Tensor:
        added: torch.Tensor = block.mlp(block.ln_2(x[None, None]))[0, 0]
        return added - added.mean()

    expected = [torch.autograd.functional.jacobian(mlp, one).norm() for one in points]
    torch.testing.assert_close(norms.float(), torch.stack(expected), rtol=1e-4, atol=0)
    assert not errors.any()
    assert norms.std() > 0.01 * norms.mean()


def test_hutchinsons_estimate_lies_within_its_own_error(model: Model) -> None:
    suffix, points = suffix_of(model, "blocks.0.hook_resid_post")
    read = "blocks.last.hook_resid_post"
    exact, _ = jacobian_norm(suffix, points, read)
    found, errors = jacobian_norm(suffix, points, read, probes=64, seed=1)
    assert ((found - exact).abs() < 4 * errors).all()
    assert (errors < 0.2 * exact).all()
    assert (errors > 0).all()


def test_one_probe_has_no_error_and_is_refused(model: Model) -> None:
    suffix, points = suffix_of(model, MID)
    with pytest.raises(InputError, match="probes"):
        jacobian_norm(suffix, points, OUT, probes=1)


@pytest.mark.parametrize("probes", [0, 8])
def test_few_rows_at_once_give_the_same(
    model: Model, probes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    suffix, points = suffix_of(model, MID)
    whole = jacobian_norm(suffix, points, OUT, probes=probes)
    rows: list[int] = []
    pull = suffix.pull
    monkeypatch.setattr(suffix, "pull", lambda p, v, r: rows.append(len(p)) or pull(p, v, r))
    monkeypatch.setattr(sys.modules[jacobian_norm.__module__], "_ROWS", 5)
    cut = jacobian_norm(suffix, points, OUT, probes=probes)
    assert max(rows) <= 5
    for found, expected in zip(cut, whole, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)
