"""Everything wrong with a weights or sparsity file is said at once, naming file and tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.sae.loading import read_sae


def test_all_faults_at_once(folders: Any) -> None:
    weights = folders.weights()
    weights["W_enc"] = weights["W_enc"].T.contiguous()
    weights["b_enc"][3] = torch.nan
    weights["b_dec"] = torch.zeros(8, dtype=torch.int64)
    weights["W_skip"] = torch.zeros(8, 8)
    del weights["W_dec"]
    folder = folders.write(weights=weights)
    with pytest.raises(InputError) as caught:
        read_sae(folder)
    assert str(caught.value) == (
        f"{folder / 'sae_weights.safetensors'}\n"
        "  got:      no tensor 'W_dec'; unknown tensor 'W_skip'; 'W_enc' of shape (24, 8); "
        "'b_dec' of type torch.int64; 'b_enc' with 1 values not finite\n"
        "  expected: the tensors of architecture 'standard': W_enc (8, 24), W_dec (24, 8), "
        "b_dec (8,), b_enc (24,)\n"
        "  fix:      fetch the SAE again, or correct the settings beside it"
    )


def test_no_weights_file(folders: Any) -> None:
    folder = folders.write()
    (folder / "sae_weights.safetensors").unlink()
    with pytest.raises(InputError, match="no such file"):
        read_sae(folder)


def test_a_pickle_is_not_read(folders: Any) -> None:
    folder = folders.write()
    torch.save(folders.weights(), folder / "sae_weights.safetensors")
    with pytest.raises(InputError, match="unreadable"):
        read_sae(folder)


def test_half_precision_weights_are_read_as_float32(folders: Any, x: Tensor) -> None:
    half = {name: w.bfloat16() for name, w in folders.weights().items()}
    whole = {name: w.float() for name, w in half.items()}
    sae = read_sae(folders.write(weights=half))
    assert sae.dtype == torch.float32
    same = read_sae(folders.write(weights=whole, name="whole"))
    assert torch.equal(sae.encode(x), same.encode(x))


def test_a_scaling_factor_of_one_is_dropped(folders: Any, x: Tensor) -> None:
    plain = read_sae(folders.write(folders.v3()))
    weights = folders.weights() | {"scaling_factor": torch.ones(24)}
    sae = read_sae(folders.write(folders.v3(), weights, name="scaled"))
    assert "scaling_factor" not in sae.weights
    assert torch.equal(sae.decode(sae.encode(x)), plain.decode(plain.encode(x)))


def test_a_scaling_factor_multiplies_decoded_latents(folders: Any, x: Tensor) -> None:
    factor = torch.linspace(0.5, 2, 24)
    weights = folders.weights() | {"scaling_factor": factor}
    sae = read_sae(folders.write(folders.v3(finetuning_scaling_factor=True), weights))
    plain = read_sae(folders.write(folders.v3(), name="plain"))
    latents = plain.encode(x)
    assert torch.equal(sae.encode(x), latents)
    torch.testing.assert_close(sae.decode(latents), plain.decode(latents * factor))


def test_an_unexplained_scaling_factor_is_refused(folders: Any) -> None:
    weights = folders.weights() | {"scaling_factor": torch.full((24,), 2.0)}
    with pytest.raises(InputError, match="finetuning_scaling_factor false"):
        read_sae(folders.write(folders.v3(), weights))


def test_a_scaling_factor_of_another_length_is_refused(folders: Any) -> None:
    weights = folders.weights() | {"scaling_factor": torch.ones(23)}
    with pytest.raises(InputError, match=r"'scaling_factor' of shape \(23,\)"):
        read_sae(folders.write(folders.v3(), weights))


def test_an_unknown_input_scale_is_refused(folders: Any) -> None:
    folder = folders.write(folders.v6(normalize_activations="expected_average_only_in"))
    with pytest.raises(InputError) as caught:
        read_sae(folder)
    assert caught.value.fix == "steppe.sae.read_sae(folder, norm_scaling_factor=...)"


def test_a_known_input_scale_is_folded_in(folders: Any, x: Tensor) -> None:
    cfg = folders.v6(normalize_activations="expected_average_only_in")
    sae = read_sae(folders.write(cfg), norm_scaling_factor=4.0)
    plain = read_sae(folders.write(name="plain"))
    latents = plain.encode(4 * x)
    torch.testing.assert_close(sae.encode(x), latents, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(sae.decode(latents), plain.decode(latents) / 4)
    assert sae.config.normalize_activations == "none"


@pytest.mark.parametrize(
    ("tensors", "got"),
    [
        ({"rates": torch.zeros(24)}, "tensors ['rates']"),
        ({"sparsity": torch.zeros(23)}, "sparsity of shape (23,)"),
        ({"sparsity": torch.full((24,), torch.nan)}, "24 not finite"),
        ({"sparsity": torch.full((24,), 0.5)}, "values up to 0.5"),
        ({"sparsity": torch.full((24,), -11.0)}, "values from -11.0"),
    ],
)
def test_a_broken_sparsity_file(folders: Any, tensors: dict[str, Tensor], got: str) -> None:
    folder: Path = folders.write(sparsity=tensors)
    with pytest.raises(InputError) as caught:
        read_sae(folder)
    assert caught.value.place == str(folder / "sparsity.safetensors")
    assert got in caught.value.got
