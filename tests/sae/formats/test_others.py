"""Qwen-Scope, Llama Scope and its followers, sparsify, OpenAI, Goodfire, e2e_sae."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file
from tests.sae.formats.conftest import D_IN, largest, relu, tensors, write_json

from steppe.core.errors import InputError
from steppe.sae.loading import load_sae, read_sae

K = 4


def linear(d: Any) -> dict[str, Any]:
    return {
        "encoder.weight": d.W_enc.T, "encoder.bias": d.b_enc,
        "decoder.weight": d.W_dec.T, "decoder.bias": d.b_dec,
    }  # fmt: skip


def qwen(root: Path, d: Any, name: str = "SAE-Res-Qwen3-1.7B-Base-W2K-L0_4") -> Path:
    path = root / name / "layer5.sae.pt"
    path.parent.mkdir()
    arrays = {"W_enc": d.W_enc.T, "W_dec": d.W_dec.T, "b_enc": d.b_enc, "b_dec": d.b_dec}
    torch.save(tensors(arrays), path)
    return path


def test_qwen_scope(tmp_path: Path, draws: Any, x: Any, agrees: Any) -> None:
    wide = type(draws)(
        np.tile(draws.W_enc, 128), np.tile(draws.b_enc, 128) + np.linspace(0, 1, 2048),
        np.tile(draws.W_dec, (128, 1)), draws.b_dec, draws.threshold, draws.other,
    )  # fmt: skip
    latents = relu(largest(wide.pre(x, subtract=False), K))
    sae = agrees(qwen(tmp_path, wide), latents, wide.decoded(latents))
    assert sae.hook_name == "blocks.5.hook_resid_post"
    assert (sae.config.model_name, sae.config.k) == ("Qwen/Qwen3-1.7B-Base", 4)


@pytest.mark.parametrize(
    ("name", "got"),
    [("SAE-Res-Qwen3-1.7B-Base-W32K-L0_50", "16 latents in W32K"), ("mine", "does not say")],
)
def test_qwen_scope_needs_its_name(tmp_path: Path, draws: Any, name: str, got: str) -> None:
    with pytest.raises(InputError, match=got):
        read_sae(qwen(tmp_path, draws, name))


def llama(root: Path, d: Any, **settings: Any) -> Path:
    folder = root / "Llama3_1-8B-Base-L7R-8x"
    known = {
        "d_model": 6, "d_sae": 16, "hook_point_in": "blocks.7.hook_resid_post",
        "hook_point_out": "blocks.7.hook_resid_post", "jump_relu_threshold": 0.5,
        "dataset_average_activation_norm": {"in": 4.0, "out": 4.0},
    }  # fmt: skip
    write_json(folder / "hyperparams.json", known | settings)
    (folder / "checkpoints").mkdir()
    save_file(tensors(linear(d)), folder / "checkpoints/final.safetensors")
    return folder


def test_llama_scope(tmp_path: Path, draws: Any, x: Any, agrees: Any) -> None:
    s = np.sqrt(D_IN) / 4.0
    pre = draws.pre(x * s, subtract=False)
    latents = relu(pre) * (pre > 0.5 * s)
    sae = agrees(llama(tmp_path, draws), latents, draws.decoded(latents) / s)
    assert sae.hook_name == "blocks.7.hook_resid_post"
    assert sae.config.model_name == "meta-llama/Llama-3.1-8B"


def test_llama_scope_counts_decoder_norms(tmp_path: Path, draws: Any, x: Any, agrees: Any) -> None:
    s, norms = np.sqrt(D_IN) / 4.0, np.linalg.norm(draws.W_dec, axis=1)
    pre = draws.pre(x * s, subtract=False) * norms
    latents = relu(pre) * (pre > 0.5 * s)
    folder = llama(tmp_path, draws, sparsity_include_decoder_norm=True)
    agrees(folder, latents, draws.decoded(latents / norms) / s)


@pytest.mark.parametrize(
    ("settings", "got"),
    [
        ({"hook_point_out": "blocks.7.hook_mlp_out"}, "a transcoder"),
        ({"hook_point_in": "blocks.7.hook_attn_out", "hook_point_out": "blocks.7.hook_attn_out"},
         r"hook_point_in 'blocks\.7\.hook_attn_out'"),
        ({"dataset_average_activation_norm": {"in": 0.0}}, "dataset_average_activation_norm 0"),
        ({"jump_relu_threshold": "0.5"}, "jump_relu_threshold = '0.5'"),
        ({"d_sae": 17}, r"'W_enc' of shape \(6, 16\)"),
    ],
)  # fmt: skip
def test_llama_scope_refused(
    tmp_path: Path, draws: Any, settings: dict[str, Any], got: str
) -> None:
    with pytest.raises(InputError, match=got):
        read_sae(llama(tmp_path, draws, **settings))


def distilled(root: Path, d: Any) -> Path:
    folder = root / "Llama-Scope-R1-Distill/800M-Slimpajama-0-OpenR1-Math-220k/L3R"
    settings = {
        "d_model": 6,
        "expansion_factor": 16 / 6,
        "hook_point_in": "blocks.3.hook_resid_post",
    }
    write_json(folder / "config.json", settings)
    raw = {**linear(d), "log_jumprelu_threshold": np.log(d.threshold)}
    save_file(tensors(raw), folder / "sae_weights.safetensors")
    return folder


def test_llama_scope_distilled(tmp_path: Path, draws: Any, x: Any) -> None:
    folder = distilled(tmp_path, draws)
    with pytest.raises(InputError, match="without its factor"):
        read_sae(folder)
    s = 3.0
    sae = read_sae(folder, norm_scaling_factor=s, dtype="float64")
    pre = draws.pre(x * s, subtract=False)
    latents = relu(pre) * (pre > draws.threshold)
    found = sae.encode(torch.from_numpy(x))
    np.testing.assert_allclose(found.numpy(), latents, atol=1e-5)
    np.testing.assert_allclose(sae.decode(found).numpy(), draws.decoded(latents) / s, atol=1e-5)
    assert sae.config.model_name == "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"


def scopium(root: Path, d: Any, more: dict[str, Any] | None = None, **settings: Any) -> Path:
    folder = root / "mine"
    hook = "blocks.2.hook_resid_post"
    known = {
        "sae_type": "sae", "d_model": 6, "expansion_factor": 16 / 6, "hook_point_in": hook,
        "hook_point_out": hook, "act_fn": "jumprelu", "norm_activation": "dataset-wise",
        "sparsity_include_decoder_norm": True,
    }  # fmt: skip
    write_json(folder / "config.json", known | settings)
    raw: dict[str, Any] = {
        "W_E": d.W_enc, "b_E": d.b_enc, "W_D": d.W_dec, "b_D": d.b_dec,
        "activation_function.log_jumprelu_threshold": np.log(d.threshold),
        f"dataset_average_activation_norm.{hook}": np.array([4.0]),
    }  # fmt: skip
    save_file(tensors({**raw, **(more or {})}), folder / "sae_weights.safetensors")
    return folder


@pytest.mark.parametrize("norm", ["dataset-wise", "inference"])
@pytest.mark.parametrize("counts", [True, False])
def test_llamascopium(
    tmp_path: Path, draws: Any, x: Any, agrees: Any, norm: str, counts: bool
) -> None:
    s = np.sqrt(D_IN) / 4.0 if norm == "dataset-wise" else 1.0
    norms = np.linalg.norm(draws.W_dec, axis=1) if counts else np.ones(16)
    pre = draws.pre(x * s, subtract=False)
    latents = relu(pre) * (pre * norms > draws.threshold)
    folder = scopium(tmp_path, draws, norm_activation=norm, sparsity_include_decoder_norm=counts)
    agrees(folder, latents, draws.decoded(latents) / s)


def test_llamascopium_top_k(tmp_path: Path, draws: Any, x: Any, agrees: Any) -> None:
    norms = np.linalg.norm(draws.W_dec, axis=1)
    # Chosen by pre-activation times decoder norm; latents are on that scale, too.
    chosen = relu(largest(draws.pre(x, subtract=False) * norms, K))
    folder = scopium(tmp_path, draws, act_fn="topk", top_k=K, norm_activation="inference")
    agrees(folder, chosen, draws.decoded(chosen / norms))


@pytest.mark.parametrize(
    ("settings", "got"),
    [
        ({"norm_activation": "batch-wise"}, "norm_activation 'batch-wise'"),
        ({"act_fn": "tanh"}, "act_fn 'tanh'"),
        ({"sae_type": "crosscoder"}, "sae_type 'crosscoder'"),
        ({"hook_point_out": "blocks.2.hook_mlp_out"}, "a transcoder"),
    ],
)
def test_llamascopium_refused(
    tmp_path: Path, draws: Any, settings: dict[str, Any], got: str
) -> None:
    with pytest.raises(InputError, match=got):
        read_sae(scopium(tmp_path, draws, **settings))


def test_llamascopium_with_gates_is_refused(tmp_path: Path, draws: Any) -> None:
    with pytest.raises(InputError, match="a gated linear unit"):
        read_sae(scopium(tmp_path, draws, {"W_E_glu": draws.W_enc}))


def sparse(root: Path, d: Any, hook: str = "layers.3", **settings: Any) -> Path:
    folder = root / "run" / hook
    known = {"d_in": 6, "expansion_factor": 2, "num_latents": 16, "k": K, "activation": "topk"}
    write_json(folder / "cfg.json", known | settings)
    write_json(root / "run/config.json", {"model": "EleutherAI/pythia-160m", "ctx_len": 2048})
    arrays = {"encoder.weight": d.W_enc.T, "encoder.bias": d.b_enc}
    save_file(tensors({**arrays, "W_dec": d.W_dec, "b_dec": d.b_dec}), folder / "sae.safetensors")
    return folder


@pytest.mark.parametrize("activation", ["topk", "groupmax"])
def test_sparsify(tmp_path: Path, draws: Any, x: Any, agrees: Any, activation: str) -> None:
    pre = relu(draws.pre(x, subtract=True))
    latents = largest(pre, K)
    if activation == "groupmax":
        groups = pre.reshape(len(x), K, -1)
        latents = np.where(groups == groups.max(-1, keepdims=True), groups, 0).reshape(pre.shape)
    folder = sparse(tmp_path, draws, activation=activation)
    sae = agrees(folder, latents, draws.decoded(latents))
    assert sae.hook_name == "blocks.3.hook_resid_post"
    assert sae.config.model_name == "EleutherAI/pythia-160m"


@pytest.mark.parametrize(
    ("hook", "settings", "got"),
    [
        ("layers.3", {"transcode": True}, "transcode true"),
        ("layers.3", {"skip_connection": True}, "skip_connection true"),
        ("layers.3", {"activation": "batchtopk"}, "activation 'batchtopk'"),
        ("layers.3", {"activation": "groupmax", "k": 3}, "k = 3 groups"),
        ("layers.3.mlp", {}, r"hook 'layers\.3\.mlp'"),
        ("embed_tokens", {}, "hook 'embed_tokens'"),
    ],
)
def test_sparsify_refused(
    tmp_path: Path, draws: Any, hook: str, settings: dict[str, Any], got: str
) -> None:
    with pytest.raises(InputError, match=got):
        read_sae(sparse(tmp_path, draws, hook, **settings))


def openai(root: Path, d: Any, name: str = "resid_post_mlp_v5_32k", **more: Any) -> Path:
    path = root / name / "autoencoders/6.pt"
    path.parent.mkdir(parents=True)
    arrays = {
        "pre_bias": d.b_dec, "encoder.weight": d.W_enc.T, "latent_bias": d.b_enc,
        "decoder.weight": d.W_dec.T, "stats_last_nonzero": np.zeros(16),
    }  # fmt: skip
    top_k = {"activation": "TopK", "activation_state_dict": {"k": K, "postact_fn": "ReLU"}}
    torch.save({**tensors(arrays), **top_k, **more}, path)
    return path


def test_openai_with_top_k(tmp_path: Path, draws: Any, x: Any, agrees: Any) -> None:
    mean, spread = x.mean(1, keepdims=True), x.std(1, ddof=1, keepdims=True)
    latents = relu(largest(draws.pre((x - mean) / (spread + 1e-5), subtract=True), K))
    sae = agrees(openai(tmp_path, draws), latents, draws.decoded(latents) * spread + mean)
    assert sae.hook_name == "blocks.6.hook_resid_post"
    assert sae.config.coordinates is None


def test_openai_with_relu(tmp_path: Path, draws: Any, x: Any, agrees: Any) -> None:
    latents = relu(draws.pre(x, subtract=True))
    path = openai(tmp_path, draws, "resid_post_mlp", activation="ReLU", activation_state_dict={})
    assert agrees(path, latents, draws.decoded(latents)).config.coordinates == "raw"


@pytest.mark.parametrize(
    ("name", "more", "got"),
    [
        ("resid_delta_attn_v5_32k", {}, "resid_delta_attn"),
        ("resid_post_mlp", {"activation": "Tanh"}, "activation 'Tanh'"),
        ("resid_post_mlp", {"activation_state_dict": {"k": 2, "postact_fn": "Identity"}},
         "postact_fn 'Identity'"),
        ("resid_post_mlp", {"activation_state_dict": {}}, "k = None"),
    ],
)  # fmt: skip
def test_openai_refused(
    tmp_path: Path, draws: Any, name: str, more: dict[str, Any], got: str
) -> None:
    with pytest.raises(InputError, match=got):
        read_sae(openai(tmp_path, draws, name, **more))


@pytest.mark.parametrize("suffix", ["_linear", ""])
def test_goodfire(tmp_path: Path, draws: Any, x: Any, agrees: Any, suffix: str) -> None:
    path = tmp_path / "Llama-3.1-8B-Instruct-SAE-l19.pth"
    names = {k.replace(".", f"{suffix}."): v for k, v in linear(draws).items()}
    torch.save(tensors(names), path)
    latents = relu(draws.pre(x, subtract=False))
    sae = agrees(path, latents, draws.decoded(latents))
    assert sae.hook_name == "blocks.19.hook_resid_post"
    assert sae.config.model_name == "Llama-3.1-8B-Instruct"


def e2e(root: Path, d: Any, hooks: tuple[str, ...]) -> Path:
    folder = root / "run"
    folder.mkdir()
    settings = {"tlens_model_name": "gpt2-small", "saes": {"sae_positions": list(hooks)}}
    settings["loss"] = {"logits_kl": {"coeff": 0.5}, "in_to_orig": {"total_coeff": 2.5}}
    (folder / "final_config.yaml").write_text(yaml.safe_dump(settings))
    names = {
        "encoder.0.weight": d.W_enc.T, "encoder.0.bias": d.b_enc,
        "decoder.weight": d.W_dec.T, "decoder.bias": d.b_dec,
    }  # fmt: skip
    newest = {
        f"{hook.replace('.', '-')}.{name}": values
        for hook in hooks
        for name, values in names.items()
    }
    torch.save(tensors(newest), folder / "samples_400000.pt")
    torch.save({}, folder / "samples_99999.pt")
    return folder


def test_e2e_sae(tmp_path: Path, draws: Any, x: Any, agrees: Any) -> None:
    folder = e2e(tmp_path, draws, ("blocks.6.hook_resid_pre",))
    latents = relu(draws.pre(x, subtract=False))
    unit = draws.W_dec / np.linalg.norm(draws.W_dec, axis=1, keepdims=True)
    sae = agrees(folder, latents, latents @ unit + draws.b_dec)
    assert sae.hook_name == "blocks.6.hook_resid_pre"
    assert (sae.config.coordinates, sae.config.objective) == ("centered", "e2e_ds")


def test_e2e_sae_of_several_positions(tmp_path: Path, draws: Any) -> None:
    folder = e2e(tmp_path, draws, ("blocks.2.hook_resid_pre", "blocks.6.hook_resid_pre"))
    with pytest.raises(InputError, match="no position named"):
        read_sae(folder)
    with pytest.raises(InputError, match=r"position 'blocks\.3\.hook_resid_pre'"):
        load_sae(f"{folder}/blocks.3.hook_resid_pre")
    assert load_sae(f"{folder}/blocks.6.hook_resid_pre").hook_name == "blocks.6.hook_resid_pre"
    assert load_sae(folder, sae_id="blocks.2.hook_resid_pre").site.layer == 2
