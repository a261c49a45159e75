"""How often each latent of an SAE fires, and where that is known from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from steppe.core.errors import InputError
from steppe.sae.autoencoder import Autoencoder, as_autoencoder, encode
from steppe.sae.blocks import row_slices
from steppe.sae.model import Sae
from steppe.sae.weights import SPARSITY_FILE

# SAELens stores log10(rate + 1e-10): 10**(-10) is a latent that never fired.
RATE_OFFSET = 1e-10
_DEAD_BELOW = 1.5 * RATE_OFFSET


@dataclass(frozen=True, eq=False)
class FiringRates:
    """The share of tokens on which each latent is active.

    Attributes:
        values: Linear rates in [0, 1], float64, ``(latent,)``.
        alive: Whether the latent fired at all, ``(latent,)``.
        source: Where they are known from.
    """

    values: NDArray[np.float64]
    alive: NDArray[np.bool_]
    source: str

    @classmethod
    def from_values(cls, rates: ArrayLike, source: str = "given by the caller") -> FiringRates:
        """Take linear rates as they are.

        Args:
            rates: Linear rates, ``(latent,)``. At most 1e-10, what SAELens' file says of a latent
                that never fired, counts as dead.
            source: Where they are known from.

        Raises:
            InputError: They are not one rate in [0, 1] per latent.
        """
        values = np.asarray(rates, dtype=np.float64)
        if values.ndim != 1 or not np.all((values >= 0) & (values <= 1)):
            raise InputError(
                "firing rates",
                got=f"shape {values.shape}, values from {_lowest(values)} to {_highest(values)}",
                expected="one linear rate in [0, 1] per latent",
                fix="10**s for values s of a sparsity file",
            )
        return cls(values, values > _DEAD_BELOW, source)


def firing_rates(sae: Autoencoder, activations: Tensor | None = None) -> FiringRates:
    """Return the rates of the SAE's sparsity file, or measure them where there is none.

    Args:
        sae: The SAE, or any object with ``encode`` and ``W_dec``.
        activations: Activations at its site, ``(sample, d_in)``; read only without the file.

    Raises:
        InputError: There is neither a file nor activations.
    """
    if isinstance(sae, Sae) and sae.log10_rates is not None:
        log10 = sae.log10_rates.double().cpu().numpy()
        alive = log10 > np.log10(_DEAD_BELOW)
        values = np.where(alive, np.clip(10.0**log10 - RATE_OFFSET, 0.0, 1.0), 0.0)
        return FiringRates(values, alive, SPARSITY_FILE)
    if activations is None:
        raise InputError(
            f"firing rates of SAE {sae.identity.source if isinstance(sae, Sae) else sae!r}",
            got=f"no {SPARSITY_FILE} beside the weights, and no activations",
            expected="one of the two",
            fix="give activations of the model at the SAE's site",
        )
    return measured_rates(sae, activations)


def measured_rates(sae: Autoencoder, activations: Tensor) -> FiringRates:
    """Count on how many activations each latent is active.

    Args:
        sae: The SAE.
        activations: Activations at its site, ``(sample, d_in)``.

    Raises:
        InputError: There are no activations.
    """
    sae = as_autoencoder(sae)
    if len(activations) == 0:
        raise InputError(
            "activations",
            got="none",
            expected="at least one activation to count firings on",
            fix="give activations of the model at the SAE's site",
        )
    counts = torch.zeros(len(sae.W_dec), dtype=torch.int64, device=sae.W_dec.device)
    for rows in row_slices(len(activations), len(sae.W_dec)):
        counts += (encode(sae, activations[rows]) != 0).sum(dim=0)
    values = counts.cpu().numpy() / len(activations)
    return FiringRates(values, values > 0, f"measured on {len(activations)} activations")


def as_rates(rates: FiringRates | ArrayLike, d_sae: int) -> FiringRates:
    """Return firing rates for ``d_sae`` latents, given as such or as linear rates.

    Raises:
        InputError: They are not one rate in [0, 1] per latent.
    """
    known = rates if isinstance(rates, FiringRates) else FiringRates.from_values(rates)
    if known.values.shape == (d_sae,):
        return known
    raise InputError(
        "firing rates",
        got=f"{len(known.values)} rates",
        expected=f"{d_sae}, one per latent of the SAE",
        fix="give the rates of the same SAE",
    )


def _lowest(values: NDArray[np.float64]) -> Any:
    return values.min() if values.size else "nothing"


def _highest(values: NDArray[np.float64]) -> Any:
    return values.max() if values.size else "nothing"
