"""Activations for SAE training and evaluation, in centred coordinates.

The mean over the width is subtracted from every residual vector, as TransformerLens' weight
processing does; a LayerNorm model computes the same from the centred vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from model_training.corpus import END_OF_TEXT_ID, Windows
from model_training.hub_folder import file_sha256, read_json
from model_training.language_model import (
    Shape,
    Weights,
    block_output,
    embedded,
    unembedded,
)


def centred(stream: Tensor) -> Tensor:
    """Subtracts the mean over the last axis."""
    return stream - stream.mean(-1, keepdim=True)


@dataclass(frozen=True)
class FrozenModel:
    """The trained language model, cut at a layer."""

    weights: Weights
    shape: Shape
    sha256: str
    """Of its weights file."""

    @classmethod
    def load(cls, folder: Path, device: str, precision: torch.dtype) -> FrozenModel:
        """Reads a model folder written by train_model.py."""
        config = read_json(folder / "config.json")
        shape = Shape(
            config["n_layer"],
            config["n_embd"],
            config["n_head"],
            config["vocab_size"],
            config["n_positions"],
        )
        file = folder / "model.safetensors"
        weights = {name: t.to(precision) for name, t in load_file(file, device=device).items()}
        return cls(weights, shape, file_sha256(file))

    def embedded(self, inputs: Tensor) -> Tensor:
        """Returns the residual stream before block 0, not centred, shape (b, t, d)."""
        return embedded(self.weights, inputs)

    def before(self, layer: int, inputs: Tensor) -> Tensor:
        """Returns the centred residual stream before block `layer`, shape (b, t, d)."""
        stream = self.embedded(inputs)
        for index in range(layer):
            stream = block_output(self.weights, self.shape, index, stream)
        return centred(stream)

    def onwards(self, layer: int, stream: Tensor) -> tuple[list[Tensor], Tensor]:
        """Runs on from before block `layer`.

        Args:
            layer: the first block to run.
            stream: shape (b, t, d).

        Returns:
            The centred streams after each block run, and the logits (b, t, vocabulary), float32.
        """
        streams = []
        for index in range(layer, self.shape.layers):
            stream = block_output(self.weights, self.shape, index, stream)
            streams.append(centred(stream))
        return streams, unembedded(self.weights, stream).float()


@dataclass(frozen=True)
class WindowMix:
    """Batches of windows of several lengths; every length gives about the same share of tokens."""

    parts: tuple[Windows, ...]

    @classmethod
    def of(
        cls, stream: NDArray[np.uint16], lengths: Sequence[int], tokens: int, seed: int
    ) -> WindowMix:
        """Plans batches of about `tokens` tokens.

        Half of the longest windows begin with the end-of-text token; shorter ones are cut from
        the middle of the text, as the studies cut them.
        """
        longest = max(lengths)
        return cls(
            tuple(
                Windows(
                    stream,
                    length,
                    max(2, tokens // len(lengths) // length),
                    seed + length,
                    0.5 if length == longest else 0.0,
                )
                for length in lengths
            )
        )

    def tokens(self, index: int, device: str) -> list[tuple[Tensor, Tensor]]:
        """Returns batch `index`: inputs and targets for each length, each (b, t)."""
        return [
            (torch.from_numpy(inputs).to(device), torch.from_numpy(targets).to(device))
            for inputs, targets in (part.batch(index) for part in self.parts)
        ]


@torch.no_grad()
def activations_at(
    model: FrozenModel, layer: int, batch: Sequence[tuple[Tensor, Tensor]]
) -> Tensor:
    """Returns centred activations before block `layer`, shape (n, d), float32.

    Positions that hold the end-of-text token are left out: as the attention's resting place it
    has a norm far from every other, and the autoencoder would spend its error on it.
    """
    pieces = []
    for inputs, _ in batch:
        stream = model.before(layer, inputs)
        pieces.append(stream[inputs != END_OF_TEXT_ID])
    return torch.cat(pieces)


def mean_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Returns the mean cross-entropy in nats per token."""
    return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.flatten())
