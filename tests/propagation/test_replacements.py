from __future__ import annotations

import copy
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from transformers.activations import FastGELUActivation, NewGELUActivation
from transformers.pytorch_utils import Conv1D

from steppe.metrics import measure
from steppe.models import Model, load_model
from steppe.models.half_precision import halve_matrices
from steppe.propagation import read_residuals
from steppe.propagation.replacements import replacements, tanh_gelu

module = sys.modules["steppe.propagation.replacements"]


@pytest.mark.parametrize("activation", [NewGELUActivation(), FastGELUActivation()])
@pytest.mark.parametrize("shape", [(7, 1, 5), (300, 1, 1024)])
def test_gelu_is_that_of_transformers(activation: nn.Module, shape: tuple[int, ...]) -> None:
    rows = 3 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    copied = rows.clone()
    exact = activation(rows.double())
    found = tanh_gelu(rows)
    assert torch.equal(rows, copied)
    assert float((found - exact).abs().max()) < 1e-6
    torch.testing.assert_close(tanh_gelu(rows.double()), exact, rtol=1e-6, atol=1e-7)
    far = torch.tensor([-1e4, -30.0, 0.0, 30.0, 1e4])
    assert torch.equal(tanh_gelu(far), torch.tensor([0.0, 0.0, 0.0, 30.0, 1e4]).copysign(far))


def matrices() -> list[nn.Module]:
    torch.manual_seed(0)
    return [nn.Linear(24, 40), nn.Linear(24, 40, bias=False), Conv1D(40, 24)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_matrices_multiply_as_the_modules_do(dtype: torch.dtype) -> None:
    blocks = nn.ModuleList(matrices())
    if dtype != torch.float32:
        halve_matrices(blocks, dtype)
    rows = torch.randn(9, 1, 24)
    with torch.inference_mode():
        packed = dict(replacements([blocks]))
        if dtype != torch.float32 or torch.backends.mkldnn.is_available():
            assert set(packed) == set(blocks)
        for block in blocks:
            expected = block(rows)
            found = packed.get(block, block)(rows)
            assert found.dtype == torch.float32
            # In half precision the bias is added after the product was rounded, not before.
            tolerance = 1e-5 if dtype == torch.float32 else 1e-2
            torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
            assert torch.equal(found[:1], packed.get(block, block)(rows[:1])), "rows are alone"


def test_a_forward_of_ones_own_is_computed_whenever_it_came(
    model_of: Callable[[str], Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the model was checked before, and for a whole class."""
    hf_model = copy.deepcopy(model_of("gpt2").hf_model)
    model = load_model(hf_model, device="cpu")
    tokens = torch.arange(6)[None].numpy()
    site = "blocks.1.hook_resid_pre"
    points = torch.randn(1, 3, model.d_model, generator=torch.Generator().manual_seed(0))
    points[:, 0] = read_residuals(model, tokens, site)

    def curve(engine: str) -> Tensor:
        asked = load_model(hf_model, device="cpu", engine=engine)
        return torch.from_numpy(measure(asked, tokens, site, points, ["l2"])["l2"].values)

    before = curve("fast")
    matrix = hf_model.transformer.h[2].mlp.c_proj
    own = matrix.forward
    for holder, name, changed in [
        (matrix, "forward", lambda rows: own(rows) * 0),
        (hf_model.transformer.h[2].mlp.act, "forward", lambda rows: rows * 0.3),
        (Conv1D, "forward", lambda self, rows: rows @ self.weight * 0.5),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(holder, name, changed)
            found = curve("fast")
            torch.testing.assert_close(found, curve("full"), rtol=1e-4, atol=1e-5)
            assert not torch.allclose(found, before, rtol=1e-2)
    torch.testing.assert_close(curve("fast"), before)


def test_models_too_large_to_be_kept_twice_are_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKED_BYTES", 24 * 40 * 4)
    linear, activation = nn.Linear(24, 40, bias=False), NewGELUActivation()
    assert {part for part, _ in replacements([activation, linear, nn.Linear(1, 1)])} == {activation}


def test_the_users_own_model_is_not_halved(model_of: Callable[[str], Model]) -> None:
    hf_model = copy.deepcopy(model_of("gpt2").hf_model)
    halve_matrices(hf_model.transformer.h, torch.bfloat16)
    kinds = {name.split(".")[-2]: p.dtype for name, p in hf_model.named_parameters()}
    assert kinds["c_fc"] == kinds["c_attn"] == torch.bfloat16
    assert kinds["wte"] == kinds["ln_1"] == kinds["ln_f"] == torch.float32
    assert model_of("gpt2").hf_model.transformer.h[0].mlp.c_fc.weight.dtype == torch.float32


def test_elsewhere_than_on_a_processor_torch_does_both_itself() -> None:
    linear = nn.Linear(8, 8, device="meta")
    activation = NewGELUActivation()
    assert {part for part, _ in replacements([linear, activation])} == {activation}
    assert tanh_gelu(torch.empty(3, 8, device="meta")).device.type == "meta"
