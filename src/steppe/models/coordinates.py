"""In which coordinates residual vectors are read: raw, or with their mean removed.

TransformerLens removes the mean over d_model from every residual vector of a LayerNorm model; the
published GPT-2 numbers live in those coordinates. A LayerNorm never sees that mean, so the function
computed downstream is the same; an RMSNorm does see it.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.models.anatomy import Anatomy

Coordinates = Literal["centered", "raw"]


def choose_coordinates(asked: str | None, anatomy: Anatomy) -> Coordinates:
    """Return the coordinates to use: those asked for, or ``centered`` where it is valid.

    Args:
        asked: ``"centered"``, ``"raw"``, or None for the model's own default.
        anatomy: What the model's final normalisation is.

    Raises:
        InputError: An unknown word, or ``centered`` for a model without LayerNorm.
    """
    if asked is None:
        return "centered" if anatomy.norm == "layer_norm" else "raw"
    if asked == "raw":
        return "raw"
    if asked != "centered":
        raise InputError(
            "coordinates",
            got=repr(asked),
            expected=" or ".join(map(repr, get_args(Coordinates))),
            fix="leave coordinates out to take the model's default",
        )
    if anatomy.norm != "layer_norm":
        raise InputError(
            "coordinates",
            got="'centered' for a model whose final normalisation is no LayerNorm",
            expected="'raw': this model sees the mean over d_model, removing it changes its output",
            fix="use coordinates='raw', or leave coordinates out",
        )
    return "centered"


def center(residual: Tensor) -> Tensor:
    """Remove the mean over d_model (the last axis); shape ``(..., d_model)``, same unit."""
    return residual - residual.mean(-1, keepdim=True)


def normalise(residual: Tensor, anatomy: Anatomy) -> Tensor:
    """Apply the final normalisation without its gain and bias.

    For a LayerNorm this is ``(x - mean) / sqrt(variance + epsilon)``, TransformerLens'
    ``ln_final.hook_normalized``; for an RMSNorm ``x / sqrt(mean square + epsilon)``.

    Args:
        residual: Residual stream after the last block, float32, shape ``(..., d_model)``.
        anatomy: Which normalisation, and its epsilon.

    Raises:
        InputError: The model's final normalisation is neither, or states no epsilon.
    """
    if anatomy.norm not in ("layer_norm", "rms_norm") or anatomy.norm_epsilon is None:
        raise InputError(
            "site ln_final.hook_normalized",
            got="a model whose final normalisation is not recognised",
            expected="a LayerNorm or RMSNorm that states its epsilon",
            fix="read blocks.last.hook_resid_post instead",
        )
    centred = center(residual) if anatomy.norm == "layer_norm" else residual
    mean_square = centred.square().mean(-1, keepdim=True)
    return centred * torch.rsqrt(mean_square + anatomy.norm_epsilon)
