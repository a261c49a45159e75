"""Every format that directions come in, and everything that is none."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from steppe.core.errors import InputError, MissingExtraError
from steppe.directions import from_file
from steppe.models import Model

FIRST, SECOND = torch.arange(1.0, 5.0), torch.tensor([0.0, 0.0, -2.0, 0.0])
UNITS = torch.stack([FIRST / FIRST.norm(), SECOND / 2])
LAYERS = {0: FIRST, 2: SECOND}


def written(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    if path.suffix == ".npy":
        np.save(path, content)
    elif path.suffix == ".npz":
        np.savez(path, **content)
    elif path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("file", "content", "names"),
    [
        ("happy.npy", FIRST.numpy(), ["happy"]),
        ("happy.npy", FIRST[None].numpy().astype(np.float16), ["happy"]),
        ("two.npy", torch.stack([FIRST, SECOND]).numpy(), ["0", "1"]),
        ("two.npz", {"a": FIRST.numpy(), "b": SECOND.numpy()}, ["a", "b"]),
        (
            "two.npz",
            {"names": np.array(["a", "b"]), "vectors": torch.stack([FIRST, SECOND]).numpy()},
            ["a", "b"],
        ),
        ("two.npz", {"v": torch.stack([FIRST, SECOND]).numpy()}, ["v[0]", "v[1]"]),
        ("two.safetensors", {"a": FIRST.clone(), "b": SECOND.clone()}, ["a", "b"]),
        ("happy.pt", FIRST, ["happy"]),
        ("two.pt", {"a": FIRST, "b": SECOND, "model": "gpt2", "n": 3}, ["a", "b"]),
        ("two.pt", {"names": ["a", "b"], "vectors": torch.stack([FIRST, SECOND])}, ["a", "b"]),
        # Contrastive directions as published with arXiv 2606.24964.
        ("two.pt", {"directions": {"a": FIRST, "b": SECOND}, "signs": {}}, ["a", "b"]),
    ],
)
def test_vectors_by_name(file: str, content: Any, names: list[str], tmp_path: Path) -> None:
    found = from_file(written(tmp_path, file, content))
    assert list(found.names) == names
    torch.testing.assert_close(found.vectors, UNITS[: len(names)], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("steer.pt", LAYERS),
        ("steer.npz", {str(layer): vector.numpy() for layer, vector in LAYERS.items()}),
        ("steer.safetensors", {f"layer_{k}": v.clone() for k, v in LAYERS.items()}),
        ("steer.safetensors", {f"model.layers.{k}": v.clone() for k, v in LAYERS.items()}),
        # TransformerLens' hook names; what is before a block is after the one before it.
        ("steer.pt", {"blocks.0.hook_resid_post": FIRST, "blocks.3.hook_resid_pre": SECOND}),
        # A TransformerLens cache's leading axes.
        ("steer.pt", {f"blocks.{k}.hook_resid_post": v[None, None] for k, v in LAYERS.items()}),
        # steering-vectors, and repeng's ControlVector, as plain data.
        ("steer.pt", {"layer_activations": LAYERS, "layer_type": "decoder_block"}),
        ("steer.pt", {"model_type": "gpt2", "directions": LAYERS}),
        ("steer.pt", {"steer": LAYERS}),
    ],
)
def test_vectors_by_layer(file: str, content: Any, tmp_path: Path) -> None:
    path = written(tmp_path, file, content)
    for site, unit in (("blocks.0.hook_resid_post", 0), ("blocks.3.hook_resid_pre", 1)):
        found = from_file(path, site=site)
        assert found.names == ("steer",)
        torch.testing.assert_close(found.vectors[0], UNITS[unit])
    torch.testing.assert_close(from_file(path, site="resid_pre:1", layer=2).vectors[0], UNITS[1])
    sites = ["blocks.0.hook_resid_post", "blocks.2.hook_resid_post"]
    assert [fact["site"] for fact in from_file(path).facts] == sites
    with pytest.raises(InputError, match=rf"(?s){sites[0]}.*blocks\.1\.hook_resid_post"):
        from_file(path, site="blocks.1.hook_resid_post")


def test_magamedts_files_say_their_layer(tmp_path: Path) -> None:
    content = {"model": "m", "concept": "snow", "layer_idx": 4, "hidden_size": 4}
    path = written(tmp_path, "layer_4.pt", {**content, "steering_vector": FIRST})
    found = from_file(path, site="blocks.4.hook_resid_post")
    assert found.names == ("snow",)
    torch.testing.assert_close(found.vectors[0], UNITS[0])
    with pytest.raises(InputError, match=r"blocks\.4\.hook_resid_post"):
        from_file(path, site="blocks.3.hook_resid_post")


def test_vectors_between_attention_and_mlp_have_their_own_place(tmp_path: Path) -> None:
    content = {"blocks.1.hook_resid_mid": FIRST, "blocks.1.hook_resid_post": SECOND}
    path = written(tmp_path, "a.pt", content)
    for unit, site in enumerate(content):
        torch.testing.assert_close(from_file(path, site=site).vectors[0], UNITS[unit])


@dataclass
class SteeringVector:
    layer_activations: dict[int, torch.Tensor]


@pytest.mark.parametrize(
    ("file", "content", "match"),
    [
        ("a.npy", np.zeros(4), "zero vector"),
        ("a.npy", np.array([1.0, np.nan]), "NaN"),
        ("a.npy", np.array([{}, 1], dtype=object), "Python objects"),
        ("a.npz", {"a": np.array([{}], dtype=object)}, "Python objects"),
        ("a.npy", np.array(["a", "b"]), "<U1"),
        ("a.npy", np.array([1j, 1]), "complex"),
        ("a.npy", np.ones((2, 3, 4)), r"\(2, 3, 4\)"),
        ("a.npy", np.ones(0), r"\(0,\)"),
        ("a.npz", {"a": np.ones(3), "b": np.ones(4)}, "'a' of width 3, 'b' of 4"),
        ("a.npz", {"names": np.array(["x"]), "v": np.ones((2, 3))}, "1 names for 2 vectors"),
        ("a.npz", {"names": np.array(["x", "x"]), "v": np.ones((2, 3))}, "'x' twice"),
        ("a.npz", {"names": np.array(["x"])}, "0 arrays"),
        ("a.pt", {"model": "gpt2"}, "without a vector"),
        ("a.pt", "a text", "a str"),
        ("a.pt", SteeringVector(LAYERS), r"(?s)run code.*vars\(m\)"),
        ("a.pt", {"layer_activations": LAYERS, "layer_type": "mlp"}, "'mlp'"),
        ("a.pt", {"steering_vector": torch.ones(2, 3)}, "2 rows"),
        ("a.pt", torch.ones(3).to_sparse(), "sparse|run code|shape"),
        ("a.pkl", FIRST, "ending in .pkl"),
    ],
)
def test_a_file_that_holds_no_direction_is_refused(
    file: str, content: Any, match: str, tmp_path: Path
) -> None:
    path = written(tmp_path, file, content)
    with pytest.raises(InputError, match=match) as caught:
        from_file(path)
    assert file in caught.value.place


@pytest.mark.parametrize("ending", ["npy", "npz", "pt", "safetensors"])
def test_a_damaged_file_is_refused(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(b"nonsense" * 100)
    with pytest.raises(InputError, match=f"a.{ending}"):
        from_file(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=f"a.{ending}"):
        from_file(path)
    with pytest.raises(InputError, match="no such file"):
        from_file(tmp_path / f"none.{ending}")


@pytest.mark.parametrize("ending", ["npy", "npz", "pt", "safetensors"])
def test_a_truncated_file_is_refused(ending: str, tmp_path: Path) -> None:
    content = FIRST.numpy() if ending == "npy" else {"a": FIRST.numpy()}
    if ending in ("pt", "safetensors"):
        content = {"a": FIRST}
    path = written(tmp_path, f"a.{ending}", content)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match=f"a.{ending}"):
        from_file(path)


def test_a_header_that_claims_a_hundred_gigabytes_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "huge.npy"
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (25 * 10**9,)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b"\0" * 64)
    with pytest.raises(InputError, match="100 GB by its header"):
        from_file(path)


def test_another_width_names_the_models(model: Model, tmp_path: Path) -> None:
    path = written(tmp_path, "a.npy", np.ones(5))
    with pytest.raises(InputError, match=rf"(?s)width 5.*{model.d_model}"):
        from_file(path, model)


def test_a_site_counted_from_the_end_needs_the_model(model: Model, tmp_path: Path) -> None:
    rows = torch.randn(2, model.d_model, generator=torch.Generator().manual_seed(0))
    path = written(tmp_path, "a.pt", {1: rows[0], 2: rows[1]})
    with pytest.raises(InputError, match=r"blocks.last"):
        from_file(path, site="blocks.last.hook_resid_post")
    found = from_file(path, model, "blocks.last.hook_resid_post")
    torch.testing.assert_close(
        found.vectors[0], torch.nn.functional.normalize(rows[1] - rows[1].mean(), dim=0)
    )


def test_without_gguf_its_files_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    path = tmp_path / "steer.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(MissingExtraError, match="gguf"):
        from_file(path)


def test_repengs_gguf_control_vectors(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")

    def write(name: str, architecture: str) -> Path:
        path = tmp_path / name
        writer = gguf.GGUFWriter(path, architecture)
        writer.add_string("controlvector.model_hint", "gpt2")
        writer.add_uint32("controlvector.layer_count", len(LAYERS))
        for layer, vector in LAYERS.items():
            writer.add_tensor(f"direction.{layer}", vector.numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    path = write("steer.gguf", "controlvector")
    found = from_file(path, site="blocks.2.hook_resid_post")
    assert found.names == ("steer",)
    torch.testing.assert_close(found.vectors[0], UNITS[1])
    with pytest.raises(InputError, match="'llama'"):
        from_file(write("model.gguf", "llama"))
    for content in (b"nonsense" * 20, b"GGUF", path.read_bytes()[:-20]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="unreadable"):
            from_file(path)


def test_layers_counted_from_the_end_are_refused(tmp_path: Path) -> None:
    # By name "-1" it would be taken for a direction of any site.
    torch.save({-1: torch.ones(4)}, tmp_path / "v.pt")
    with pytest.raises(InputError, match="layer -1"):
        from_file(tmp_path / "v.pt")
