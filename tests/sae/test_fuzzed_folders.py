"""Whatever an SAE folder holds, the answer is an SAE or one error in words; nothing is run."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from steppe.core.errors import InputError
from steppe.sae import load_sae

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
KEYS = st.sampled_from(
    ["architecture", "d_in", "d_sae", "dtype", "hook_name", "hook_point", "metadata", "k",
     "activation_fn", "activation_fn_str", "activation_fn_kwargs", "sae_lens_version",
     "normalize_activations", "reshape_activations", "hook_head_index", "apply_b_dec_to_input"]
)  # fmt: skip
bounded = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def answered(folder: Path) -> None:
    try:
        load_sae(folder)
    except InputError as error:
        told = str(error)
    else:
        told = ""
    assert len(told) < 20_000


@bounded
@given(st.dictionaries(KEYS, VALUES, max_size=4), st.sampled_from(["v1", "v3", "v6"]))
def test_any_settings(folders: Any, changes: dict[str, Any], generation: str) -> None:
    answered(folders.write({**getattr(folders, generation)(), **changes}))


@bounded
@given(st.binary(max_size=300), st.sampled_from(["cfg.json", "sae_weights.safetensors"]))
def test_any_bytes(folders: Any, content: bytes, name: str) -> None:
    folder = folders.write()
    (folder / name).write_bytes(content)
    answered(folder)


@bounded
@given(st.data())
def test_any_flipped_bytes(folders: Any, data: st.DataObject) -> None:
    folder = folders.write()
    path = folder / "sae_weights.safetensors"
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, 400), max_size=3)):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    answered(folder)


class Owned:
    """Unpickling this would leave a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_in_disguise_is_never_opened(folders: Any, tmp_path: Path) -> None:
    folder = folders.write()
    for content in (pickle.dumps(Owned(tmp_path / "owned")), None):
        path = folder / "sae_weights.safetensors"
        if content is None:
            torch.save({"W_enc": torch.zeros(2)}, path)
        else:
            path.write_bytes(content)
        with pytest.raises(InputError, match="a safetensors file"):
            load_sae(folder)
    assert not (tmp_path / "owned").exists()


def test_missing_misshapen_and_infinite_tensors_are_told_together(folders: Any) -> None:
    weights = folders.weights()
    del weights["b_enc"]
    weights["W_dec"] = weights["W_dec"][:, :-1].clone()
    weights["b_dec"][0] = float("nan")
    with pytest.raises(InputError) as caught:
        load_sae(folders.write(weights=weights))
    for text in ("no tensor 'b_enc'", "'W_dec' of shape", "'b_dec' with 1 values not finite"):
        assert text in str(caught.value)


def test_a_folder_in_place_of_a_file(folders: Any) -> None:
    folder = folders.write()
    (folder / "cfg.json").unlink()
    (folder / "cfg.json").mkdir()
    with pytest.raises(InputError, match=r"Is a directory"):
        load_sae(folder)
    (folder / "cfg.json").rmdir()
    (folder / "cfg.json").write_text(json.dumps(folders.v6()))
    save_file({}, folder / "sae_weights.safetensors")
    with pytest.raises(InputError, match="no tensor"):
        load_sae(folder)
