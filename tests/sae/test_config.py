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
    )


def test_version_3(folders: Any) -> None:
    config = parse_config(folders.v3(architecture="gated", apply_b_dec_to_input=False), PATH)
    assert config.architecture == "gated"
    assert not config.apply_b_dec_to_input
    assert config.site == Site.parse("blocks.1.hook_resid_pre")


def test_version_6_reads_its_metadata(folders: Any) -> None:
    config = parse_config(folders.v6(), PATH)
    assert config.hook_name == "blocks.1.hook_resid_pre"
    assert config.prepend_bos is False
    assert config.model_name == "gpt2-small"


def test_release_candidates_of_version_6_count_as_version_6(folders: Any) -> None:
    cfg = folders.v6(metadata={"sae_lens_version": "6.0.0-rc.2", "hook_name": "x"})
    # Older files are taken to mean BOS where they say nothing.
    assert parse_config(cfg, PATH).prepend_bos is None


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


@pytest.mark.parametrize(
    ("metadata", "read"),
    [
        ({"model_from_pretrained_kwargs": {"center_writing_weights": False}}, "raw"),
        ({"model_from_pretrained_kwargs": {"center_writing_weights": True}}, "centered"),
        ({"model_from_pretrained_kwargs": {"fold_ln": False}}, None),
        ({"model_from_pretrained_kwargs": None}, None),
        ({"model_class_name": "AutoModelForCausalLM"}, "raw"),
        ({"coordinates": "centered"}, "centered"),
        ({}, None),
    ],
)
def test_coordinates_come_from_the_file(folders: Any, metadata: Any, read: str | None) -> None:
    cfg = folders.v6()
    cfg["metadata"] |= metadata
    assert parse_config(cfg, PATH).coordinates == read
    assert parse_config(folders.v3(**metadata), PATH).coordinates == read
    own_mean = folders.v3(**metadata, normalize_activations="layer_norm")
    assert parse_config(own_mean, PATH).coordinates is None


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ({"coordinates": "polar"}, "coordinates 'polar'"),
        ({"prepend_bos": "yes"}, "prepend_bos = 'yes'"),
        ({"model_from_pretrained_kwargs": [1]}, r"model_from_pretrained_kwargs = \[1\]"),
        ({"metadata": {"model_class_name": 3}}, "model_class_name = 3"),
    ],
)
def test_where_it_belongs_is_checked(folders: Any, change: dict[str, Any], got: str) -> None:
    with pytest.raises(InputError, match=got):
        parse_config(folders.v6(**change), PATH)


def test_the_top_level_outranks_metadata(folders: Any) -> None:
    cfg = folders.v6(apply_b_dec_to_input=True)
    cfg["metadata"] |= {
        "d_in": 9, "architecture": "topk", "apply_b_dec_to_input": False,
        "normalize_activations": "layer_norm",
    }  # fmt: skip
    config = parse_config(cfg, PATH)
    assert (config.architecture, config.d_in) == ("standard", 8)
    assert config.apply_b_dec_to_input
    assert config.normalize_activations == "none"


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "topk", "k": 5, "activation_fn_str": "topk"},
        {"architecture": "topk", "activation_fn_kwargs": {"k": 5}},
        {"architecture": "topk", "k": 7, "activation_fn_kwargs": {"k": 5}},
        {"architecture": "standard", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 5}},
    ],
)
def test_k_where_older_files_have_it(folders: Any, change: dict[str, Any]) -> None:
    cfg = folders.v3()
    if "activation_fn_kwargs" not in change:
        del cfg["activation_fn_kwargs"]
    config = parse_config({**cfg, **change}, PATH)
    assert (config.architecture, config.k) == ("topk", 5)


def test_a_top_k_without_k_is_refused(folders: Any) -> None:
    with pytest.raises(InputError, match="standard with activation topk"):
        parse_config(folders.v3(activation_fn_str="topk", k=5), PATH)
    with pytest.raises(InputError, match="k = None"):
        parse_config(folders.v3(architecture="topk"), PATH)
