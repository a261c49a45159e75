"""Which bases, directions and random activations belong to given samples?

Each sample's draws depend on it alone, and every part of the study uses the same ones:
the first of several draws is the one draw of another part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations import draw_real_targets
from steppe.core.axes import POSITION, SAMPLE
from steppe.paths import make_directions
from steppe.propagation import Prefix
from steppe.recipes.heimersheim2024.bench import Arrays
from steppe.recipes.heimersheim2024.material import Material
from steppe.recipes.stock import Stock
from steppe.store import Variable


@dataclass(frozen=True, eq=False)
class Bases:
    """Real bases of some samples.

    Attributes:
        samples: The samples.
        stock: Where they are from.
        prefixes: One per sample.
        activations: ``(sample, d_model)``, float32 on the CPU.
        rows: Prompt of each base, ``(sample,)``.
    """

    samples: range
    stock: Stock
    prefixes: Sequence[Prefix]
    activations: Tensor
    rows: NDArray[np.int64]

    def variables(self) -> Arrays:
        """What is stored of the bases themselves."""
        return {
            "base_norm": self.activations.norm(dim=1).numpy(),
            "tokens": np.stack([prefix.tokens.cpu().numpy() for prefix in self.prefixes]),
            "base_row": self.rows,
        }


def base_variables() -> dict[str, Variable]:
    """What `Bases.variables` gives, as it is laid out."""
    return {
        "base_norm": Variable((SAMPLE,), "residual stream", "norm of the base"),
        "tokens": Variable((SAMPLE, POSITION), "token", "the base's prompt", "int64"),
        "base_row": Variable((SAMPLE,), "1", "row of the base's prompt", "int64"),
    }


def take_bases(stock: Stock, samples: range) -> Bases:
    """The real bases of some samples."""
    rows = stock.base_rows[samples.start : samples.stop]
    prefixes = stock.prefixes(rows)
    activations = torch.stack([prefix.base.float().cpu() for prefix in prefixes])
    return Bases(samples, stock, prefixes, activations, rows)


def directions(material: Material, bases: Bases, kind: str, draws: int) -> Tensor:
    """Directions of one kind, ``(sample, draw, d_model)``, of length 1; NaN where there is none."""
    repeated = bases.activations[:, None].expand(-1, draws, -1)
    request = material.request(bases.stock, repeated, bases.samples)
    return make_directions(kind, request)


def random_activations(material: Material, bases: Bases, name: str, draws: int) -> Tensor:
    """Normal draws with the moments of real activations, ``(sample, draw, d_model)``.

    Args:
        material: Gives the seed.
        bases: Whose stock and samples.
        name: Of the random stream.
        draws: How many per sample.
    """
    width = bases.activations.shape[1]
    noise = np.stack(
        [g.standard_normal((draws, width)) for g in material.generators(name, bases.samples)]
    )
    drawn = bases.stock.gaussian.of_noise(torch.from_numpy(noise).reshape(-1, width))
    return drawn.float().reshape(len(bases.samples), draws, width)


def real_activations(material: Material, bases: Bases, name: str, draws: int) -> Tensor:
    """Other prompts' activations, ``(sample, draw, d_model)``.

    Args:
        material: Gives the seed.
        bases: Whose stock and samples.
        name: Of the random stream.
        draws: How many per sample.
    """
    repeated = bases.activations.repeat_interleave(draws, dim=0)
    streams = [g for g in material.generators(name, bases.samples) for _ in range(draws)]
    drawn = draw_real_targets(repeated, bases.stock.pool, streams)
    return drawn.targets.reshape(len(bases.samples), draws, -1)
