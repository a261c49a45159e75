"""Settings of all generations are brought to one record; what steppe cannot compute is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.sae.config import SaeConfig, parse_config, read_config

PATH = Path("sae/cfg.json")


def test_version_1_gets_the_defaults_of_its_time(folders: Any) -> None:
    assert parse_config(folders.v1(), PATH) == SaeConfig(
        architecture="standard",
        d_in=8,
        d_sae=24,
        hook_name="blocks.1.hook_resid_pre",
        apply_b_dec_to_input=True,
        normalize_activations="none",
        model_name="gpt2-small",
        prepend_bos=True,
        generation="v1-2",
    )


def test_version_3(folders: Any) -> None:
    config = parse_config(folders.v3(architecture="gated", apply_b_dec_to_input=False), PATH)
    assert config.generation == "v3-5"
    assert config.architecture == "gated"
    assert not config.apply_b_dec_to_input
    assert config.site == Site.parse("blocks.1.hook_resid_pre")


def test_version_6_reads_its_metadata(folders: Any) -> None:
    config = parse_config(folders.v6(), PATH)
    assert config.generation == "v6"
    assert config.hook_name == "blocks.1.hook_resid_pre"
    assert config.prepend_bos is False
    assert config.neuronpedia_id == "gpt2-small/1-res-jb"


def test_release_candidates_of_version_6_count_as_version_6(folders: Any) -> None:
    cfg = folders.v6(metadata={"sae_lens_version": "6.0.0-rc.2", "hook_name": "x"})
    assert parse_config(cfg, PATH).generation == "v6"


def test_a_top_k_activation_overrides_the_architecture(folders: Any) -> None:
    cfg = folders.v3(
        activation_fn_str="topk", activation_fn_kwargs={"k": 4}, normalize_activations="layer_norm"
    )
    config = parse_config(cfg, PATH)
    assert (config.architecture, config.k) == ("topk", 4)
    assert config.normalize_activations == "layer_norm"


@pytest.mark.parametrize(
    ("written", "read"),
    [(None, "none"), (False, "none"), (True, "expected_average_only_in"), ("none", "none")],
)
def test_normalization_may_be_a_boolean(folders: Any, written: object, read: str) -> None:
    config = parse_config(folders.v3(normalize_activations=written), PATH)
    assert config.normalize_activations == read


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ({"architecture": "transcoder"}, "architecture 'transcoder': it does not reconstruct"),
        ({"architecture": "skip_transcoder"}, "'skip_transcoder': it does not reconstruct"),
        ({"architecture": "temporal"}, "'temporal': it needs the whole sequence"),
        ({"architecture": "crosscoder"}, "'crosscoder': steppe does not know it"),
        ({"reshape_activations": "hook_z"}, "reshape_activations 'hook_z'"),
        ({"normalize_activations": "covariance_whitening"}, "'covariance_whitening'"),
        ({"d_in": None}, "d_in = None"),
        ({"d_sae": 0}, "d_sae = 0"),
        ({"d_sae": True}, "d_sae = True"),
        ({"architecture": "topk"}, "k = None"),
        ({"architecture": "topk", "k": 25}, "k = 25"),
        ({"hook_head_index": 3}, "hook_head_index 3"),
    ],
)
def test_refused(folders: Any, change: dict[str, object], got: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_config(folders.v6(**change), PATH)
    assert got in caught.value.got
    assert caught.value.place == str(PATH)


@pytest.mark.parametrize(
    "change", [{"hook_name": "blocks.1.attn.hook_z"}, {"activation_fn_str": "tanh-relu"}]
)
def test_refused_in_older_versions(folders: Any, change: dict[str, object]) -> None:
    with pytest.raises(InputError):
        parse_config(folders.v3(**change), PATH)


@pytest.mark.parametrize(("text", "got"), [("{", "not JSON"), ("[]", "a JSON list")])
def test_a_broken_file(folders: Any, text: str, got: str) -> None:
    with pytest.raises(InputError, match=got):
        read_config(folders.write(text) / "cfg.json")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_config(tmp_path / "cfg.json")
    assert str(caught.value) == (
        f"{tmp_path / 'cfg.json'}\n"
        "  got:      no such file\n"
        "  expected: a folder as SAELens saves it: cfg.json and sae_weights.safetensors\n"
        "  fix:      give the folder that holds cfg.json, or a sae_id inside it"
    )


@pytest.mark.parametrize("hook", [None, "blocks.1.hook_mlp_out"])
def test_a_hook_outside_the_residual_stream_is_no_site(folders: Any, hook: str | None) -> None:
    config = parse_config(folders.v3(hook_name=hook), PATH)
    with pytest.raises(InputError):
        _ = config.site
