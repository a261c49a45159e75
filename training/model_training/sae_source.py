"""Activations for SAE training and evaluation.

Our own models' are in centred coordinates: the mean over the width is subtracted from every
residual vector, as TransformerLens' weight processing does; a LayerNorm model computes the same
from the centred vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as functional
from safetensors.torch import load_file
from torch import Tensor

from model_training.corpus import END_OF_TEXT_ID, TokenStream, Windows
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


class CutModel(Protocol):
    """What a model offers to SAE training: its streams, in the coordinates that SAEs read."""

    @property
    def sha256(self) -> str:
        """Of its weights file."""

    @property
    def device(self) -> str:
        """Where token ids go."""

    @property
    def precision(self) -> torch.dtype:
        """What SAEs are multiplied in."""

    @property
    def is_centred(self) -> bool:
        """Whether the mean over the width is subtracted from its streams."""

    def before(self, layer: int, inputs: Tensor) -> Tensor:
        """Returns the residual stream before block `layer`, shape (b, t, d)."""

    def onwards(self, layer: int, stream: Tensor) -> tuple[list[Tensor], Tensor]:
        """Returns the streams after each block from `layer` on, and the logits, float32."""

    def ordinary(self, layer: int, inputs: Tensor, stream: Tensor, /) -> Tensor:
        """Returns at which positions SAEs are trained, measured and substituted, bool (b, t)."""


@dataclass(frozen=True)
class FrozenModel:
    """A model of train_model.py, cut at a layer."""

    weights: Weights
    shape: Shape
    sha256: str
    """Of its weights file."""
    is_centred = True

    @property
    def layers(self) -> int:
        """Number of blocks."""
        return self.shape.layers

    @property
    def positions(self) -> int:
        """Longest window."""
        return self.shape.positions

    @property
    def device(self) -> str:
        """Where token ids go."""
        return str(next(iter(self.weights.values())).device)

    @property
    def precision(self) -> torch.dtype:
        """The format of its weights."""
        return next(iter(self.weights.values())).dtype

    def ordinary(self, _layer: int, inputs: Tensor, _stream: Tensor) -> Tensor:
        """Returns where no end-of-text token stands, shape (b, t).

        As the attention's resting place it has a norm far from every other, and the autoencoder
        would spend its error on it.
        """
        return inputs != END_OF_TEXT_ID

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
        cls,
        stream: TokenStream,
        lengths: Sequence[int],
        tokens: int,
        seed: int,
        *,
        bos_share: float = 0.5,
    ) -> WindowMix:
        """Plans batches of about `tokens` tokens.

        Of the longest windows, `bos_share` begin with the end-of-text token; all others are cut
        from the middle of the text, as the studies cut them.
        """
        longest = max(lengths)
        return cls(
            tuple(
                Windows(
                    stream,
                    length,
                    max(2, tokens // len(lengths) // length),
                    seed + length,
                    bos_share if length == longest else 0.0,
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
def activations_at(model: CutModel, layer: int, batch: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Returns the activations before block `layer` at ordinary positions, shape (n, d)."""
    pieces = []
    for inputs, _ in batch:
        stream = model.before(layer, inputs)
        pieces.append(stream[model.ordinary(layer, inputs, stream)])
    return torch.cat(pieces)


def mean_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Returns the mean cross-entropy in nats per token."""
    return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.flatten())
