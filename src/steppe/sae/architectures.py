"""How each SAE architecture turns its input into latents.

One function and one line of `ARCHITECTURES` an architecture. The input is already normalised and
has the decoder bias taken off where the SAE asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from steppe.sae.config import ArchitectureName, SaeConfig

Weights = Mapping[str, Tensor]
_SHARED = {"W_enc": ("d_in", "d_sae"), "W_dec": ("d_sae", "d_in"), "b_dec": ("d_in",)}


@dataclass(frozen=True)
class Architecture:
    """One way to compute latents.

    Attributes:
        tensors: The tensors the weights file must hold, with their shapes in words.
        encode: Maps input ``(row, d_in)``, the weights and the settings to latents
            ``(row, d_sae)``.
    """

    tensors: Mapping[str, tuple[str, ...]]
    encode: Callable[[Tensor, Weights, SaeConfig], Tensor]


def _pre_activations(x: Tensor, weights: Weights, config: SaeConfig) -> Tensor:
    pre = x @ weights["W_enc"] + weights["b_enc"]
    if config.rescale_acts_by_decoder_norm:
        pre = pre * weights["W_dec"].norm(dim=-1)
    return pre


def _relu(x: Tensor, weights: Weights, config: SaeConfig) -> Tensor:
    return _pre_activations(x, weights, config).relu()


def _jumprelu(x: Tensor, weights: Weights, config: SaeConfig) -> Tensor:
    pre = _pre_activations(x, weights, config)
    return pre.relu() * (pre > weights["threshold"])


def _gated(x: Tensor, weights: Weights, _: SaeConfig) -> Tensor:
    is_open = x @ weights["W_enc"] + weights["b_gate"] > 0
    magnitude = x @ (weights["W_enc"] * weights["r_mag"].exp()) + weights["b_mag"]
    return magnitude.relu() * is_open


def _topk(x: Tensor, weights: Weights, config: SaeConfig) -> Tensor:
    assert config.k is not None
    pre = _pre_activations(x, weights, config)
    values, latents = pre.topk(config.k, dim=-1, sorted=False)
    return torch.zeros_like(pre).scatter(-1, latents, values.relu())


def _groupmax(x: Tensor, weights: Weights, config: SaeConfig) -> Tensor:
    assert config.k is not None
    pre = _pre_activations(x, weights, config).relu()
    groups = pre.reshape(*pre.shape[:-1], config.k, -1)
    values, latents = groups.max(dim=-1, keepdim=True)
    return torch.zeros_like(groups).scatter(-1, latents, values).reshape(pre.shape)


def _abstopk(x: Tensor, weights: Weights, config: SaeConfig) -> Tensor:
    assert config.k is not None
    pre = _pre_activations(x, weights, config)
    latents = pre.abs().topk(config.k, dim=-1, sorted=False).indices
    return torch.zeros_like(pre).scatter(-1, latents, pre.gather(-1, latents))


_PLAIN = {**_SHARED, "b_enc": ("d_sae",)}
_THRESHOLD = {**_PLAIN, "threshold": ("d_sae",)}
_GATED = {**_SHARED, "b_gate": ("d_sae",), "b_mag": ("d_sae",), "r_mag": ("d_sae",)}

ARCHITECTURES: dict[ArchitectureName, Architecture] = {
    "standard": Architecture(_PLAIN, _relu),
    "topk": Architecture(_PLAIN, _topk),
    "abstopk": Architecture(_PLAIN, _abstopk),
    "groupmax": Architecture(_PLAIN, _groupmax),
    "jumprelu": Architecture(_THRESHOLD, _jumprelu),
    "gated": Architecture(_GATED, _gated),
}
