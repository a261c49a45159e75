"""SAEs are found by folder, by short name and by hub repository, and checked against a model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from steppe.core.errors import InputError
from steppe.sae import loading
from steppe.sae.loading import load_sae


@dataclass(frozen=True)
class Origin:
    source: str = "/models/tiny"


@dataclass(frozen=True)
class Shape:
    name: str = "tiny"
    d_model: int = 8
    n_layers: int = 2
    identity: Origin = Origin()
    model_type: str = "gpt2"
    coordinates: str = "centered"
    can_be_centered: bool = True


def test_a_folder(folders: Any) -> None:
    folder = folders.write()
    sae = load_sae(folder)
    assert (sae.d_in, sae.d_sae, sae.hook_name) == (8, 24, "blocks.1.hook_resid_pre")
    assert sae.W_enc.shape == (8, 24)
    assert sae.b_enc is not None
    assert sae.log10_rates is None
    assert sae.identity.source == str(folder)
    weights = (folder / "sae_weights.safetensors").read_bytes()
    assert sae.identity.sha256 == hashlib.sha256(weights).hexdigest()


def test_a_folder_by_its_name_and_a_sub_folder_by_its_id(folders: Any) -> None:
    folder = folders.write(name="release/blocks.1.hook_resid_pre")
    assert load_sae(str(folder)).d_sae == 24
    sae = load_sae(str(folder.parent), sae_id="blocks.1.hook_resid_pre")
    assert sae.identity.source == str(folder)
    assert sae.identity.sae_id == "blocks.1.hook_resid_pre"


def test_dtype(folders: Any) -> None:
    assert load_sae(folders.write(), dtype="float64").dtype == torch.float64
    with pytest.raises(InputError, match="float32, float64, bfloat16, float16"):
        load_sae(folders.write(), dtype="int8")


def test_it_must_fit_the_model(folders: Any) -> None:
    folder = folders.write()
    load_sae(folder, model=Shape())
    with pytest.raises(InputError) as caught:
        load_sae(folder, model=Shape(d_model=16))
    assert str(caught.value) == (
        f"SAE {folder} on model tiny\n"
        "  got:      d_in = 8\n"
        "  expected: d_model = 16, the model's width\n"
        "  fix:      choose an SAE that was trained on this model"
    )
    with pytest.raises(InputError, match=r"a layer from 0 to 0"):
        load_sae(folder, model=Shape(n_layers=1))
    other = folders.write(folders.v3(hook_name="blocks.1.hook_mlp_out"), name="mlp")
    with pytest.raises(InputError, match=r"blocks\.1\.hook_mlp_out"):
        load_sae(other, model=Shape())


@pytest.mark.parametrize("name", ["gpt2-small-res-jp", "./nowhere", "/nowhere/at/all", "nowhere"])
def test_nothing_of_that_name(name: str) -> None:
    with pytest.raises(InputError, match="no such folder, and no release of that name"):
        load_sae(name)


def test_a_nearly_right_release_is_named() -> None:
    with pytest.raises(InputError, match="perhaps gpt2-small-res-jb"):
        load_sae("gpt2-small-res-jp")


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_sae(tmp_path / "nowhere")


def test_the_bundled_sae() -> None:
    sae = load_sae("demo")
    assert str(sae.site) == "blocks.1.hook_resid_pre"
    assert sae.log10_rates is not None
    assert (sae.identity.source, sae.identity.sae_id) == ("demo", "blocks.1.hook_resid_pre")
    assert sae.identity.sha256 == load_sae("demo/blocks.1.hook_resid_pre").identity.sha256


def test_an_unknown_bundled_sae() -> None:
    with pytest.raises(InputError) as caught:
        load_sae("demo", sae_id="blocks.99.hook_resid_pre")
    assert caught.value.fix == "load_sae('demo', sae_id='blocks.1.hook_resid_pre')"


@pytest.mark.parametrize(
    ("asked", "sae_id", "fetched", "release"),
    [
        (
            "gpt2-small-res-jb",
            "blocks.1.hook_resid_pre",
            ("jbloom/GPT2-Small-SAEs-Reformatted", "blocks.1.hook_resid_pre", None),
            "gpt2-small-res-jb",
        ),
        (
            "gpt2-small-resid-post-v5-32k@abc/blocks.8.hook_resid_post",
            None,
            ("jbloom/GPT2-Small-OAI-v5-32k-resid-post-SAEs", "v5_32k_layer_8.pt", "abc"),
            "gpt2-small-resid-post-v5-32k",
        ),
        ("someone/saes", "one", ("someone/saes", "one", None), None),
        ("someone/saes@v2/some/where", None, ("someone/saes", "some/where", "v2"), None),
        ("someone/saes", None, ("someone/saes", "", None), None),
    ],
)
def test_what_is_fetched(
    folders: Any,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    sae_id: str | None,
    fetched: tuple[str, str, str | None],
    release: str | None,
) -> None:
    asked_for = []

    def fetch(*arguments: str | None) -> Path:
        asked_for.append(arguments)
        return folders.write(name="hub/snapshots/0123abcd/sae")

    monkeypatch.setattr(loading, "fetch", fetch)
    sae = load_sae(asked, sae_id=sae_id)
    assert asked_for == [fetched]
    assert sae.identity.source == fetched[0]
    assert sae.identity.release == release
    assert sae.identity.revision == "0123abcd"
    assert len(sae.identity.sha256) == 64
