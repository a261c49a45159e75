"""Qwen-Scope: one file ``layerN.sae.pt`` a layer; the repository's name holds the rest.

Top-k of the pre-activations, the decoder bias not taken off the input, after block N.
"""

from __future__ import annotations

from pathlib import Path

from steppe.sae.config import SaeConfig
from steppe.sae.formats.files import read_pt, refusal, tensor_of
from steppe.sae.formats.found import (
    Found,
    in_name,
    refuse_unread,
    residual_post,
    transposed,
    widths,
)

_FILE = r"layer(\d+)\.sae\.pt$"
_REPOSITORY = r"SAE-Res-(.+?)-W(\d+)K-L0_(\d+)"


def is_one(place: Path) -> bool:
    """Whether it is one layer's file."""
    return place.is_file() and in_name(_FILE, place) is not None


def read(place: Path) -> Found:
    """Read one layer's file.

    Raises:
        InputError: The name says no number of active latents, or another number of latents.
    """
    layer, repository = in_name(_FILE, place), in_name(_REPOSITORY, place)
    if layer is None or repository is None:
        raise refusal(
            place,
            "a path that does not say how many latents are active",
            "a file layerN.sae.pt below a folder called SAE-Res-MODEL-W32K-L0_50",
            "keep the repository's name: only there stand model, width and L0",
        )
    content = read_pt(place)
    refuse_unread(content, (), place)
    tensors = {name: tensor_of(content, name, place) for name in ("b_enc", "b_dec")}
    tensors |= {name: transposed(tensor_of(content, name, place)) for name in ("W_enc", "W_dec")}
    d_in, d_sae = widths(tensors["W_enc"], place)
    if d_sae != int(repository[2]) * 1024:
        got = f"{d_sae} latents in W{repository[2]}K"
        raise refusal(place, got, f"{int(repository[2]) * 1024} latents")
    config = SaeConfig(
        architecture="topk",
        d_in=d_in,
        d_sae=d_sae,
        hook_name=residual_post(layer[1]),
        apply_b_dec_to_input=False,
        k=int(repository[3]),
        coordinates="raw",
        model_name=f"Qwen/{repository[1]}",
    )
    return Found(config, tensors, place)
