"""How is a shard of a dataset written, and how is it known to be finished?

Every array write goes through `write_shard`. A shard is whole chunks of every variable, so that two
writers never touch one chunk, and a reader never sees half of one. The marker comes last: data
without a marker do not count and are written again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import ArrayLike, NDArray

from steppe.core.axes import SAMPLE
from steppe.core.errors import InputError
from steppe.store.layout import dataset_path, marker_path, markers_path
from steppe.store.template import dims_of
from steppe.store.writing import write_atomically, writing


@dataclass(frozen=True)
class Marker:
    """What is known of a finished shard.

    Attributes:
        shard: Its number.
        start: Its first sample.
        stop: One past its last sample.
        seconds: How long it took to compute.
        sha256: Hash of each variable's bytes.
    """

    shard: int
    start: int
    stop: int
    seconds: float
    sha256: dict[str, str]


def write_shard(
    root: Path, dataset: str, shard: int, variables: Mapping[str, ArrayLike], seconds: float
) -> Marker:
    """Write one shard of every variable that has a sample axis, then its marker.

    Args:
        root: The run folder.
        dataset: Name of the dataset.
        shard: Its number, from 0.
        variables: For each variable its values over its dimensions, with this shard's samples.
        seconds: How long computing it took.

    Raises:
        InputError: No such shard, or variables or shapes that do not fit; all faults at once.
        RunFailedError: The disk is full, or cannot be written.
    """
    path = dataset_path(root, dataset)
    group = zarr.open_group(path, mode="r+")
    arrays = {name: a for name, a in group.arrays() if SAMPLE in dims_of(a)}
    start, stop = bounds(arrays, shard, f"dataset {path}")
    values = {name: np.asarray(given) for name, given in variables.items()}
    _check_fit(f"shard {shard} of {path}", arrays, values, stop - start)
    marker_path(root, dataset, shard).unlink(missing_ok=True)
    hashes = {}
    with writing(path):
        for name, array in arrays.items():
            block = np.ascontiguousarray(values[name], dtype=array.dtype)
            region = tuple(
                slice(start, stop) if d == SAMPLE else slice(None) for d in dims_of(array)
            )
            # A shard of NaN is data too: without this its chunks would be left out.
            array.with_config({"write_empty_chunks": True})[region] = block
            hashes[name] = digest(block)
    marker = Marker(shard, start, stop, round(seconds, 3), hashes)
    write_atomically(
        marker_path(root, dataset, shard), json.dumps(asdict(marker), indent=1).encode()
    )
    return marker


def read_marker(root: Path, dataset: str, shard: int) -> Marker | None:
    """The marker of a finished shard; None when there is none, or it is damaged."""
    try:
        return Marker(**json.loads(marker_path(root, dataset, shard).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def finished(root: Path, dataset: str) -> list[Marker]:
    """The markers of all finished shards, by number."""
    folder = markers_path(root, dataset)
    names = sorted(int(p.stem) for p in folder.glob("*.json") if p.stem.isdigit())
    markers = (read_marker(root, dataset, shard) for shard in names)
    return [marker for marker in markers if marker is not None]


def bounds(arrays: Mapping[str, zarr.Array[Any]], shard: int, place: str) -> tuple[int, int]:
    """First sample of a shard, and one past its last.

    Raises:
        InputError: There is no such shard.
    """
    array = next(iter(arrays.values()))
    axis = dims_of(array).index(SAMPLE)
    samples, size = array.shape[axis], array.chunks[axis]
    if not 0 <= shard * size < samples:
        raise InputError(
            place,
            got=f"shard {shard}",
            expected=f"0 to {-(-samples // size) - 1} ({samples} samples in shards of {size})",
            fix="ask for one of these",
        )
    return shard * size, min((shard + 1) * size, samples)


def digest(block: NDArray[np.generic]) -> str:
    """The sha256 of an array's bytes, in C order."""
    return hashlib.sha256(np.ascontiguousarray(block).data).hexdigest()


def _check_fit(
    place: str,
    arrays: Mapping[str, zarr.Array[Any]],
    values: Mapping[str, NDArray[Any]],
    samples: int,
) -> None:
    faults = [f"no {name}" for name in arrays if name not in values]
    faults += [f"unknown {name}" for name in values if name not in arrays]
    expected = []
    for name, array in arrays.items():
        dims = dims_of(array)
        shape = tuple(samples if d == SAMPLE else n for d, n in zip(dims, array.shape, strict=True))
        expected.append(f"{name} {array.dtype} {shape}")
        if name not in values:
            continue
        given = values[name]
        if given.shape != shape or not np.can_cast(given.dtype, array.dtype, "same_kind"):
            faults.append(f"{name} {given.dtype} {given.shape}")
    if faults:
        raise InputError(
            place,
            got="; ".join(faults),
            expected="; ".join(expected),
            fix="give every variable of the shard over its dimensions",
        )
