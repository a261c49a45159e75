"""What is asked of an SAE object, whoever made it, and how it is called.

Anything with ``encode``, ``decode`` and ``W_dec`` serves: `Sae`, SAELens' ``SAE``, an object of
one's own; of dictionary_learning's, with a Linear layer for a decoder, `as_autoencoder` makes one.
Other classes keep gradients, want their own device and number format, and take no ``like``.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Protocol, cast

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


@dataclass(frozen=True, eq=False)
class LinearDecoder:
    """An SAE object whose decoder is a Linear layer, as dictionary_learning's.

    Attributes:
        sae: The object.
    """

    sae: Any

    @property
    def W_dec(self) -> Tensor:
        """Decoder weights, one row a latent, ``(latent, d_in)``."""
        rows: Tensor = self.sae.decoder.weight.T
        return rows

    def encode(self, x: Tensor) -> Tensor:
        """Latents ``(sample, latent)`` of activations ``(sample, d_in)``."""
        latents: Tensor = self.sae.encode(x)
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Activations ``(sample, d_in)`` of latents ``(sample, latent)``."""
        activations: Tensor = self.sae.decode(latents)
        return activations


def as_autoencoder(sae: Any) -> Autoencoder:
    """An SAE object as steppe uses it: itself, or dictionary_learning's with its decoder turned.

    What only looks at latents and rows does without ``decode``.

    Args:
        sae: Anything with ``encode``, ``decode``, and ``W_dec`` or ``decoder.weight``.

    Raises:
        InputError: It lacks one of them, or its decoder is no matrix.
    """
    found: Any = sae
    if not hasattr(sae, "W_dec") and isinstance(
        getattr(getattr(sae, "decoder", None), "weight", None), Tensor
    ):
        found = LinearDecoder(sae)
    lacking = [name for name in ("encode", "W_dec") if not hasattr(found, name)]
    if lacking or not isinstance(found.W_dec, Tensor) or found.W_dec.ndim != 2:
        raise InputError(
            "SAE",
            got=f"an object of {type(sae).__name__} "
            + (f"without {', '.join(lacking)}" if lacking else "whose W_dec is no matrix"),
            expected="an object with encode, decode, and W_dec (latent, d_in) or decoder.weight "
            "(d_in, latent)",
            fix="give such an object, or the name of a file: steppe.load_sae",
        )
    return cast(Autoencoder, found)


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
