"""Gemma Scope 1 and 2: by name, by definition, and refused where they read another part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save_file
from tests.sae.formats.conftest import relu, tensors, write_json

from steppe.core.errors import InputError
from steppe.sae.loading import read_sae

FIRST = "gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82"
SECOND = "gemma-scope-2-1b-pt/resid_post/layer_13_width_16k_l0_small"


def first(root: Path, draws: Any, name: str = "res/layer_12/average_l0_82", **more: Any) -> Path:
    folder = root / f"gemma-scope-2b-pt-{name}"
    folder.mkdir(parents=True)
    names = ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")
    arrays = {name: getattr(draws, name).astype(np.float32) for name in names}
    np.savez(folder / "params.npz", **{**arrays, **more})
    return folder


def jumprelu(draws: Any, x: Any) -> Any:
    pre = draws.pre(x, subtract=False)
    return relu(pre) * (pre > draws.threshold)


def test_the_first_release(tmp_path: Path, draws: Any, x: Any, agrees: Any) -> None:
    latents = jumprelu(draws, x)
    sae = agrees(first(tmp_path, draws), latents, draws.decoded(latents))
    assert sae.hook_name == "blocks.12.hook_resid_post"
    assert sae.config.model_name == "google/gemma-2-2b"
    assert sae.config.stated_l0 == 82
    assert sae.prepend_bos


def test_an_instruction_tuned_one_in_lower_case(tmp_path: Path, draws: Any) -> None:
    folder = tmp_path / "gemma-scope-9b-it-res/layer_9"
    folder.mkdir(parents=True)
    names = {"w_enc": draws.W_enc, "w_dec": draws.W_dec}
    rest = {name: getattr(draws, name) for name in ("b_enc", "b_dec", "threshold")}
    np.savez(folder / "params.npz", **names, **rest, scaling_factor=np.ones(16))
    sae = read_sae(folder)
    assert sae.config.model_name == "google/gemma-2-9b-it"
    assert sae.hook_name is None or sae.hook_name == "blocks.9.hook_resid_post"


@pytest.mark.parametrize(
    ("name", "got"),
    [
        ("mlp/layer_3/average_l0_50", "gemma-scope mlp"),
        ("att/layer_3/average_l0_50", "gemma-scope att"),
        ("transcoders/layer_3/average_l0_50", "a transcoder"),
        ("res/embedding/average_l0_50", "an embedding SAE"),
        ("res/layer_3/width_16k/average_l0_50", "16 latents in a folder called width_16k"),
    ],
)
def test_other_parts_are_refused(tmp_path: Path, draws: Any, name: str, got: str) -> None:
    with pytest.raises(InputError, match=got):
        read_sae(first(tmp_path, draws, name))


def test_a_scaling_factor_that_scales_is_refused(tmp_path: Path, draws: Any) -> None:
    with pytest.raises(InputError, match="a scaling_factor other than 1"):
        read_sae(first(tmp_path, draws, scaling_factor=np.full(16, 2.0)))


def second(root: Path, draws: Any, name: str = "resid_post/layer_13", **settings: Any) -> Path:
    folder = root / "gemma-scope-2-1b-pt" / name
    known = {
        "architecture": "jump_relu", "model_name": "gemma-v3-1b-pt",
        "hf_hook_point_in": "model.layers.13.output",
    }  # fmt: skip
    if settings != {"without": True}:
        write_json(folder / "config.json", known | settings)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {"w_enc": draws.W_enc, "w_dec": draws.W_dec}
    arrays |= {name: getattr(draws, name) for name in ("b_enc", "b_dec", "threshold")}
    save_file(tensors(arrays), folder / "params.safetensors")
    return folder


def test_the_second_release(tmp_path: Path, draws: Any, x: Any, agrees: Any) -> None:
    latents = jumprelu(draws, x)
    sae = agrees(second(tmp_path, draws), latents, draws.decoded(latents))
    assert sae.hook_name == "blocks.13.hook_resid_post"
    assert sae.config.model_name == "gemma-3-1b-pt"


def test_the_second_release_without_settings(tmp_path: Path, draws: Any) -> None:
    folder = second(tmp_path, draws, "resid_post/layer_7_l0_big", without=True)
    sae = read_sae(folder)
    assert sae.hook_name == "blocks.7.hook_resid_post"
    assert sae.config.model_name == "gemma-3-1b-pt"


def test_the_smallest_base_model_has_no_ending(tmp_path: Path, draws: Any) -> None:
    sae = read_sae(second(tmp_path, draws, model_name="gemma-v3-270m-pt"))
    assert sae.config.model_name == "gemma-3-270m"


@pytest.mark.parametrize(
    ("name", "settings", "got"),
    [
        ("attn_out/layer_13", {}, "attn_out"),
        ("mlp_out_all/layer_13", {}, "mlp_out"),
        ("transcoder/layer_13", {}, "a transcoder"),
        ("clt/layer_13", {}, "a cross-layer transcoder"),
        ("resid_post/layer_13", {"affine_connection": True}, "an affine connection"),
        ("resid_post/layer_13", {"architecture": "topk"}, "architecture 'topk'"),
        (
            "resid_post/layer_13",
            {"hf_hook_point_in": "model.layers.13.self_attn.o_proj.input"},
            r"hf_hook_point_in 'model\.layers\.13\.self_attn\.o_proj\.input'",
        ),
    ],
)
def test_what_the_second_release_holds_beside(
    tmp_path: Path, draws: Any, name: str, settings: dict[str, Any], got: str
) -> None:
    with pytest.raises(InputError, match=got):
        read_sae(second(tmp_path, draws, name, **settings))
