"""Latents and reconstructions equal those of sae_lens' own loaders, where these are right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tests.sae.formats import test_dictionary_learning as dictionary_learning
from tests.sae.formats import test_gemma_scope as gemma_scope
from tests.sae.formats import test_others as others

from steppe.sae.loading import read_sae

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
FLOAT32 = {"dtype": "float32"}


@pytest.fixture
def sae_lens_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """An SAE as sae_lens reads it from the folder that stands for the hub."""
    from sae_lens import SAE
    from sae_lens.loading import pretrained_sae_loaders as loaders

    def download(repo_id: str, filename: str, subfolder: str = "", **_: Any) -> str:
        return str(tmp_path / repo_id / subfolder / filename)

    def shapes(repo_id: str, filename: str) -> dict[str, list[int]]:
        with safe_open(tmp_path / repo_id / filename, "pt") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118

    monkeypatch.setattr(loaders, "hf_hub_download", download)
    monkeypatch.setattr(loaders, "get_safetensors_tensor_shapes", shapes)

    def read(name: str, repo_id: str, folder: str, scale: float | None, **overrides: Any) -> Any:
        reader = loaders.NAMED_PRETRAINED_SAE_LOADERS[name]
        settings, state, _ = reader(repo_id, folder, "cpu", False, overrides)
        sae = SAE.from_dict(loaders.handle_config_defaulting(settings))
        sae.process_state_dict_for_loading(state)
        sae.load_state_dict(state)
        if scale is not None:
            sae.fold_activation_norm_scaling_factor(scale)
        return sae.float()

    return read


def compare(theirs: Any, place: Path, x: Any, scale: float | None = None) -> None:
    ours = read_sae(place, norm_scaling_factor=scale)
    given = torch.from_numpy(x).float()
    with torch.no_grad():
        their_latents = theirs.encode(given)
        their_output = theirs.decode(their_latents)
    latents = ours.encode(given)
    assert int((latents != 0).sum()) > 0
    torch.testing.assert_close(latents, their_latents, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.decode(latents), their_output, atol=1e-5, rtol=1e-5)


def test_gemma_scope(tmp_path: Path, draws: Any, x: Any, sae_lens_of: Any) -> None:
    place = gemma_scope.first(tmp_path, draws)
    sizes = {"d_in": 6, "d_sae": 16}
    folder = "layer_12/average_l0_82"
    theirs = sae_lens_of("gemma_2", "gemma-scope-2b-pt-res", folder, None, **sizes)
    compare(theirs, place, x)


def test_gemma_scope_2(tmp_path: Path, draws: Any, x: Any, sae_lens_of: Any) -> None:
    place = gemma_scope.second(tmp_path, draws)
    theirs = sae_lens_of("gemma_3", "gemma-scope-2-1b-pt", "resid_post/layer_13", None)
    compare(theirs, place, x)


@pytest.mark.parametrize(
    # sae_lens misses the decoder's bias of AutoEncoderNew.
    "name",
    [name for name in dictionary_learning.CLASSES if name != "AutoEncoderNew"],
)
def test_dictionary_learning(
    tmp_path: Path, draws: Any, x: Any, sae_lens_of: Any, name: str
) -> None:
    state = dictionary_learning.file_of(name, draws)
    place = dictionary_learning.write(tmp_path, name, state)
    folder = str(place.relative_to(tmp_path))
    compare(sae_lens_of("dictionary_learning_1", "", folder, None), place, x)


def test_llama_scope(tmp_path: Path, draws: Any, x: Any, sae_lens_of: Any) -> None:
    place = others.llama(tmp_path, draws)
    scale = float(np.sqrt(6) / 4.0)
    theirs = sae_lens_of("llama_scope", "", place.name, scale, **FLOAT32)
    compare(theirs, place, x)


def test_llama_scope_distilled(tmp_path: Path, draws: Any, x: Any, sae_lens_of: Any) -> None:
    place = others.distilled(tmp_path, draws)
    folder = str(place.relative_to(tmp_path))
    theirs = sae_lens_of("llama_scope_r1_distill", "", folder, 3.0, d_sae=16)
    compare(theirs, place, x, 3.0)


def test_qwen_scope(tmp_path: Path, draws: Any, x: Any, sae_lens_of: Any) -> None:
    wide = type(draws)(
        np.tile(draws.W_enc, 128), np.tile(draws.b_enc, 128) + np.linspace(0, 1, 2048),
        np.tile(draws.W_dec, (128, 1)), draws.b_dec, draws.threshold, draws.other,
    )  # fmt: skip
    place = others.qwen(tmp_path, wide)
    theirs = sae_lens_of("qwen_scope", place.parent.name, place.name, None, d_in=6)
    compare(theirs, place, x)


def test_deepseek(tmp_path: Path, draws: Any, x: Any, sae_lens_of: Any) -> None:
    place = tmp_path / "DeepSeek-R1-Distill-Llama-8B-SAE-l19.pt"
    torch.save(others.tensors(others.linear(draws)), place)
    sizes = {"d_in": 6, "d_sae": 16, **FLOAT32}
    theirs = sae_lens_of("deepseek_r1", "", place.name, None, **sizes)
    compare(theirs, place, x)
