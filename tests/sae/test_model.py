"""Encode and decode give hand-computed numbers, keep no state, and treat every row alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.sae.config import SaeConfig
from steppe.sae.loading import read_sae
from steppe.sae.model import Sae, SaeIdentity

IDENTITY = SaeIdentity("made by hand", "0")


def sae_of(architecture: Any, weights: dict[str, list[Any]], **settings: Any) -> Sae:
    tensors = {name: torch.tensor(values) for name, values in weights.items()}
    d_in, d_sae = tensors["W_enc"].shape
    return Sae(SaeConfig(architecture, d_in, d_sae, **settings), tensors, IDENTITY)


# Three latents on two dimensions: along x, along y, against x; decoder rows twice as long.
PLAIN = {
    "W_enc": [[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]],
    "b_enc": [0.0, -1.0, 0.5],
    "W_dec": [[2.0, 0.0], [0.0, 2.0], [-2.0, 0.0]],
    "b_dec": [1.0, 1.0],
}
POINT = torch.tensor([[4.0, 3.0]])


def test_standard() -> None:
    sae = sae_of("standard", PLAIN)
    latents = sae.encode(POINT)
    torch.testing.assert_close(latents, torch.tensor([[3.0, 1.0, 0.0]]))
    torch.testing.assert_close(sae.decode(latents), torch.tensor([[7.0, 3.0]]))


def test_the_decoder_bias_may_stay_on_the_input() -> None:
    sae = sae_of("standard", PLAIN, apply_b_dec_to_input=False)
    torch.testing.assert_close(sae.encode(POINT), torch.tensor([[4.0, 2.0, 0.0]]))


def test_topk_keeps_the_largest_and_only_positive_ones() -> None:
    sae = sae_of("topk", PLAIN, k=1)
    torch.testing.assert_close(sae.encode(POINT), torch.tensor([[3.0, 0.0, 0.0]]))
    sae = sae_of("topk", PLAIN, k=3)
    torch.testing.assert_close(sae.encode(POINT), torch.tensor([[3.0, 1.0, 0.0]]))


def test_topk_by_decoder_norm() -> None:
    weights = PLAIN | {"W_dec": [[1.0, 0.0], [0.0, 4.0], [-1.0, 0.0]]}
    sae = sae_of("topk", weights, k=1, rescale_acts_by_decoder_norm=True)
    latents = sae.encode(POINT)
    torch.testing.assert_close(latents, torch.tensor([[0.0, 4.0, 0.0]]))
    # Decoding undoes the weighing: 4 / 4 * (0, 4) + (1, 1).
    torch.testing.assert_close(sae.decode(latents), torch.tensor([[1.0, 5.0]]))


def test_abstopk_keeps_signs() -> None:
    sae = sae_of("abstopk", PLAIN, k=2)
    torch.testing.assert_close(sae.encode(POINT), torch.tensor([[3.0, 0.0, -2.5]]))


def test_jumprelu_is_strict() -> None:
    sae = sae_of("jumprelu", PLAIN | {"threshold": [3.0, 0.5, 0.0]})
    torch.testing.assert_close(sae.encode(POINT), torch.tensor([[0.0, 1.0, 0.0]]))


def test_gated() -> None:
    weights = {name: PLAIN[name] for name in ("W_enc", "W_dec", "b_dec")} | {
        "b_gate": [-3.0, 0.0, 9.0],
        "b_mag": [1.0, 1.0, 10.0],
        "r_mag": [0.0, 1.0, 0.0],
    }
    sae = sae_of("gated", weights)
    expected = torch.tensor([[0.0, 2 * torch.e + 1, 7.0]])
    torch.testing.assert_close(sae.encode(POINT), expected)
    assert sae.b_enc is None


def test_layer_norm_decodes_on_the_scale_of_the_activation(folders: Any, x: Tensor) -> None:
    folder = folders.write(folders.v6(normalize_activations="layer_norm"))
    sae = read_sae(folder)
    latents = sae.encode(x)
    torch.testing.assert_close(sae.encode(10 * x + 3), latents, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        sae.decode(latents, like=10 * x + 3), 10 * sae.decode(latents, like=x) + 3
    )


def test_constant_norm_rescale(folders: Any, x: Tensor) -> None:
    sae = read_sae(folders.write(folders.v6(normalize_activations="constant_norm_rescale")))
    latents = sae.encode(x)
    torch.testing.assert_close(sae.encode(5 * x), latents)
    torch.testing.assert_close(sae.decode(latents, like=5 * x), 5 * sae.decode(latents, like=x))


def test_decoding_needs_the_activations_where_they_were_normalised(folders: Any, x: Tensor) -> None:
    sae = read_sae(folders.write(folders.v6(normalize_activations="layer_norm")))
    with pytest.raises(InputError) as caught:
        sae.decode(sae.encode(x))
    assert caught.value.fix == "sae.decode(latents, like=activations)"


def test_nothing_is_remembered(folders: Any, x: Tensor) -> None:
    sae = read_sae(folders.write(folders.v6(normalize_activations="layer_norm")))
    latents = sae.encode(x)
    first = sae.decode(latents, like=x)
    sae.encode(7 * x)
    assert torch.equal(sae.decode(latents, like=x), first)


@pytest.mark.parametrize("architecture", ["standard", "topk", "jumprelu", "gated"])
def test_a_row_does_not_depend_on_the_rows_after_it(folders: Any, architecture: str) -> None:
    weights = folders.weights(architecture)
    sae = read_sae(folders.write(folders.v6(architecture=architecture, k=5), weights))
    x = torch.randn(150, folders.d_in, generator=torch.Generator().manual_seed(2))
    latents = sae.encode(x)
    assert torch.equal(sae.encode(x[:3]), latents[:3])
    assert torch.equal(sae.decode(latents[:3]), sae.decode(latents)[:3])


def test_any_leading_shape(folders: Any, x: Tensor) -> None:
    sae = read_sae(folders.write())
    assert sae.encode(x[0]).shape == (24,)
    assert sae.encode(x.reshape(1, 5, 8)).shape == (1, 5, 24)
    assert sae.encode(x[:0]).shape == (0, 24)
    assert sae.decode(sae.encode(x)).shape == (5, 8)


def test_a_wrong_width_is_refused(folders: Any, x: Tensor) -> None:
    sae = read_sae(folders.write())
    with pytest.raises(InputError) as caught:
        sae.encode(x[:, :7])
    assert str(caught.value) == (
        "encode, argument of SAE blocks.1.hook_resid_pre\n"
        "  got:      shape (5, 7)\n"
        "  expected: a last axis of width 8\n"
        "  fix:      give activations of the model and site the SAE was trained on"
    )


def test_whatever_decides_numbers_tells_saes_apart() -> None:
    named = sae_of("standard", PLAIN, model_name="gpt2", stated_l0=3.0)
    same = [sae_of("standard", PLAIN), named]
    others = [
        sae_of("standard", PLAIN, apply_b_dec_to_input=False),
        sae_of("topk", PLAIN, k=1),
        sae_of("topk", PLAIN, k=2),
        sae_of("standard", PLAIN | {"b_enc": [0.0, -1.0, 0.6]}),
        replace(named, log10_rates=torch.tensor([-1.0, -2.0, -3.0])),
        replace(named, log10_rates=torch.tensor([-1.0, -2.0, -4.0])),
    ]
    assert len({one.content for one in same}) == 1
    assert len({one.content for one in (*same, *others)}) == 1 + len(others)
