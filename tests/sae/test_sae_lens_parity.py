"""Encode and decode equal those of sae_lens, for every architecture and generation of folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import steppe
from steppe.core.bundled import demo_sae, demo_saes
from steppe.sae.loading import read_sae

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

ARCHITECTURES = ["standard", "topk", "abstopk", "jumprelu", "gated"]
NORMALIZATIONS = ["none", "layer_norm", "constant_norm_rescale"]


def compare(folder: Path, x: Tensor) -> None:
    from sae_lens import SAE

    theirs = SAE.load_from_disk(folder)
    ours = read_sae(folder)
    with torch.no_grad():
        their_latents = theirs.encode(x)
        their_output = theirs.decode(their_latents)
    latents = ours.encode(x)
    assert int((latents != 0).sum()) > 0
    torch.testing.assert_close(latents, their_latents, atol=1e-5, rtol=1e-5)
    output = ours.decode(latents, like=x)
    torch.testing.assert_close(output, their_output, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("apply_b_dec", [True, False])
def test_version_6(
    folders: Any, x: Tensor, architecture: str, normalization: str, apply_b_dec: bool
) -> None:
    cfg = folders.v6(
        architecture=architecture,
        normalize_activations=normalization,
        apply_b_dec_to_input=apply_b_dec,
        k=5,
    )
    compare(folders.write(cfg, folders.weights(architecture)), x)


@pytest.mark.parametrize("architecture", ["topk", "abstopk"])
def test_rescaling_by_decoder_norm(folders: Any, x: Tensor, architecture: str) -> None:
    cfg = folders.v6(architecture=architecture, k=5, rescale_acts_by_decoder_norm=True)
    compare(folders.write(cfg), x)


@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "gated"])
@pytest.mark.parametrize("normalization", ["none", "layer_norm", False, None])
def test_version_3(folders: Any, x: Tensor, architecture: str, normalization: object) -> None:
    cfg = folders.v3(architecture=architecture, normalize_activations=normalization)
    compare(folders.write(cfg, folders.weights(architecture)), x)


def test_version_5_as_openai_wrote_it(folders: Any, x: Tensor) -> None:
    cfg = folders.v3(
        activation_fn_str="topk", activation_fn_kwargs={"k": 5}, normalize_activations="layer_norm"
    )
    compare(folders.write(cfg), x)


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "topk", "k": 5},
        {"architecture": "topk", "k": 5, "activation_fn_str": "topk"},
        {"architecture": "topk", "activation_fn_kwargs": {"k": 5}},
        {"architecture": "topk", "k": 7, "activation_fn_kwargs": {"k": 5}},
    ],
)
def test_k_where_older_files_have_it(folders: Any, x: Tensor, change: dict[str, Any]) -> None:
    cfg = folders.v3()
    if "activation_fn_kwargs" not in change:
        del cfg["activation_fn_kwargs"]
    compare(folders.write({**cfg, **change}), x)


@pytest.mark.parametrize(
    "metadata",
    [{"apply_b_dec_to_input": False}, {"normalize_activations": "layer_norm"}, {"k": 7}],
)
def test_the_top_level_outranks_metadata(folders: Any, x: Tensor, metadata: dict[str, Any]) -> None:
    cfg = folders.v6(architecture="topk", k=5)
    cfg["metadata"] |= metadata
    compare(folders.write(cfg), x)


def test_version_1(folders: Any, x: Tensor) -> None:
    compare(folders.write(folders.v1()), x)


def test_a_folder_that_sae_lens_wrote(tmp_path: Path, x: Tensor) -> None:
    from sae_lens import JumpReLUSAE, JumpReLUSAEConfig

    torch.manual_seed(0)
    sae = JumpReLUSAE(JumpReLUSAEConfig(d_in=8, d_sae=24))
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.copy_(torch.randn_like(parameter))
    sae.save_model(tmp_path)
    compare(tmp_path, x)


def test_a_folded_input_scale(folders: Any, x: Tensor) -> None:
    from sae_lens import SAE

    folder = folders.write(folders.v6(normalize_activations="expected_average_only_in"))
    theirs = SAE.load_from_disk(folder)
    theirs.fold_activation_norm_scaling_factor(3.0)
    ours = read_sae(folder, norm_scaling_factor=3.0)
    with torch.no_grad():
        their_latents = theirs.encode(x)
        their_output = theirs.decode(their_latents)
    torch.testing.assert_close(ours.encode(x), their_latents, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.decode(their_latents), their_output, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", demo_saes())
def test_every_bundled_sae_on_activations_of_its_model(name: str) -> None:
    from sae_lens import SAE

    folder = demo_sae(name.removeprefix("demo/"))
    theirs, ours = SAE.load_from_disk(folder), read_sae(folder)
    model = steppe.load_model("demo", device="cpu")
    tokens = steppe.load_prompts("demo", model, length=10, limit=100).tokens
    x = steppe.read_residuals(model, tokens, steppe.Site.parse(str(ours.hook_name)))
    with torch.no_grad():
        their_latents = theirs.encode(x)
        their_output = theirs.decode(their_latents)
    scale = float(x.norm(dim=1).mean())
    torch.testing.assert_close(ours.encode(x), their_latents, atol=1e-5 * scale, rtol=1e-4)
    torch.testing.assert_close(ours.decode(their_latents), their_output, atol=1e-5 * scale, rtol=0)
