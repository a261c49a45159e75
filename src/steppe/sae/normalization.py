"""Normalisation of an SAE's input, and its undoing on the output.

Both directions read the scale off the activation itself, so nothing is remembered between an
encode and a decode and latents composed elsewhere can be decoded at any time.
"""

from __future__ import annotations

import math

from torch import Tensor

from steppe.sae.config import Normalization

# SAELens divides by the standard deviation plus this.
_EPSILON = 1e-5


def normalize(x: Tensor, normalization: Normalization) -> Tensor:
    """Bring activations to the scale on which the SAE was trained.

    Args:
        x: Activations, ``(..., d_in)``.
        normalization: ``layer_norm``: mean 0 and (unbiased) standard deviation 1 over ``d_in``;
            ``constant_norm_rescale``: norm sqrt(d_in); any other: unchanged.
    """
    if normalization == "layer_norm":
        centered = x - x.mean(dim=-1, keepdim=True)
        return centered / (centered.std(dim=-1, keepdim=True) + _EPSILON)
    if normalization == "constant_norm_rescale":
        return x * _norm_scale(x)
    return x


def denormalize(y: Tensor, like: Tensor, normalization: Normalization) -> Tensor:
    """Bring reconstructions back to the scale of the activations ``like``.

    Args:
        y: Reconstructions on the SAE's scale, ``(..., d_in)``.
        like: The activations whose scale is restored, ``(..., d_in)``.
        normalization: As in `normalize`.
    """
    if normalization == "layer_norm":
        mean = like.mean(dim=-1, keepdim=True)
        return y * (like - mean).std(dim=-1, keepdim=True) + mean
    if normalization == "constant_norm_rescale":
        return y / _norm_scale(like)
    return y


def _norm_scale(x: Tensor) -> Tensor:
    norm: Tensor = x.norm(dim=-1, keepdim=True)
    return math.sqrt(x.shape[-1]) / norm
