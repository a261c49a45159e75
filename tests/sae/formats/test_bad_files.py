"""Files that are damaged, lie about their size, hold code, or no SAE, are refused."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.sae.formats.conftest import tensors, write_json

from steppe.core.errors import InputError
from steppe.sae.loading import load_sae, read_sae

NAMES = ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")


class Code:
    """Would run a command if it were unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch /tmp/steppe_ran_code",)


@pytest.fixture
def arrays(draws: Any) -> dict[str, Any]:
    return {name: getattr(draws, name).astype(np.float32) for name in NAMES}


def goodfire(draws: Any) -> dict[str, Any]:
    return tensors(
        {
            "encoder_linear.weight": draws.W_enc.T, "encoder_linear.bias": draws.b_enc,
            "decoder_linear.weight": draws.W_dec.T, "decoder_linear.bias": draws.b_dec,
        }
    )  # fmt: skip


def test_code_is_not_run(tmp_path: Path, draws: Any) -> None:
    path = tmp_path / "Model-SAE-l1.pt"
    torch.save({**goodfire(draws), "extra": Code()}, path)
    with pytest.raises(InputError, match="would run code") as caught:
        read_sae(path)
    assert "weights_only=False" in caught.value.fix
    assert not Path("/tmp/steppe_ran_code").exists()


@pytest.mark.parametrize("name", ["log_jumprelu_threshold", "k", "decoder.skip.weight"])
def test_tensors_of_another_kind_of_sae_are_not_passed_over(
    tmp_path: Path, draws: Any, name: str
) -> None:
    # Saved by hand, with neither its configuration nor its name: it is no ReLU.
    path = tmp_path / "sae.pt"
    torch.save({**goodfire(draws), name: torch.ones(4)}, path)
    with pytest.raises(InputError, match=name):
        read_sae(path)


def test_a_wrong_dict_class_is_seen_by_its_tensors(tmp_path: Path, draws: Any) -> None:
    # A batch top-k one, whose bias is taken off the input, called a JumpReLU one.
    names = ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")
    state = tensors({name: getattr(draws, name) for name in names}) | {"k": torch.tensor(3)}
    torch.save(state, tmp_path / "ae.pt")
    trainer = {
        "dict_class": "JumpReluAutoEncoder", "activation_dim": draws.W_enc.shape[0],
        "dict_size": draws.W_enc.shape[1], "layer": 1,
    }  # fmt: skip
    write_json(tmp_path / "config.json", {"trainer": trainer})
    with pytest.raises(InputError, match="'k'"):
        read_sae(tmp_path)


def test_a_bare_pickle(tmp_path: Path) -> None:
    path = tmp_path / "Model-SAE-l1.pt"
    path.write_bytes(pickle.dumps({"encoder.weight": Code()}))
    with pytest.raises(InputError, match="unreadable"):
        read_sae(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_truncated(tmp_path: Path, draws: Any, arrays: dict[str, Any], share: float) -> None:
    torch.save(goodfire(draws), tmp_path / "Model-SAE-l1.pt")
    np.savez(tmp_path / "params.npz", **arrays)
    single = "Model-SAE-l1.pt"
    for name, place in ((single, tmp_path / single), ("params.npz", tmp_path)):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: int(share * len(content))])
        with pytest.raises(InputError, match="unreadable"):
            read_sae(place)


def test_python_objects_in_npz(tmp_path: Path, arrays: dict[str, Any]) -> None:
    objects = np.array([Code()] * 16, dtype=object)
    np.savez(tmp_path / "params.npz", allow_pickle=True, **{**arrays, "b_enc": objects})
    with pytest.raises(InputError, match="Python objects"):
        read_sae(tmp_path)


def test_an_array_that_claims_more_than_it_holds(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "params.npz", **arrays)
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000,), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    with zipfile.ZipFile(tmp_path / "params.npz", "a") as archive:
        archive.writestr("more.npy", npy + b"\0" * 64)
    with pytest.raises(InputError, match="400 GB by its header"):
        read_sae(tmp_path)


