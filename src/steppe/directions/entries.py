"""The vectors that a file's content holds, each with its name and the layer it belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.sites import Site, part_at
from steppe.sae.formats.files import refusal

# Where in a model: as `Site.place` counts it.
Place = tuple[int, int]
# TransformerLens' hook names, and how others name a block.
_HOOK = re.compile(r"blocks\.\d+\.\S*hook_\w+")
_BLOCK = re.compile(r"(?:.*\b(?:layers?|h|blocks?)[ _.-]?|direction\.)?(\d+)")
# The residual stream after a block, in steering-vectors' words.
_DECODER_BLOCK = "decoder_block"


@dataclass(frozen=True, eq=False)
class Entry:
    """One vector of a file.

    Attributes:
        name: Its name; empty where the file gives none.
        vector: ``(d_model,)``.
        place: Where it belongs; None where the file does not say.
    """

    name: str
    vector: Tensor
    place: Place | None = None

    @property
    def site(self) -> str:
        """Where it belongs, in words; empty where the file does not say."""
        return "" if self.place is None else site_at(self.place)


def entries_of(content: Any, path: Path) -> list[Entry]:
    """Find the vectors in what a file holds; texts and numbers beside them are passed over.

    Raises:
        InputError: There are none, or what is there is no vector.
    """
    found = list(_found(content, path))
    if not found:
        raise refusal(
            path,
            f"{type(content).__name__} without a vector",
            "a vector, a matrix with names, or a dictionary of vectors by name or layer",
            "save the vectors themselves",
        )
    unnamed = [entry for entry in found if not entry.name]
    if len(unnamed) == 1 or all(entry.place for entry in unnamed):
        return [entry if entry.name else replace(entry, name=path.stem) for entry in found]
    return found


def _found(content: Any, path: Path) -> Iterator[Entry]:
    if not isinstance(content, Mapping):
        yield from _rows(content, path)
    elif "steering_vector" in content:
        layer, concept = content.get("layer_idx"), content.get("concept")
        name = concept if isinstance(concept, str) else ""
        vector = _vector(content["steering_vector"], "steering_vector", path)
        yield Entry(name, vector, _after(layer))
    elif "layer_activations" in content:
        kind = content.get("layer_type", _DECODER_BLOCK)
        if kind != _DECODER_BLOCK:
            raise refusal(
                path,
                f"a steering vector of layer_type {kind!r}",
                f"{_DECODER_BLOCK!r}: the residual stream after a block",
                "train it with layer_type='decoder_block'",
            )
        yield from _found(content["layer_activations"], path)
    elif "names" in content:
        yield from _named(content, path)
    elif isinstance(content.get("directions"), Mapping):
        for entry in _found(content["directions"], path):
            yield replace(entry, place=entry.place or _after(content.get("layer")))
    else:
        yield from _by_key(content, path)


def _by_key(content: Mapping[Any, Any], path: Path) -> Iterator[Entry]:
    for key, value in content.items():
        if isinstance(key, int) and key < 0:
            raise refusal(
                path,
                f"a vector of layer {key}, counted from the end",
                "layers counted from 0",
                f"save it under its own number: the number of layers minus {-key}",
            )
        place = _place_of(key)
        if isinstance(value, Mapping):
            for entry in _by_key(value, path):
                yield (
                    replace(entry, name=str(key)) if place is None else replace(entry, place=place)
                )
        elif _is_array(value):
            name = "" if place else str(key)
            for row in _rows(value, path, str(key)):
                yield Entry(row.name.replace(str(key), name, 1), row.vector, place)


def _named(content: Mapping[Any, Any], path: Path) -> Iterator[Entry]:
    names, arrays = content["names"], [key for key in content if _is_array(content[key])]
    vectors = [key for key in arrays if key != "names"]
    if len(vectors) != 1:
        raise refusal(path, f"names, and {len(vectors)} arrays beside them", "one matrix beside")
    rows = list(_rows(content[vectors[0]], path))
    listed = [str(name) for name in np.asarray(names).ravel().tolist()]
    if len(listed) != len(rows):
        raise refusal(
            path,
            f"{len(listed)} names for {len(rows)} vectors",
            "one name per row of the matrix",
            "save as many names as vectors",
        )
    for name, row in zip(listed, rows, strict=True):
        yield replace(row, name=name)


def _rows(value: Any, path: Path, key: str = "") -> Iterator[Entry]:
    """The rows of an array: one vector by itself, several by their number."""
    numbers = _numbers(value, key, path)
    while numbers.ndim > 1 and len(numbers) == 1:
        numbers = numbers[0]
    if numbers.ndim == 1:
        yield Entry(key, numbers)
    elif numbers.ndim == 2:
        for place, row in enumerate(numbers):
            yield Entry(f"{key}[{place}]" if key else str(place), row)
    else:
        raise refusal(
            path,
            f"{key or 'an array'} of shape {tuple(numbers.shape)}",
            "a vector (d_model,), or a matrix (direction, d_model)",
            "average over positions, or save the one that is meant",
        )


def _vector(value: Any, key: str, path: Path) -> Tensor:
    (entry, *others) = _rows(value, path, key)
    if others:
        raise refusal(path, f"{key!r} of {1 + len(others)} rows", "one vector")
    return entry.vector


def _numbers(value: Any, key: str, path: Path) -> Tensor:
    is_tensor = isinstance(value, Tensor)
    odd = (
        value.is_complex() or value.dtype == torch.bool
        if is_tensor
        else (not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu")
    )
    numbers = value if is_tensor else None if odd else torch.from_numpy(np.array(value))
    if odd or numbers is None or numbers.layout != torch.strided or not numbers.numel():
        raise refusal(
            path,
            f"{key or 'an array'}: {_told(value)}",
            "real numbers, at least one",
            "save the vectors themselves",
        )
    return numbers.detach()


def _told(value: Any) -> str:
    if isinstance(value, Tensor | np.ndarray):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"


def _is_array(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def _after(layer: Any) -> Place | None:
    """The output of a block."""
    return (layer + 1, 0) if isinstance(layer, int) and layer >= 0 else None


def _place_of(key: Any) -> Place | None:
    if not isinstance(key, str):
        return None if isinstance(key, bool) else _after(key)
    if _HOOK.fullmatch(key):
        site = Site.parse(key)
        return site.place(site.layer + 1)
    block = _BLOCK.fullmatch(key)
    return _after(int(block[1])) if block else None


def site_at(place: Place) -> str:
    """A place in a model, as a site's name."""
    depth, part = place
    if part:
        return Site(depth, part_at(part)).name
    return Site(depth - 1, "resid_post").name if depth else Site(0, "resid_pre").name


def select(
    entries: Sequence[Entry], file: str, *, place: Place | None, layer: int | None
) -> list[Entry]:
    """The vectors that belong somewhere; all of them where nothing is asked.

    Args:
        entries: Those of a file.
        file: The file, for errors.
        place: Where they are used; None: not known.
        layer: Take those of this layer's output, wherever they are used.

    Raises:
        InputError: The file has no vector for it.
    """
    known = sorted({entry.place for entry in entries if entry.place})
    if layer is None and (place is None or not known):
        many = len(known) > 1
        return [replace(e, name=_with_layer(e)) if many else e for e in entries]
    wanted = place if layer is None else (layer + 1, 0)
    found = [entry for entry in entries if entry.place == wanted]
    if found:
        return found
    raise InputError(
        file,
        got=f"vectors at {', '.join(map(site_at, known))}" if known else "no layers",
        expected=f"one at {site_at(wanted)}" if wanted else "layers",
        fix=f"move activations at {site_at(known[0])}, or name one of the layers with layer= to "
        "take it as it is"
        if known
        else "leave layer out",
    )


def _with_layer(entry: Entry) -> str:
    return f"{entry.name}[{entry.site}]" if entry.place else entry.name
