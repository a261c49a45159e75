"""OpenMOSS' three formats: Llama Scope, Llama Scope R1-Distill, and llamascopium.

All are trained on activations brought to a mean norm of sqrt(d_model). That factor is folded into
the weights, where the files state it.
"""

from __future__ import annotations

import math
import reprlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.sae.config import ArchitectureName, SaeConfig
from steppe.sae.formats.files import read_json, refusal
from steppe.sae.formats.found import (
    Found,
    count,
    in_name,
    not_residual,
    number,
    setting,
    transposed,
)
from steppe.sae.weights import read_tensors

HYPERPARAMETERS, FINAL = "hyperparams.json", "checkpoints/final.safetensors"
SETTINGS, WEIGHTS = "config.json", "sae_weights.safetensors"
_NAMES = {
    "W_enc": "encoder.weight",
    "b_enc": "encoder.bias",
    "W_dec": "decoder.weight",
    "b_dec": "decoder.bias",
}
_NEW_NAMES = {"W_enc": "W_E", "b_enc": "b_E", "W_dec": "W_D", "b_dec": "b_D"}
_LOG_THRESHOLD = "log_jumprelu_threshold"
_AVERAGE = "dataset_average_activation_norm"
_ACTIVATIONS: dict[str, ArchitectureName] = {
    "relu": "standard",
    "jumprelu": "jumprelu",
    "topk": "topk",
    "batchtopk": "topk",
}


def is_first(place: Path) -> bool:
    """Whether it is a folder of Llama Scope."""
    return (place / HYPERPARAMETERS).is_file()


def read_first(place: Path) -> Found:
    """Read a folder of Llama Scope: one threshold for all latents, in units of activations.

    Raises:
        InputError: It holds a transcoder, or is normalised in another way.
    """
    config_path, path = place / HYPERPARAMETERS, place / FINAL
    settings = read_json(config_path)
    d_in = count(settings, "d_model", config_path)
    d_sae = count(settings, "d_sae", config_path)
    average = setting(settings, _AVERAGE, dict, config_path)
    scale = _scale(number(average, "in", config_path), d_in, config_path)
    threshold = number(settings, "jump_relu_threshold", config_path) * scale
    tensors = _named(read_tensors(path), _NAMES, path, turned=True)
    if settings.get("sparsity_include_decoder_norm"):
        norms = tensors["W_dec"].float().norm(dim=-1)
        tensors = _unit_decoder(tensors, norms)
    tensors["threshold"] = torch.full_like(tensors["b_enc"].float(), threshold)
    config = SaeConfig(
        architecture="jumprelu",
        d_in=d_in,
        d_sae=d_sae,
        hook_name=_hook(settings, config_path),
        apply_b_dec_to_input=False,
        normalize_activations="expected_average_only_in",
        coordinates="raw",
        model_name="meta-llama/Llama-3.1-8B" if in_name("Llama3_1-8B", place) else None,
        prepend_bos=True,
    )
    return Found(config, tensors, path, scale)


def is_second(place: Path) -> bool:
    """Whether it is a folder of R1-Distill or of llamascopium."""
    return (place / SETTINGS).is_file() and (place / WEIGHTS).is_file()


def read_second(place: Path) -> Found:
    """Read a folder of Llama Scope R1-Distill, or one that llamascopium wrote.

    Raises:
        InputError: It is no SAE of one place, or is normalised or gated in a way not read here.
    """
    config_path, path = place / SETTINGS, place / WEIGHTS
    settings, raw = read_json(config_path), read_tensors(path)
    if settings.get("sae_type", "sae") != "sae" or settings.get("use_glu_encoder"):
        got = f"sae_type {settings.get('sae_type')!r}"
        raise not_residual(config_path, got, "only a plain SAE is read")
    is_new = "W_E" in raw
    act = settings.get("act_fn", "jumprelu")
    if not isinstance(act, str) or act not in _ACTIVATIONS:
        raise refusal(config_path, f"act_fn {reprlib.repr(act)}", " or ".join(_ACTIVATIONS))
    d_in = count(settings, "d_model", config_path)
    factor = number(settings, "expansion_factor", config_path)
    tensors = _named(raw, _NEW_NAMES if is_new else _NAMES, path, turned=not is_new)
    architecture = _ACTIVATIONS[act]
    if architecture == "jumprelu":
        tensors["threshold"] = _threshold(raw, path)
    # What passes is pre-activation times decoder norm; a threshold may be divided instead.
    if is_new and settings.get("sparsity_include_decoder_norm", True):
        norms = tensors["W_dec"].float().norm(dim=-1)
        if architecture == "jumprelu":
            tensors["threshold"] = tensors["threshold"].float() / norms
        elif architecture == "topk":
            tensors = _unit_decoder(tensors, norms)
    config = SaeConfig(
        architecture=architecture,
        d_in=d_in,
        d_sae=round(d_in * factor),
        hook_name=_hook(settings, config_path),
        apply_b_dec_to_input=False,
        normalize_activations=_normalization(settings, config_path),
        k=count(settings, "top_k", config_path) if architecture == "topk" else None,
        coordinates="raw",
        model_name=_model(settings, place),
        prepend_bos=True,
    )
    return Found(config, tensors, path, _stated_scale(raw, config, path))