def test_a_tensor_that_claims_more_than_it_holds(tmp_path: Path, draws: Any) -> None:
    path = tmp_path / "Model-SAE-l1.pt"
    huge = torch.zeros(1).expand(10**7, 10**7)
    torch.save({**goodfire(draws), "encoder_linear.weight": huge}, path)
    with pytest.raises(InputError, match=r"'encoder_linear\.weight' of shape"):
        read_sae(path)


def test_a_file_larger_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "cfg.json", {"d_in": 6, "d_sae": 16, "architecture": "standard"})
    save_file({"W_enc": torch.zeros(6, 16)}, tmp_path / "sae_weights.safetensors")
    monkeypatch.setattr(os, "sysconf", lambda name: 4)
    with pytest.raises(InputError, match="GB, the memory of this machine"):
        read_sae(tmp_path)


def test_a_header_of_safetensors_that_lies(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [10**6, 25000], "data_offsets": [0, 10**11]}
    header = json.dumps({"w_enc": entry}).encode()
    path = tmp_path / "params.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 64)
    with pytest.raises(InputError, match="unreadable"):
        read_sae(tmp_path)


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ({"W_enc": np.full((6, 16), np.nan, np.float32)}, "'W_enc' with 96 values not finite"),
        ({"W_enc": np.zeros((16, 6), np.float32)}, r"'W_dec' of shape \(16, 6\)"),
        ({"W_enc": np.zeros(6, np.float32)}, r"an encoder of shape \(6,\)"),
        ({"threshold": np.zeros(15, np.float32)}, r"'threshold' of shape \(15,\)"),
        ({"b_enc": np.zeros(16, np.int64)}, "'b_enc' of type"),
        ({"extra": np.zeros(16, np.float32)}, "unknown tensor 'extra'"),
    ],
)
def test_wrong_tensors(
    tmp_path: Path, arrays: dict[str, Any], change: dict[str, Any], got: str
) -> None:
    np.savez(tmp_path / "params.npz", **{**arrays, **change})
    with pytest.raises(InputError, match=got):
        read_sae(tmp_path)


def test_a_missing_tensor(tmp_path: Path, draws: Any) -> None:
    state = goodfire(draws)
    del state["encoder_linear.bias"]
    torch.save(state, tmp_path / "Model-SAE-l1.pt")
    with pytest.raises(InputError, match=r"no tensor 'encoder_linear\.bias'"):
        read_sae(tmp_path / "Model-SAE-l1.pt")


@pytest.mark.parametrize(
    ("files", "got"),
    [
        (("conf.yaml", "latest_ckpt.safetensors"), "a temporal SAE"),
        (("config.yaml", "layer_0.safetensors"), "a transcoder"),
        (("W_enc_0.safetensors",), "a transcoder"),
    ],
)
def test_what_is_known_and_not_read(tmp_path: Path, files: tuple[str, ...], got: str) -> None:
    for name in files:
        save_file({"a": torch.zeros(1)}, tmp_path / name)
    with pytest.raises(InputError, match=got):
        read_sae(tmp_path)


def test_an_sae_of_attention_heads(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "gpt2_L5.pt")
    write_json(tmp_path / "gpt2_L5_cfg.json", {"act_name": "blocks.5.attn.hook_z"})
    with pytest.raises(InputError, match=r"act_name 'blocks\.5\.attn\.hook_z'"):
        load_sae(tmp_path / "gpt2_L5.pt")


def test_a_file_of_something_else(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "model.pt")
    with pytest.raises(InputError, match="the keys weight"):
        load_sae(tmp_path / "model.pt")
    (tmp_path / "notes.txt").write_text("no SAE")
    with pytest.raises(InputError, match=r"a file \.txt"):
        load_sae(tmp_path / "notes.txt")
