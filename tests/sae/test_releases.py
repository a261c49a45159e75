"""The table of short names."""

from __future__ import annotations

from pathlib import Path

import pytest

from steppe.core.errors import InputError
from steppe.sae import loading
from steppe.sae.releases import every_sae, find_folder, owner_of, releases, sae_lens_releases


@pytest.mark.parametrize(
    ("release", "sae_id", "folder"),
    [
        ("gpt2-small-res-jb", "blocks.1.hook_resid_pre", "blocks.1.hook_resid_pre"),
        ("gpt2-small-res-jb", "blocks.11.hook_resid_post", "blocks.11.hook_resid_post"),
        ("gpt2-small-resid-post-v5-32k", "blocks.8.hook_resid_post", "v5_32k_layer_8.pt"),
        ("gpt2-small-resid-post-v5-128k", "blocks.8.hook_resid_post", "v5_128k_layer_8"),
        ("gpt2-small-res_scl-ajt", "blocks.6.hook_resid_pre", "6-res_scl-ajt"),
        (
            "gpt2-small-res-jb-feature-splitting",
            "blocks.8.hook_resid_pre_768",
            "blocks.8.hook_resid_pre_768",
        ),
        ("pythia-70m-deduped-res-sm", "blocks.0.hook_resid_pre", "e-res-sm"),
    ],
)
def test_folders(release: str, sae_id: str, folder: str) -> None:
    assert find_folder(releases()[release], sae_id) == folder


def test_numbers_of_saes() -> None:
    assert len(releases()["gpt2-small-res-jb"].folders) == 13
    assert len(releases()["gpt2-small-res-jb-feature-splitting"].folders) == 8
    assert len(releases()["gpt2-small-res_sll-ajt"].folders) == 3


def test_an_unknown_id_gets_the_nearest_one() -> None:
    with pytest.raises(InputError) as caught:
        find_folder(releases()["gpt2-small-res-jb"], "block.3.hook_resid_pre")
    assert caught.value.got == "sae_id 'block.3.hook_resid_pre'"
    assert caught.value.fix == "load_sae('gpt2-small-res-jb', sae_id='blocks.3.hook_resid_pre')"
    with pytest.raises(InputError):
        find_folder(releases()["gpt2-small-res-jb"], None)


def test_a_release_of_pickles_is_refused() -> None:
    with pytest.raises(InputError, match="its files are pickles"):
        find_folder(releases()["gpt2-small-hook-z-kk"], "blocks.0.hook_z")


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("gemma-scope-2b-pt-res", "google"),
        ("gemma-scope-2-270m-it", "google"),
        ("SAE-Res-Qwen3-8B-Base-W64K-L0_50", "Qwen"),
        ("Llama3_1-8B-Base-LXR-8x", "fnlp"),
        ("Llama-3.1-8B-Instruct-SAE-l19", "Goodfire"),
        ("gpt2-small-res-jb", None),
    ],
)
def test_families_are_known_by_their_repositories(name: str, owner: str | None) -> None:
    assert owner_of(name) == owner


@pytest.mark.parametrize(
    ("address", "repo_id", "folder"),
    [
        ("gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82", "google/gemma-scope-2b-pt-res",
         "layer_12/width_16k/average_l0_82"),
        ("SAE-Res-Qwen3-8B-Base-W64K-L0_50@v2/layer3.sae.pt",
         "Qwen/SAE-Res-Qwen3-8B-Base-W64K-L0_50", "layer3.sae.pt"),
    ],
)  # fmt: skip
def test_an_address_below_a_family(
    monkeypatch: pytest.MonkeyPatch, address: str, repo_id: str, folder: str
) -> None:
    asked: list[tuple[str, str]] = []

    def fetch(repo: str, inside: str, revision: str | None) -> Path:
        asked.append((repo, inside))
        return Path("/nowhere")

    monkeypatch.setattr(loading, "fetch", fetch)
    with pytest.raises(InputError):
        loading.load_sae(address)
    assert asked == [(repo_id, folder)]


@pytest.mark.parity
def test_the_list_of_sae_lens() -> None:
    known = sae_lens_releases()
    scope = known["gemma-scope-2b-pt-res-canonical"]
    assert scope.repo_id == "google/gemma-scope-2b-pt-res"
    assert find_folder(scope, "layer_12/width_16k/canonical").startswith("layer_12/width_16k/")
    published = known["llama_scope_lxr_8x"].published["l0r_8x"]
    assert (published.l0, published.model) == (50, "meta-llama/Llama-3.1-8B")
    assert published.scale == pytest.approx(58.935, rel=1e-4)
    refused = next(one for one in known.values() if "temporal" in one.refused)
    with pytest.raises(InputError, match="its format, temporal"):
        find_folder(refused, next(iter(refused.folders)))
    assert len(every_sae()) > 3000
    assert not any("transcoder" in address for address in every_sae().values())