def _normalization(settings: dict[str, Any], path: Path) -> Any:
    """How activations were normalised; the factor itself stands among the tensors."""
    name = settings.get("norm_activation", "dataset-wise")
    known = {"dataset-wise": "expected_average_only_in", "inference": "none"}
    if isinstance(name, str) and name in known:
        return known[name]
    got = f"norm_activation {reprlib.repr(name)}"
    raise refusal(path, got, " or ".join(known), "choose another SAE")


def _stated_scale(raw: dict[str, Tensor], config: SaeConfig, path: Path) -> float | None:
    stated = raw.get(f"{_AVERAGE}.{config.hook_name}")
    if stated is None or config.normalize_activations == "none":
        return None
    return _scale(float(stated.float().reshape(-1)[0]), config.d_in, path)


def _scale(average: float, d_in: int, path: Path) -> float:
    if 0 < average < math.inf:
        return math.sqrt(d_in) / average
    raise refusal(path, f"{_AVERAGE} {average}", "a positive norm")


def _threshold(raw: dict[str, Tensor], path: Path) -> Tensor:
    found = [tensor for name, tensor in raw.items() if name.endswith(_LOG_THRESHOLD)]
    if len(found) == 1:
        return found[0].float().exp()
    raise refusal(
        path, f"{len(found)} tensors {_LOG_THRESHOLD!r}", f"one tensor {_LOG_THRESHOLD!r}"
    )


def _named(
    raw: dict[str, Tensor], names: dict[str, str], path: Path, *, turned: bool
) -> dict[str, Tensor]:
    lacking = [name for name in names.values() if name not in raw and name != "b_D"]
    if lacking or any("glu" in name for name in raw):
        got = f"no tensor {lacking[0]!r}" if lacking else "a gated linear unit"
        raise refusal(path, got, f"the tensors {', '.join(names.values())}")
    found = {ours: raw[theirs] for ours, theirs in names.items() if theirs in raw}
    if "b_dec" not in found:
        found["b_dec"] = torch.zeros(found["W_dec"].shape[-1])
    matrices = {name: transposed(found[name]) for name in ("W_enc", "W_dec")} if turned else {}
    return found | matrices


def _unit_decoder(tensors: dict[str, Tensor], norms: Tensor) -> dict[str, Tensor]:
    """The same reconstructions with decoder rows of length 1; latents grow by the rows' norms."""
    return {
        **tensors,
        "W_enc": tensors["W_enc"].float() * norms,
        "b_enc": tensors["b_enc"].float() * norms,
        "W_dec": tensors["W_dec"].float() / norms[:, None],
    }


def _hook(settings: dict[str, Any], path: Path) -> str:
    point = setting(settings, "hook_point_in", str, path)
    if settings.get("hook_point_out", point) != point:
        raise not_residual(path, f"{point} to {settings['hook_point_out']}", "a transcoder")
    try:
        site = Site.parse(point)
    except InputError:
        site = None
    if site is None or not site.is_stream:
        raise not_residual(path, f"hook_point_in {point!r}", "another part of the block")
    return site.name


def _model(settings: dict[str, Any], place: Path) -> str | None:
    name = settings.get("model_name")
    if isinstance(name, str):
        return name
    distilled = in_name("Llama-Scope-R1-Distill", place)
    return "deepseek-ai/DeepSeek-R1-Distill-Llama-8B" if distilled else None
