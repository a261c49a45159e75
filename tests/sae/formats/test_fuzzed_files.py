"""Whatever bytes a file holds, the answer is an SAE or an error that says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.sae.formats import test_dictionary_learning as dictionary_learning
from tests.sae.formats import test_gemma_scope as gemma_scope
from tests.sae.formats import test_others as others

from steppe.core.errors import InputError
from steppe.sae.loading import read_sae

TRIES = 60
MAKERS = {
    "pt": (lambda root, d: others.openai(root, d), lambda place: place),
    "npz": (lambda root, d: gemma_scope.first(root, d), lambda place: place / "params.npz"),
    "safetensors": (
        lambda root, d: others.scopium(root, d),
        lambda place: place / "sae_weights.safetensors",
    ),
}
# Keys of a settings file, each given every odd value.
SETTINGS = {
    "llama": ("hyperparams.json", ["d_model", "d_sae", "jump_relu_threshold", "hook_point_in"]),
    "scopium": ("config.json", ["d_model", "expansion_factor", "act_fn", "norm_activation"]),
    "sparse": ("cfg.json", ["d_in", "num_latents", "k", "activation"]),
}
ODD = [None, True, -1, 0, 1e300, float("nan"), "", "x", [], {}, [[]], 2**39, 2**70]


def answered(place: Path) -> None:
    try:
        read_sae(place)
    except InputError as error:
        told = str(error)
    else:
        told = ""
    assert len(told) < 20_000


@pytest.mark.parametrize("kind", MAKERS)
def test_damaged_bytes(tmp_path: Path, draws: Any, kind: str) -> None:
    make, file_of = MAKERS[kind]
    place = make(tmp_path, draws)
    path = file_of(place)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(TRIES):
        content = bytearray(whole)
        for at in random.integers(len(content), size=random.integers(1, 8)):
            content[at] = random.integers(256)
        path.write_bytes(bytes(content))
        answered(place)


@pytest.mark.parametrize("kind", SETTINGS)
def test_odd_settings(tmp_path: Path, draws: Any, kind: str) -> None:
    place = getattr(others, kind)(tmp_path, draws)
    name, keys = SETTINGS[kind]
    settings = json.loads((place / name).read_text())
    for key in keys:
        for value in ODD:
            (place / name).write_text(json.dumps({**settings, key: value}))
            answered(place)


@pytest.mark.parametrize("key", ["dict_class", "activation_dim", "dict_size", "k", "layer"])
def test_odd_trainers(tmp_path: Path, draws: Any, key: str) -> None:
    state = dictionary_learning.file_of("AutoEncoderTopK", draws)
    for value in ODD:
        answered(dictionary_learning.write(tmp_path, "AutoEncoderTopK", state, **{key: value}))


@pytest.mark.parametrize("value", [None, 3, "x", [], {}, torch.zeros(0), torch.zeros(2, 3, 4)])
def test_odd_entries(tmp_path: Path, draws: Any, value: Any) -> None:
    state = dictionary_learning.file_of("BatchTopKSAE", draws)
    for key in state:
        folder = dictionary_learning.write(tmp_path, "BatchTopKSAE", {**state, key: value})
        answered(folder)
    for norm in ("x", -1.0, float("nan"), value):
        whole = {"ae": state, "norm_factor": norm}
        answered(dictionary_learning.write(tmp_path, "BatchTopKSAE", whole))
