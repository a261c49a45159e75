"""A lean GPT-2 forward pass: the same arithmetic and weight names as GPT2LMHeadModel.

The training loop keeps float32 master weights and computes with a low-precision copy of them,
which spares the per-operation casts of autocast. Axis letters: b batch, t position, d width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Shape:
    """The sizes of a GPT-2 model."""

    layers: int = 8
    width: int = 256
    heads: int = 4
    vocabulary: int = 4096
    positions: int = 128


def initial_weights(shape: Shape, seed: int) -> Weights:
    """Draws GPT-2's initial weights in float32 (normal, 0.02; residual writers scaled by depth).

    Matrices are stored (inputs, outputs), as the hub's GPT-2 folders store them.
    """
    generator = torch.Generator().manual_seed(seed)
    width = shape.width

    def normal(rows: int, columns: int, deviation: float = 0.02) -> Tensor:
        return torch.randn(rows, columns, generator=generator) * deviation

    weights = {
        "transformer.wte.weight": normal(shape.vocabulary, width),
        "transformer.wpe.weight": normal(shape.positions, width, 0.01),
    }
    residual_deviation = 0.02 / (2 * shape.layers) ** 0.5
    for layer in range(shape.layers):
        block = f"transformer.h.{layer}."
        weights[block + "attn.c_attn.weight"] = normal(width, 3 * width)
        weights[block + "attn.c_attn.bias"] = torch.zeros(3 * width)
        weights[block + "attn.c_proj.weight"] = normal(width, width, residual_deviation)
        weights[block + "attn.c_proj.bias"] = torch.zeros(width)
        weights[block + "mlp.c_fc.weight"] = normal(width, 4 * width)
        weights[block + "mlp.c_fc.bias"] = torch.zeros(4 * width)
        weights[block + "mlp.c_proj.weight"] = normal(4 * width, width, residual_deviation)
        weights[block + "mlp.c_proj.bias"] = torch.zeros(width)
        weights |= _norm(block + "ln_1", width) | _norm(block + "ln_2", width)
    return weights | _norm("transformer.ln_f", width)


def _norm(name: str, width: int) -> Weights:
    return {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}


def next_token_loss(
    weights: Weights, shape: Shape, inputs: Tensor, targets: Tensor, kept: Tensor | None = None
) -> Tensor:
    """Returns the mean cross-entropy in nats per token.

    Args:
        weights: in the precision to compute with.
        shape: the model's sizes.
        inputs: token ids, shape (b, t).
        targets: the next tokens, shape (b, t).
        kept: for dropout: factors on the embedding and on what each block's attention and
            feed-forward write, shape (1 + 2 layers, b, t, d).
    """
    stream = embedded(weights, inputs)
    if kept is not None:
        stream = stream * kept[0]
    for layer in range(shape.layers):
        pair = None if kept is None else kept[1 + 2 * layer : 3 + 2 * layer]
        stream = block_output(weights, shape, layer, stream, pair)
    logits = unembedded(weights, stream)
    loss: Tensor = functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())
    return loss


def embedded(weights: Weights, inputs: Tensor) -> Tensor:
    """Returns the residual stream before block 0, shape (b, t, d), float32."""
    positions = weights["transformer.wpe.weight"][: inputs.shape[1]]
    # The stream stays in float32: sums over the depth would lose small updates in bfloat16.
    return (weights["transformer.wte.weight"][inputs] + positions).float()


def block_output(
    weights: Weights, shape: Shape, layer: int, stream: Tensor, kept: Tensor | None = None
) -> Tensor:
    """Returns the residual stream after block `layer`, shape (b, t, d), float32."""
    block = f"transformer.h.{layer}."
    mixed = _attention(weights, block, _normalise(weights, block + "ln_1", stream), shape)
    stream = stream + (mixed if kept is None else mixed * kept[0])
    hidden = _feed_forward(weights, block, _normalise(weights, block + "ln_2", stream))
    return stream + (hidden if kept is None else hidden * kept[1])


def unembedded(weights: Weights, stream: Tensor) -> Tensor:
    """Returns the logits of a stream after the last block, shape (b, t, vocabulary)."""
    return _normalise(weights, "transformer.ln_f", stream) @ weights["transformer.wte.weight"].T


def _normalise(weights: Weights, name: str, stream: Tensor) -> Tensor:
    scale, shift = weights[name + ".weight"], weights[name + ".bias"]
    normal = functional.layer_norm(stream, stream.shape[-1:], eps=1e-5)
    return (normal * scale.float() + shift.float()).to(scale.dtype)


def _affine(weights: Weights, name: str, values: Tensor) -> Tensor:
    return functional.linear(values, weights[name + ".weight"].T, weights[name + ".bias"])


def _attention(weights: Weights, block: str, values: Tensor, shape: Shape) -> Tensor:
    batch, length, width = values.shape
    joined = _affine(weights, block + "attn.c_attn", values)
    # (b, t, 3 d) -> three of (b, heads, t, d / heads)
    query, key, value = joined.view(batch, length, 3, shape.heads, -1).permute(2, 0, 3, 1, 4)
    mixed = _causal_mixture(query, key, value)
    return _affine(
        weights, block + "attn.c_proj", mixed.transpose(1, 2).reshape(batch, length, width)
    )


def _causal_mixture(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    # Written out: at 128 positions that is faster on a CPU than the fused kernel, backwards most.
    length = query.shape[-2]
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    later = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
    shares = scores.float().masked_fill(later, float("-inf")).softmax(-1)
    mixed: Tensor = shares.to(value.dtype) @ value
    return mixed


def _feed_forward(weights: Weights, block: str, values: Tensor) -> Tensor:
    hidden = functional.gelu(_affine(weights, block + "mlp.c_fc", values), approximate="tanh")
    return _affine(weights, block + "mlp.c_proj", hidden)
