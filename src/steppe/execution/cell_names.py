"""The folder of a sweep's cell is called after its values, the same at every call."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from steppe.core.errors import InputError
from steppe.models import Model, Prompts, load_model
from steppe.sae import Sae
from steppe.study.prompts import IDS

MODEL = "model"
_LONGEST = 120


def folder_name(cell: Mapping[str, Any]) -> str:
    """A cell as a folder's name; what a name cannot hold is replaced, and a hash keeps it apart."""
    text = ",".join(f"{axis}={label_of(axis, value)}" for axis, value in cell.items())
    safe = re.sub(r"[^A-Za-z0-9_.,=+-]", "_", text)
    if safe == text and len(text) <= _LONGEST:
        return text
    return f"{safe[:_LONGEST]}-{_hash(text)}"


def as_value(axis: str, value: Any) -> Any:
    """A value of an axis as it is run and named: a model as `load_model` returns it."""
    if isinstance(value, np.generic):
        return value.item()
    if axis == MODEL and not isinstance(value, str | Path | Model):
        return load_model(value)
    return value


def label_of(axis: str, value: Any) -> str:
    """What a value is called: a text or number itself, an object by a hash of what it holds.

    Raises:
        InputError: An object of which nothing tells it from another.
    """
    if _is_plain(value):
        return str(value)
    if isinstance(value, Model):
        return f"{value.name}-{_hash((asdict(value.identity), value.coordinates, value.engine))}"
    if isinstance(value, Sae):
        return f"{value.identity.source}-{_hash((asdict(value.identity), value.content))}"
    if isinstance(value, Prompts):
        return f"prompts-{_hash(value.sha256)}"
    content = value.get(IDS) if isinstance(value, Mapping) else getattr(value, "W_dec", value)
    if isinstance(content, torch.Tensor):
        content = content.detach().float().cpu().numpy()
    if isinstance(content, np.ndarray):
        return f"{type(value).__name__}-{_hash((content.shape, content.tolist()))}"
    if content is not value and _is_plain(content):
        return f"{type(value).__name__}-{_hash(content)}"
    raise InputError(
        f"axis {axis}",
        got=f"an object of {type(value).__name__}",
        expected="texts, numbers, models, SAEs or prompts, each of which names its run folder",
        fix="save it to a folder and give the folder, or use steppe.run with a folder for each",
    )


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float | Path)


def _hash(value: Any) -> str:
    return hashlib.sha256(str(value).encode()).hexdigest()[:8]
