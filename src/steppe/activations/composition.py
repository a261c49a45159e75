"""Synthetic activations from base activations and a rule that chooses latents.

Encode the bases, let the rule choose latents for the active ones, decode what it chose. The rules
themselves are in `synthetic` and `structured`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations.vectors import Vectors, as_vectors
from steppe.core.errors import InputError
from steppe.sae.autoencoder import Autoencoder, decode, encode
from steppe.sae.blocks import row_slices

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ActiveLatents:
    """The active latents of one activation.

    Attributes:
        ids: Which latents, ``(active,)``; ascending when they come from an encoder.
        values: Their activations, ``(active,)`` float32.
    """

    ids: Ids
    values: NDArray[np.float32]

    @property
    def top(self) -> int:
        """The latent with the highest activation; the highest id where several are equal."""
        return int(self.ids[np.flatnonzero(self.values == self.values.max())[-1]])


Rule = Callable[[Sequence[ActiveLatents], range], Sequence[ActiveLatents]]
"""Maps the active latents of some samples, and the samples' numbers, to those chosen for them."""


def compose(base: Vectors, sae: Autoencoder, rule: Rule) -> Tensor:
    """Build one synthetic activation per base.

    A base on which no latent is active gives the decoder's bias.

    Args:
        base: Base activations, ``(sample, d_model)``.
        sae: The SAE whose latents are used.
        rule: Chooses the latents.

    Returns:
        Synthetic activations, float32 on the CPU, ``(sample, d_model)``.
    """
    d_sae, d_in = sae.W_dec.shape
    rows = as_vectors(base, "base", width=d_in)
    targets = torch.empty_like(rows)
    for part in row_slices(len(rows), d_sae):
        found = active_latents(encode(sae, rows[part]))
        chosen = rule(found, range(part.start, part.stop))
        latents = _dense(chosen, d_sae)
        targets[part] = decode(sae, latents, rows[part]).float().cpu()
    return targets


def active_latents(latents: Tensor) -> list[ActiveLatents]:
    """List the active latents of each row.

    Args:
        latents: Latent activations, ``(sample, latent)``.
    """
    samples, ids = latents.nonzero(as_tuple=True)
    values = latents[samples, ids].float().cpu().numpy()
    ends = torch.bincount(samples, minlength=len(latents)).cumsum(0).cpu().numpy()[:-1]
    columns = ids.cpu().numpy()
    pairs = zip(np.split(columns, ends), np.split(values, ends), strict=True)
    return [ActiveLatents(i, v) for i, v in pairs]


def one_generator_each(
    generators: Sequence[np.random.Generator], count: int
) -> Sequence[np.random.Generator]:
    """Return the generators when there is one for each of ``count`` samples.

    Raises:
        InputError: There are more or fewer.
    """
    if len(generators) == count:
        return generators
    raise InputError(
        "generators",
        got=f"{len(generators)} generators",
        expected=f"{count}, one per sample",
        fix="[steppe.core.seeds.stream(seed, name, sample) for sample in range(count)]",
    )


def check_enough(needed: int, available: int) -> None:
    """Check that there are enough latents to choose from.

    Raises:
        InputError: There are too few.
    """
    if available >= needed:
        return
    raise InputError(
        "firing rates",
        got=f"{available} latents that fire, for a base with so many active ones that it "
        f"takes {needed}",
        expected=f"at least {needed}",
        fix="measure firing rates on more activations, or choose another SAE",
    )


def _dense(chosen: Sequence[ActiveLatents], d_sae: int) -> Tensor:
    latents = torch.zeros(len(chosen), d_sae)
    for row, active in zip(latents, chosen, strict=True):
        row[torch.from_numpy(active.ids)] = torch.from_numpy(active.values)
    return latents
