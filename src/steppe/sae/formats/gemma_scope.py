"""Gemma Scope: ``params.npz`` (Gemma 2), and ``params.safetensors`` with ``config.json`` (Gemma 3).

JumpReLU, the decoder bias not taken off the input, raw residuals, prompts that begin with BOS. The
first release says which model, layer and width it is of in its folders' names only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from steppe.sae.config import SaeConfig
from steppe.sae.formats.files import read_json, read_npz, refusal, tensor_of
from steppe.sae.formats.found import Found, in_name, not_residual, residual_post, widths
from steppe.sae.weights import read_tensors

FIRST, SECOND, SETTINGS = "params.npz", "params.safetensors", "config.json"
_NAMES = ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")


def is_first(place: Path) -> bool:
    """Whether it is a folder of Gemma Scope."""
    return (place / FIRST).is_file()


def read_first(place: Path) -> Found:
    """Read a folder ``layer_N/width_W/average_l0_K``.

    Raises:
        InputError: It holds something else, or an SAE outside the residual stream.
    """
    path = place / FIRST
    repository = in_name(r"gemma-scope-(2b|9b|27b)-(pt|it)-([a-z]+)", place)
    kind = repository[3] if repository else "res"
    if kind != "res":
        raise not_residual(path, f"gemma-scope {kind}", "it reads another part of the block")
    if in_name(r"/embedding/", place):
        raise not_residual(path, "an embedding SAE", "it reads scaled embeddings")
    tensors = {
        f"W_{name[2:]}" if name.startswith("w_") else name: value
        for name, value in read_npz(path).items()
    }
    model = None
    if repository:
        model = f"google/gemma-2-{repository[1]}{'-it' if repository[2] == 'it' else ''}"
    layer = in_name(r"/layer_(\d+)/", place)
    stated = in_name(r"/average_l0_(\d+)(/|$)", place)
    return Found(
        _config(
            tensors,
            path,
            hook_name=residual_post(layer[1]) if layer else None,
            model_name=model,
            stated_l0=float(stated[1]) if stated else None,
        ),
        tensors,
        path,
    )


def is_second(place: Path) -> bool:
    """Whether it is a folder of Gemma Scope 2."""
    return (place / SECOND).is_file()


def read_second(place: Path) -> Found:
    """Read a folder ``resid_post/layer_N_width_W_l0_small``.

    Raises:
        InputError: It holds a transcoder, or an SAE outside the residual stream.
    """
    path, settings = place / SECOND, {}
    if (place / SETTINGS).is_file():
        settings = read_json(place / SETTINGS)
        if settings.get("architecture") != "jump_relu":
            got = f"architecture {settings.get('architecture')!r}"
            raise refusal(place / SETTINGS, got, "architecture 'jump_relu'")
    part = in_name(r"/(attn_out|mlp_out|transcoder|clt)(_all)?/", place)
    if part or settings.get("affine_connection"):
        what = part[1] if part else "an affine connection"
        raise not_residual(path, what, "it does not reconstruct its input, or reads another part")
    raw = read_tensors(path)
    if "affine_skip_connection" in raw:
        raise not_residual(path, "affine_skip_connection", "it does not reconstruct its input")
    tensors = {f"W_{name[2:]}" if name.startswith("w_") else name: t for name, t in raw.items()}
    config = _config(
        tensors, path, hook_name=_second_hook(place, settings), model_name=_model(place, settings)
    )
    return Found(config, tensors, path)


def _second_hook(place: Path, settings: dict[str, Any]) -> str | None:
    point = settings.get("hf_hook_point_in")
    if point is None:
        layer = in_name(r"/layer_(\d+)_", place)
        return residual_post(layer[1]) if layer else None
    parts = str(point).split(".")
    if len(parts) == 4 and parts[:2] == ["model", "layers"] and parts[3] == "output":
        return residual_post(parts[2])
    raise not_residual(place / SETTINGS, f"hf_hook_point_in {point!r}", "it reads another part")


def _model(place: Path, settings: dict[str, Any]) -> str | None:
    name = settings.get("model_name")
    if not isinstance(name, str):
        repository = in_name(r"gemma-scope-2-(\w+-(?:pt|it))", place)
        name = f"gemma-3-{repository[1]}" if repository else None
    if name is None:
        return None
    name = name.replace("-v3", "-3")
    # The smallest base model has no ending on the hub.
    return name.removesuffix("-pt") if "270m" in name else name


def _config(tensors: dict[str, Tensor], path: Path, **more: Any) -> SaeConfig:
    scaling = tensors.pop("scaling_factor", None)
    if scaling is not None and not torch.allclose(scaling.float(), torch.ones(1)):
        raise refusal(path, "a scaling_factor other than 1", "none, or ones")
    d_in, d_sae = widths(tensor_of(dict(tensors), "W_enc", path), path)
    width = in_name(r"width_(\d+)([km])", path)
    if width:
        unit = {"k": 1000, "m": 10**6}[width[2]]
        # Powers of two, rounded down: 16k is 16384, 65k is 65536, and 32k is 32768.
        if int(width[1]) not in (d_sae // unit, d_sae // (1024 * unit // 1000)):
            got = f"{d_sae} latents in a folder called {width[0]}"
            raise refusal(path, got, f"as many latents as {width[0]} says")
    return SaeConfig(
        architecture="jumprelu",
        d_in=d_in,
        d_sae=d_sae,
        apply_b_dec_to_input=False,
        coordinates="raw",
        prepend_bos=True,
        **more,
    )
