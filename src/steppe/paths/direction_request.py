"""What directions are made from, and how a vector is made a direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from steppe.activations.composition import one_generator_each
from steppe.activations.gaussian import Gaussian
from steppe.activations.reconstruction import sae_reconstruction
from steppe.core.errors import InputError
from steppe.sae.autoencoder import Autoencoder, encode
from steppe.sae.blocks import row_slices
from steppe.sae.rates import FiringRates


@dataclass(frozen=True, eq=False)
class DirectionRequest:
    """All that directions can be made from.

    Attributes:
        base: Activations that will be moved, float32 on the CPU: ``(sample, d_model)``, or
            ``(sample, position, d_model)`` for one direction per token.
        generators: Gives one generator per sample for a stream's name. All tokens of a sample draw
            from its generator, in the order of their positions.
        gaussian: The distribution that random activations are drawn from.
        pool: Real activations to choose from, ``(candidate, d_model)``.
        sae: The SAE of the site.
        rates: The SAE's firing rates.
        centered: Whether activations are in centred coordinates.
        prompt: The activations whose latents count as active in the prompt,
            ``(sample, position, d_model)``; None: the bases themselves.
        ordinary_from: The first position whose latents count as active in the prompt; 1 leaves out
            a beginning-of-sequence token, whose activation is unlike any other.
        fixed: Gives the fixed direction of a name, ``(d_model,)``.
    """

    base: Tensor
    generators: Callable[[str], Sequence[np.random.Generator]]
    gaussian: Gaussian | None = None
    pool: Tensor | None = None
    sae: Autoencoder | None = None
    rates: FiringRates | None = None
    centered: bool = True
    prompt: Tensor | None = None
    ordinary_from: int = 0
    fixed: Callable[[str], Tensor] | None = None

    @property
    def rows(self) -> Tensor:
        """The bases, one a row, ``(sample * position, d_model)``."""
        return self.base.reshape(-1, self.base.shape[-1])

    @cached_property
    def reconstruction(self) -> Tensor:
        """What the SAE makes of the bases, in their shape; computed once.

        Raises:
            InputError: The request has no SAE.
        """
        return sae_reconstruction(self.rows, self._needed_sae()).reshape(self.base.shape)

    @cached_property
    def active(self) -> Tensor:
        """Which latents are active on each base, ``(sample * position, latent)``; computed once.

        Raises:
            InputError: The request has no SAE.
        """
        return self._active_on(self.rows)

    @cached_property
    def active_in_prompt(self) -> Tensor:
        """Which latents are active anywhere in a prompt, ``(sample, latent)``; computed once.

        Raises:
            InputError: The request has no SAE.
        """
        if self.prompt is None:
            found = self.active
        else:
            found = self._active_on(self.prompt.reshape(-1, self.prompt.shape[-1]))
        by_sample = found.reshape(len(self.base), -1, found.shape[-1])
        start = min(self.ordinary_from, by_sample.shape[1] - 1)
        return by_sample[:, start:].any(dim=1)

    def _active_on(self, rows: Tensor) -> Tensor:
        sae = self._needed_sae()
        found = [
            (encode(sae, rows[part]) > 0).cpu() for part in row_slices(len(rows), len(sae.W_dec))
        ]
        return torch.cat(found)

    def _needed_sae(self) -> Autoencoder:
        if self.sae is None:
            raise InputError(
                "directions that an SAE singles out",
                got="no SAE",
                expected="an SAE of the model's site",
                fix="give an SAE, or leave out this kind",
            )
        return self.sae

    @property
    def shape_of_one(self) -> tuple[int, ...]:
        """Shape of one sample's bases without ``d_model``: ``()`` or ``(position,)``."""
        return tuple(self.base.shape[1:-1])

    def streams(self, name: str) -> Sequence[np.random.Generator]:
        """Each sample's generator of the stream called ``name``."""
        return one_generator_each(self.generators(name), len(self.base))

    def normal(self, name: str) -> Tensor:
        """Standard normal numbers, float64 ``(sample * position, d_model)``."""
        shape = (*self.shape_of_one, self.base.shape[-1])
        drawn = np.stack([generator.standard_normal(shape) for generator in self.streams(name)])
        return torch.from_numpy(drawn).reshape(-1, shape[-1])

    def uniform(self, name: str) -> Tensor:
        """Uniform numbers in [0, 1), float64 ``(sample * position,)``."""
        drawn = np.stack([generator.random(self.shape_of_one) for generator in self.streams(name)])
        return torch.from_numpy(drawn).reshape(-1)


def as_directions(vectors: Tensor, request: DirectionRequest) -> Tensor:
    """Scale vectors to length 1.

    Args:
        vectors: ``(sample * position, d_model)``.
        request: Gives the shape.

    Returns:
        float32 in the shape of the request's base; NaN where a vector has no direction because it
        is zero, or was undefined.
    """
    exact = vectors.double()
    lengths = exact.norm(dim=-1, keepdim=True)
    units = torch.where(lengths > 0, exact / lengths, torch.nan)
    return units.float().reshape(request.base.shape)


def lacking(kind: str, what: str, fix: str) -> InputError:
    """The error for a request without something that a kind needs."""
    return InputError(f"directions of kind {kind!r}", got=f"no {what}", expected=what, fix=fix)
