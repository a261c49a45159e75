"""Any Hugging Face causal language model, cut at a layer, as a source of activations.

Activations are in the coordinates that steppe reads the model in: centred for a LayerNorm model,
raw for one with RMSNorm, where the mean over the width matters.

In many models the first position, and a few tokens wherever they stand, hold a norm tens of times
that of all others (massive activations: Sun et al. 2024, arXiv 2402.17762). An autoencoder would
spend its error on these few. They are left out of training and of the measures, counted, and keep
their own activations when reconstructions are substituted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model_training.hub_folder import file_sha256
from steppe.core.sites import Site
from steppe.models import Model, load_model
from steppe.propagation.forward import stream_at, stream_of, to_site

OUTLIER = 5.0
"""An activation is ordinary up to so many times the median norm at its layer."""


class HubModel:
    """A model folder in the hub's format, with what `FrozenModel` offers."""

    def __init__(self, model: Model, sha256: str, precision: torch.dtype) -> None:
        """Wraps a model in float32; `precision` is that of the SAEs in training."""
        self.model, self.sha256, self.precision = model, sha256, precision
        self.name = model.name
        self.layers = model.n_layers
        self.positions = min(128, model.context_length or 128)
        self.device = str(model.device)
        self.is_centred = model.coordinates == "centered"
        self.limits: dict[int, Tensor] = {}

    @classmethod
    def load(cls, folder: Path, device: str, precision: torch.dtype) -> HubModel:
        """Reads a folder; raises what `steppe.load_model` raises.

        Raises:
            ValueError: It has no model.safetensors, by whose hash a run knows its model.
        """
        file = folder / "model.safetensors"
        if not file.is_file():
            raise ValueError(f"{folder} has no model.safetensors; save_pretrained writes one")
        model = load_model(str(folder), dtype="float32", device=device)
        return cls(model, file_sha256(file), precision)

    def before(self, layer: int, inputs: Tensor) -> Tensor:
        """Returns the residual stream before block `layer`, shape (b, t, d), float32."""
        with torch.no_grad():
            stream = stream_at(self.model, inputs, layer)
        return to_site(self.model, stream, Site("resid_pre", layer)).to(self.device)

    def onwards(self, layer: int, stream: Tensor) -> tuple[list[Tensor], Tensor]:
        """Runs on from before block `layer`.

        Args:
            layer: the first block to run.
            stream: shape (b, t, d).

        Returns:
            The streams after each block run, and the logits (b, t, vocabulary), float32.
        """
        tokens = torch.zeros(stream.shape[:2], dtype=torch.int64, device=stream.device)
        streams: list[Tensor] = []
        with _exchanged(self.model, layer, stream, streams):
            logits = self.model.hf_model(input_ids=tokens, use_cache=False).logits
        return streams, logits.float()

    def ordinary(self, layer: int, _inputs: Tensor, stream: Tensor) -> Tensor:
        """Returns which positions count, shape (b, t): no first one and no massive activation.

        The limit is `OUTLIER` times the median norm of the first batch asked for at the layer.
        """
        norms = stream.norm(dim=-1)
        if layer not in self.limits:
            self.limits[layer] = OUTLIER * norms[:, 1:].median()
        kept = norms <= self.limits[layer]
        kept[:, 0] = False
        return kept


@contextmanager
def _exchanged(model: Model, layer: int, stream: Tensor, streams: list[Tensor]) -> Iterator[None]:
    """Put a stream before a block; what the blocks before it compute is not used."""
    blocks = model.anatomy.blocks

    def replace(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (stream, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": stream}

    def keep(_module: Any, _args: Any, output: Any) -> None:
        streams.append(stream_of(output))

    handles = [blocks[layer].register_forward_pre_hook(replace, with_kwargs=True)]
    handles += [block.register_forward_hook(keep) for block in blocks[layer:]]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
