"""Directions from real activations: principal components, random ones, and an SAE's top latents."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from steppe.activations.real import MINIMUM_DISTANCE
from steppe.activations.vectors import Vectors, as_vectors
from steppe.core.errors import InputError
from steppe.core.seeds import stream
from steppe.directions.direction_set import DirectionSet
from steppe.models import Model
from steppe.sae.autoencoder import Autoencoder, as_autoencoder, encode
from steppe.sae.blocks import row_slices

_TRIES = 1000


def pca(activations: Vectors, count: int = 1) -> DirectionSet:
    """Principal components of activations, the first first.

    Args:
        activations: ``(sample, d_model)``; their mean is removed.
        count: How many.

    Returns:
        ``pca:1`` ..., each with the sign that makes its largest number positive, and with its
        ``share_of_variance``.

    Raises:
        InputError: More are asked for than there are.
    """
    rows = as_vectors(activations, "activations").double()
    rank = min(len(rows) - 1, rows.shape[1])
    _check_count("pca", count, rank, "give more activations")
    _, values, components = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
    shares = (values.square() / values.square().sum())[:count].tolist()
    return DirectionSet.of(
        numbered("pca", count),
        signed(components[:count]),
        "principal components",
        [{"share_of_variance": float(f"{share:.6g}")} for share in shares],
    )


def random(model: Model, count: int = 1, *, seed: int = 0) -> DirectionSet:
    """Directions drawn evenly from the sphere (of mean-free vectors in centred coordinates).

    Args:
        model: Gives the width and the coordinates.
        count: How many; each has a stream of its own.
        seed: Seed of the streams.

    Returns:
        ``random:1`` ...
    """
    _check_count("random", count, 10**6, "ask for fewer")
    draws = [
        stream(seed, "fixed_random_direction", number).standard_normal(model.d_model)
        for number in range(1, count + 1)
    ]
    rows = model.to_coordinates(torch.from_numpy(np.stack(draws)))
    return DirectionSet.of(numbered("random", count), rows, "random directions")


def random_difference(activations: Vectors, count: int = 1, *, seed: int = 0) -> DirectionSet:
    """Differences of two real activations each, drawn at random.

    Args:
        activations: Real activations, ``(sample, d_model)``.
        count: How many; each has a stream of its own.
        seed: Seed of the streams.

    Returns:
        ``random_difference:1`` ...

    Raises:
        InputError: No two activations differ.
    """
    rows = as_vectors(activations, "activations").double()
    _check_count("random_difference", count, 10**6, "ask for fewer")
    differences = [
        _difference(rows, stream(seed, "random_difference_direction", number))
        for number in range(1, count + 1)
    ]
    names = numbered("random_difference", count)
    return DirectionSet.of(names, torch.stack(differences), "random differences")


def sae_top(sae: Autoencoder, activations: Vectors, count: int = 1) -> DirectionSet:
    """Decoder rows of the latents with the largest mean activation.

    Args:
        sae: The SAE of the site.
        activations: Real activations at its site, ``(sample, d_model)``.
        count: How many.

    Returns:
        ``sae_top:1`` ..., each with its ``latent`` and ``mean_activation``.

    Raises:
        InputError: More are asked for than are ever active.
    """
    sae = as_autoencoder(sae)
    rows, width = as_vectors(activations, "activations"), len(sae.W_dec)
    total = torch.zeros(width, dtype=torch.float64)
    for part in row_slices(len(rows), width):
        total += encode(sae, rows[part]).double().abs().sum(0).cpu()
    means = total / len(rows)
    active = int((means > 0).sum())
    _check_count("sae_top", count, active, "only so many latents are active on these activations")
    top = means.argsort(descending=True, stable=True)[:count]
    decoder = sae.W_dec.detach()
    return DirectionSet.of(
        numbered("sae_top", count),
        decoder[top.to(decoder.device)],
        "top latents",
        [
            {"latent": int(latent), "mean_activation": float(f"{float(means[latent]):.6g}")}
            for latent in top
        ],
    )


def numbered(kind: str, count: int) -> list[str]:
    """Names of as many directions of one kind, from 1 on."""
    return [f"{kind}:{number}" for number in range(1, count + 1)]


def signed(rows: Tensor) -> Tensor:
    """Rows with the sign that makes the largest number of each positive."""
    largest = rows.gather(1, rows.abs().argmax(dim=1, keepdim=True))
    return rows * torch.where(largest < 0, -1.0, 1.0)


def _difference(rows: Tensor, generator: np.random.Generator) -> Tensor:
    for _ in range(_TRIES if len(rows) > 1 else 0):
        first, second = generator.choice(len(rows), size=2, replace=False)
        if float((rows[first] - rows[second]).norm()) > MINIMUM_DISTANCE:
            return rows[first] - rows[second]
    raise InputError(
        "random differences",
        got=f"{len(rows)} activations, no two of which differ",
        expected="at least two different activations",
        fix="give activations of more prompts",
    )


def _check_count(kind: str, count: int, most: int, fix: str) -> None:
    if not 1 <= count <= most:
        raise InputError(
            f"directions {kind}", got=str(count), expected=f"1 to {most} of them", fix=fix
        )
