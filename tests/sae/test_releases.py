"""The table of short names."""

from __future__ import annotations

import pytest

from steppe.core.errors import InputError
from steppe.sae.releases import find_folder, releases


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
