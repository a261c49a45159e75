"""How is a shard of a dataset written, and how is it known to be finished?

Every array write goes through `write_shard`. A shard is whole chunks of every variable, so that two
writers never touch one chunk, and a reader never sees half of one. The marker comes last: data
without a marker do not count and are written again.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from numpy.typing import ArrayLike, NDArray

from steppe.core.axes import SAMPLE
from steppe.core.errors import InputError
from steppe.store.facts import Facts, damage, facts_of, read_sealed, write_sealed
from steppe.store.layout import PARTIAL, dataset_path, marker_path, markers_path
from steppe.store.template import dims_of
from steppe.store.writing import flush_folders, writing


@dataclass(frozen=True)
class Marker:
    """What is known of a finished shard.

    Attributes:
        shard: Its number.
        start: Its first sample.
        stop: One past its last sample.
        seconds: How long it took to compute.
        sha256: Hash of each variable's bytes.
        dataset: The dataset it belongs to.
        run: The run it belongs to (`RunFolder.identity`).
        files: Size and sha256 of each file it is stored in, by path in the dataset's folder.
        writer: Host and process id of the process that wrote it.
        finished: When, in seconds since 1970.
    """

    shard: int
    start: int
    stop: int
    seconds: float
    sha256: dict[str, str]
    dataset: str = ""
    run: str = ""
    files: Facts = field(default_factory=dict)
    writer: str = ""
    finished: float = 0.0


@dataclass(frozen=True)
class Dataset:
    """A dataset that is filled by shards.

    Attributes:
        root: The run folder.
        name: The dataset.
        run: The run's identity; markers of another run do not count.
    """

    root: Path
    name: str
    run: str = ""

    @property
    def path(self) -> Path:
        """Its zarr group."""
        return dataset_path(self.root, self.name)


def write_shard(
    dataset: Dataset, shard: int, variables: Mapping[str, ArrayLike], seconds: float
) -> Marker:
    """Write one shard of every variable that has a sample axis, then its marker.

    Args:
        dataset: Which dataset.
        shard: Its number, from 0.
        variables: For each variable its values over its dimensions, with this shard's samples.
        seconds: How long computing it took.

    Raises:
        InputError: No such shard, or variables or shapes that do not fit.
        RunFailedError: The disk is full, or cannot be written.
    """
    path, place = dataset.path, marker_path(dataset.root, dataset.name, shard)
    arrays = sharded_arrays(path)
    start, stop = bounds(arrays, shard, f"dataset {path}")
    values = {name: np.asarray(given) for name, given in variables.items()}
    _check_fit(f"shard {shard} of {path}", arrays, values, stop - start)
    hashes = {}
    with writing(path):
        place.unlink(missing_ok=True)
        for name, array in arrays.items():
            block = np.ascontiguousarray(values[name], dtype=array.dtype)
            region = tuple(
                slice(start, stop) if d == SAMPLE else slice(None) for d in dims_of(array)
            )
            # A shard of NaN is data too: without this its chunks would be left out.
            array.with_config({"write_empty_chunks": True})[region] = block
            hashes[name] = digest(block)
        chunks = [chunk_path(path, array, shard) for array in arrays.values()]
        _remove_leftovers(chunks)
        files = facts_of(chunks, path, flush=True)
        flush_folders(chunks)
    marker = Marker(
        shard=shard,
        start=start,
        stop=stop,
        seconds=round(seconds, 3),
        sha256=hashes,
        dataset=dataset.name,
        run=dataset.run,
        files=files,
        writer=f"{socket.gethostname()}:{os.getpid()}",
        finished=round(time.time(), 3),
    )
    write_sealed(place, asdict(marker))
    return marker


def sharded_arrays(path: Path, *, mode: Literal["r", "r+"] = "r+") -> dict[str, zarr.Array[Any]]:
    """The arrays of a dataset that have a sample axis."""
    group = zarr.open_group(path, mode=mode)
    return {name: array for name, array in group.arrays() if SAMPLE in dims_of(array)}


def chunk_path(path: Path, array: zarr.Array[Any], shard: int) -> Path:
    """The file of one shard of an array: the array is cut along its sample axis only."""
    key = array.metadata.encode_chunk_key(
        tuple(shard if dim == SAMPLE else 0 for dim in dims_of(array))
    )
    return path / array.basename / key


def read_marker(dataset: Dataset, shard: int) -> Marker | None:
    """The marker of a finished shard; None when there is none, or it is damaged or foreign."""
    try:
        content = read_sealed(marker_path(dataset.root, dataset.name, shard)) or {}
        content.pop("seal", None)
        marker = Marker(**content)
    except TypeError:
        return None
    own = (marker.shard, marker.dataset, marker.run) == (shard, dataset.name, dataset.run)
    return marker if own else None


def finished(dataset: Dataset) -> list[Marker]:
    """The markers of all finished shards, by number."""
    found = (read_marker(dataset, shard) for shard in marked(dataset))
    return [marker for marker in found if marker is not None]


def sound(dataset: Dataset) -> list[Marker]:
    """The markers of the finished shards whose files all have the size they were written with."""
    path = dataset.path
    return [m for m in finished(dataset) if not damage(path, m.files, "size")]


def marked(dataset: Dataset) -> list[int]:
    """The shards that have a marker, whole or not, by number."""
    folder = markers_path(dataset.root, dataset.name)
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    stems = (name.removesuffix(".json") for name in names if name.endswith(".json"))
    return sorted(int(stem) for stem in stems if stem.isdigit())


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


def _remove_leftovers(chunks: list[Path]) -> None:
    """Remove what a process that was killed while it wrote these chunks has left beside them."""
    for chunk in chunks:
        with os.scandir(chunk.parent) as entries:
            for entry in entries:
                if entry.name.endswith(PARTIAL) and entry.name.startswith(f"{chunk.name}."):
                    Path(entry.path).unlink(missing_ok=True)


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
