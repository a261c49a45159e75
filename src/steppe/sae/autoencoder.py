"""What is asked of an SAE object, whoever made it, and how it is called.

Anything with ``encode``, ``decode`` and ``W_dec`` serves: `Sae`, SAELens' ``SAE``, an object of
one's own. Other classes keep gradients, want their own device and number format, and take no
``like``.
"""

from __future__ import annotations

import inspect
from typing import Any, Protocol

import torch
from torch import Tensor

from steppe.core.errors import InputError


class Autoencoder(Protocol):
    """What is asked of an SAE to use its latents."""

    @property
    def W_dec(self) -> Tensor:
        """Decoder weights, one row a latent, ``(latent, d_in)``."""

    def encode(self, x: Tensor) -> Tensor:
        """Latents ``(sample, latent)`` of activations ``(sample, d_in)``."""

    @property
    def decode(self) -> Any:
        """A function: activations ``(sample, d_in)`` of latents ``(sample, latent)``.

        It may take the activations whose scale the result is given as a second argument ``like``.
        """


def encode(sae: Autoencoder, x: Tensor) -> Tensor:
    """Latents of activations, on the SAE's device and in its number format.

    Args:
        sae: The SAE.
        x: Activations, ``(sample, d_in)``.

    Returns:
        ``(sample, latent)``, without a gradient.

    Raises:
        InputError: It gives another number of latents than its decoder has rows.
    """
    with torch.no_grad():
        latents = sae.encode(x.to(device=sae.W_dec.device, dtype=sae.W_dec.dtype))
    expected = (*x.shape[:-1], len(sae.W_dec))
    if tuple(latents.shape) != expected:
        raise InputError(
            f"encode of {type(sae).__name__}",
            got=f"shape {tuple(latents.shape)} for activations {tuple(x.shape)}",
            expected=f"{expected}: W_dec, of shape {tuple(sae.W_dec.shape)}, has one row a latent",
            fix="give an SAE whose W_dec is (latent, d_in)",
        )
    return latents.to_dense().detach()


def decode(sae: Autoencoder, latents: Tensor, like: Tensor) -> Tensor:
    """Activations that latents stand for.

    Args:
        sae: The SAE.
        latents: ``(sample, latent)``.
        like: The activations whose scale the result is given, ``(sample, d_in)``; SAEs whose
            ``decode`` takes no such argument must have kept it from the encode before.

    Returns:
        ``(sample, d_in)``, without a gradient.
    """
    latents = latents.to(device=sae.W_dec.device, dtype=sae.W_dec.dtype)
    takes_like = "like" in inspect.signature(sae.decode).parameters
    with torch.no_grad():
        y: Tensor = sae.decode(latents, like=like) if takes_like else sae.decode(latents)
    return y.detach()
