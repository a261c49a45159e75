"""How is one point of one path asked for, without laying out the rest? Paths in closed form."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from steppe.activations.vectors import Vectors, as_vectors
from steppe.core.errors import InputError
from steppe.core.family_modes import END, FamilyMode

# What is left beside a vector of itself, by rounding to float32: in parts of its length.
ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Family:
    """Paths from bases, each a combination of its base and one vector beside it.

    At position t a straight path is at ``base + t side`` and a great circle at
    ``cos(t) base + sin(t) side``, so that position 0 is the base itself, bit for bit.

    Attributes:
        mode: ``straight`` (positions are lengths in units of the base's norm) or ``sphere``
            (positions are angles in degrees).
        base: float64 ``(path, d_model)``.
        side: float64 ``(path, d_model)``, as long as the base; NaN where a path has no direction.
    """

    mode: FamilyMode
    base: Tensor
    side: Tensor

    def __len__(self) -> int:
        return len(self.base)

    @property
    def is_defined(self) -> Tensor:
        """Which paths have a direction, ``(path,)``."""
        return torch.isfinite(self.side).all(dim=1)

    def grid(self, n_points: int) -> Tensor:
        """Evenly spaced positions from the base to the path's end, float64 ``(step,)``."""
        return torch.linspace(0.0, END[self.mode], n_points, dtype=torch.float64)

    def at(self, paths: Tensor, positions: Tensor) -> Tensor:
        """Single points.

        Args:
            paths: Which path each point is of, int64 ``(point,)``.
            positions: Where on it, ``(point,)``.

        Returns:
            float32 ``(point, d_model)``.
        """
        along, beside = self._weights(positions.double())
        points: Tensor = along[:, None] * self.base[paths] + beside[:, None] * self.side[paths]
        return points.float()

    def points(self, n_points: int) -> Tensor:
        """Every path on its grid, float32 ``(path, step, d_model)``."""
        along, beside = self._weights(self.grid(n_points))
        laid: Tensor = along[:, None] * self.base[:, None] + beside[:, None] * self.side[:, None]
        return laid.float()

    def select(self, paths: Tensor | slice) -> Family:
        """Some of the paths."""
        return replace(self, base=self.base[paths], side=self.side[paths])

    def _weights(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        if self.mode == "straight":
            return torch.ones_like(positions), positions
        angles = torch.deg2rad(positions)
        return torch.cos(angles), torch.sin(angles)


def family_of(
    mode: FamilyMode, base: Vectors, displacement: Vectors, *, mean_free: bool = True
) -> Family:
    """Lay paths of one mode; see `straight` and `sphere`.

    Raises:
        InputError: There is no such mode, or shapes differ.
    """
    if mode not in END:
        raise InputError(
            "mode of a path",
            got=repr(mode),
            expected=", ".join(END),
            fix="straight keeps the direction, sphere the norm",
        )
    starts = as_vectors(base, "path, base").double()
    vectors = torch.as_tensor(displacement).detach().cpu().double()
    if vectors.shape != starts.shape:
        raise InputError(
            "path",
            got=f"base {tuple(starts.shape)}, displacement {tuple(vectors.shape)}",
            expected="one displacement per base, of the same width",
            fix="give both as (path, d_model)",
        )
    if mean_free:
        vectors = vectors - vectors.mean(dim=1, keepdim=True)
    norm = starts.norm(dim=1, keepdim=True)
    if mode == "sphere":
        unit = starts / norm
        vectors = vectors - (vectors * unit).sum(dim=1, keepdim=True) * unit
    length = vectors.norm(dim=1, keepdim=True)
    faint = length <= ROUNDING * torch.as_tensor(displacement).cpu().double().norm(
        dim=1, keepdim=True
    )
    side = torch.where(faint, torch.nan, vectors * norm / length)
    return Family(mode, starts, side)
