"""Random activations with the mean and covariance of a model's own.

Giglemiani et al. 2024, section 4.2, "random". Centred activations have a covariance that is exactly
singular along (1, ..., 1); draws go through the symmetric square root of the covariance, which
keeps them mean-free instead of repairing the matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations.moments import Moments
from steppe.core.errors import InputError
from steppe.sae.blocks import in_blocks


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A normal distribution over activations.

    Attributes:
        mean: ``(d_model,)``.
        root: Symmetric square root of the covariance, ``(d_model, d_model)``. Unlike a Cholesky
            factor or eigenvectors it is unique, so that the same random numbers give the same
            draws on every machine, up to rounding.
    """

    mean: NDArray[np.float64]
    root: NDArray[np.float64]

    @classmethod
    def from_moments(cls, moments: Moments) -> Gaussian:
        """Build the distribution with these moments.

        Raises:
            InputError: The moments hold NaN, or the covariance is not square.
        """
        covariance = moments.covariance
        is_fitting = covariance.shape == (len(moments.mean),) * 2
        if not (is_fitting and np.isfinite(covariance).all() and np.isfinite(moments.mean).all()):
            raise InputError(
                "moments",
                got=f"mean {moments.mean.shape}, covariance {covariance.shape}, or NaN in them",
                expected="a finite mean (d_model,) and covariance (d_model, d_model)",
                fix="estimate_moments(activations)",
            )
        variances, axes = np.linalg.eigh((covariance + covariance.T) / 2)
        # What is below the rounding of the largest is zero; it may come out negative.
        rounding = len(variances) * np.finfo(np.float64).eps * max(variances[-1], 0.0)
        deviations = np.sqrt(np.where(variances > rounding, variances, 0.0))
        return cls(moments.mean, (axes * deviations) @ axes.T)

    def draw(self, generators: Sequence[np.random.Generator]) -> Tensor:
        """Draw one activation from each generator.

        Args:
            generators: One per sample.

        Returns:
            Activations, float32 on the CPU, ``(sample, d_model)``.
        """
        return self.of_noise(standard_normal(generators, len(self.mean))).float()

    def of_noise(self, noise: Tensor) -> Tensor:
        """Give standard normal numbers this mean and covariance.

        Args:
            noise: float64 ``(row, d_model)``.

        Returns:
            Activations, float64 on the CPU, ``(row, d_model)``.
        """
        root, mean = torch.from_numpy(self.root), torch.from_numpy(self.mean)
        return in_blocks(lambda rows: rows @ root + mean, noise)


def standard_normal(generators: Sequence[np.random.Generator], width: int) -> Tensor:
    """Draw ``width`` standard normal numbers from each generator, float64, ``(sample, width)``."""
    if not generators:
        return torch.zeros(0, width, dtype=torch.float64)
    return torch.from_numpy(np.stack([g.standard_normal(width) for g in generators]))
