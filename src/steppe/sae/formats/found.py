"""What a reader hands on: an SAE's settings and its tensors, under SAELens' names."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from steppe.core.errors import InputError
from steppe.sae.config import MOST, SaeConfig
from steppe.sae.formats.files import refusal


@dataclass(frozen=True, eq=False)
class Found:
    """An SAE as it was read; what its tensors should be is checked afterwards, for all formats.

    Attributes:
        config: Its settings.
        tensors: Its tensors by SAELens' names, in SAELens' shapes.
        path: The file they were read from.
        scale: The factor by which activations were multiplied in training, where the format says.
    """

    config: SaeConfig
    tensors: dict[str, Tensor]
    path: Path
    scale: float | None = None


# Names of tensors and settings that change what an SAE computes.
_COUNTS = re.compile(r"thresh|skip|gate|r_mag|mag_bias|glu|scal|norm|^k$")


def refuse_unread(content: Mapping[str, Any], read: Collection[str], path: Path) -> None:
    """Refuse what a file holds of an SAE of another kind, which its reader would pass over.

    Args:
        content: What the file holds, by name.
        read: What is read, or known to be of no account.
        path: The file.

    Raises:
        InputError: There is some.
    """
    unread = sorted(name for name in map(str, content) if name not in read and _COUNTS.search(name))
    if unread:
        raise refusal(
            path,
            f"also {', '.join(map(repr, unread[:5]))}, which this kind of SAE lacks",
            "the tensors of one kind of SAE",
            "give it with the names and files it was published under, which say its kind",
        )


def check_k(config: SaeConfig, path: Path) -> None:
    """Check the number of latents that a top-k SAE keeps.

    Raises:
        InputError: It cannot keep so many.
    """
    if config.k is None:
        return
    if not 0 < config.k <= config.d_sae:
        raise refusal(path, f"k = {config.k}", f"k from 1 to d_sae = {config.d_sae}")
    if config.architecture == "groupmax" and config.d_sae % config.k:
        raise refusal(path, f"k = {config.k} groups", f"a divisor of d_sae = {config.d_sae}")


def transposed(tensor: Tensor) -> Tensor:
    """A matrix the other way round; what is no matrix stays, to be refused for its shape."""
    return tensor.T.contiguous() if tensor.ndim == 2 else tensor


def widths(encoder: Tensor, path: Path) -> tuple[int, int]:
    """``d_in`` and ``d_sae`` of an encoder ``(d_in, latent)``.

    Raises:
        InputError: It is no matrix.
    """
    if encoder.ndim != 2 or 0 in encoder.shape:
        raise refusal(path, f"an encoder of shape {tuple(encoder.shape)}", "a matrix")
    return int(encoder.shape[0]), int(encoder.shape[1])


def residual_post(layer: int | str) -> str:
    """The name of the residual stream after a block."""
    return f"blocks.{layer}.hook_resid_post"


def in_name(pattern: str, place: Path) -> re.Match[str] | None:
    """Find a pattern in the last parts of an SAE's path, where many formats keep their facts."""
    return re.search(pattern, "/".join(place.absolute().parts[-7:]))


def count(settings: dict[str, Any], key: str, path: Path) -> int:
    """A setting that counts something.

    Raises:
        InputError: It is missing, or no positive whole number that an array can have.
    """
    value = settings.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < MOST:
        return value
    raise refusal(path, f"{key} = {reprlib.repr(value)}", f"{key}, a positive whole number")


def number(settings: dict[str, Any], key: str, path: Path) -> float:
    """A setting that is a finite number.

    Raises:
        InputError: It is missing, or is none.
    """
    value = settings.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST:
        return float(value)
    raise refusal(path, f"{key} = {reprlib.repr(value)}", f"{key}, a finite number")


def setting(settings: dict[str, Any], key: str, kind: type, path: Path) -> Any:
    """A setting of a given kind.

    Raises:
        InputError: It is missing, or of another kind.
    """
    value = settings.get(key)
    if isinstance(value, kind):
        return value
    raise refusal(path, f"{key} = {reprlib.repr(value)}", f"{key}, a {kind.__name__}")


def not_residual(path: Path, what: str, why: str) -> InputError:
    """The refusal of what is no SAE of the residual stream."""
    return refusal(
        path,
        f"{what}: {why}",
        "an SAE that reconstructs one vector of the residual stream",
        "choose an SAE of the residual stream",
    )
