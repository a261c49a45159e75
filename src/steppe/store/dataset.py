"""A dataset of a run: laid out at the start, filled shard by shard, read where it is finished.

Every write of an array goes through `Dataset.write_shard`. A shard is whole chunks of every
variable, each renamed into place, so that two writers never touch one chunk and a reader never sees
half of one. The shard's manifest comes last: chunks without it do not count and are written again.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import ArrayLike, NDArray
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.storage import MemoryStore

from steppe.core.axes import SAMPLE
from steppe.core.errors import InputError
from steppe.store import layout
from steppe.store.manifest import Files, Manifest, checksums, damage, read_manifest
from steppe.store.template import GROUP, SHARD_SIZE, Template, dims_of
from steppe.store.writing import write_files, writing

_STRUCTURE = ("shape", "data_type", "chunk_grid", "dimension_names")


@dataclass(frozen=True)
class Dataset:
    """A dataset in a run folder.

    Attributes:
        root: The run folder.
        name: The dataset.
        run: The run's identity; manifests of another run do not count.
    """

    root: Path
    name: str
    run: str

    @property
    def path(self) -> Path:
        """Its zarr group."""
        return layout.dataset_path(self.root, self.name)

    def lay_out(self, template: Template) -> None:
        """Write the files that belong to no shard; keep those that are as they were written.

        Raises:
            InputError: There is a dataset of another structure.
            RunFailedError: The disk is full, or cannot be written.
        """
        wanted = {self._inside(name): content for name, content in template.files().items()}
        known, group = self._manifest(), self._inside(GROUP)
        listed = {} if known is None else known.files
        sound = {name: f for name, f in listed.items() if not damage(self.root, {name: f})}
        before = 0 if known is None else known.facts["samples"]
        if group in sound:
            self._check_same(replace(template, samples=before))
        if group not in sound or before < template.samples:
            # Metadata say how long arrays are; labels stay as they are.
            sound = {name: facts for name, facts in sound.items() if not name.endswith(GROUP)}
        changed = {name: content for name, content in wanted.items() if name not in sound}
        if known is not None and not changed:
            return
        last = {name: changed.pop(name) for name in [group] if name in changed}
        self._write(changed)
        # Readers know the one file that decides as it was and as it will be.
        facts = {"samples": template.samples, "before": listed.get(group)}
        files = {**sound, **checksums({**changed, **last})}
        Manifest(self._layout, self.run, files, facts).write(self.root)
        self._write(last)

    def remove(self) -> None:
        """Remove all of it (RunFailedError where that fails)."""
        with writing(self.path):
            layout.manifest_path(self.root, self._layout).unlink(missing_ok=True)
            if self.path.exists():
                shutil.rmtree(self.path)

    def write_shard(self, shard: int, variables: Mapping[str, ArrayLike], seconds: float) -> None:
        """Write one shard of every variable that has a sample axis, then its manifest.

        Args:
            shard: Its number, from 0.
            variables: For each variable its values over its dimensions, with this shard's samples.
            seconds: How long computing it took.

        Raises:
            InputError: No such shard, or variables or shapes that do not fit.
            RunFailedError: The disk is full, or cannot be written.
        """
        stored, arrays = self._opened()
        samples = _samples_of(arrays, shard, self.path)
        values = {name: np.asarray(given) for name, given in variables.items()}
        _check_fit(f"shard {shard} of {self.path}", arrays, values, len(samples))
        for name, array in arrays.items():
            region = tuple(
                slice(samples.start, samples.stop) if dim == SAMPLE else slice(None)
                for dim in dims_of(array)
            )
            # A shard of NaN is data too: without this its chunks would be left out.
            array.with_config({"write_empty_chunks": True})[region] = values[name]
        contents = {
            self._inside(n): buffer.to_bytes() for n, buffer in stored.items() if n != GROUP
        }
        name = self._shard(shard)
        with writing(self.path):
            layout.manifest_path(self.root, name).unlink(missing_ok=True)
        self._write(contents)
        times = {"seconds": round(seconds, 3), "finished": round(time.time(), 3)}
        facts = {"start": samples.start, "stop": samples.stop, **times, "pid": os.getpid()}
        Manifest(name, self.run, checksums(contents), facts).write(self.root)

    def finished(self) -> dict[int, Mapping[str, Any]]:
        """Facts of the finished shards whose files all have the size they were written with.

        Returns:
            By number: ``start`` and ``stop`` of its samples, the ``seconds`` that computing it
            took, and when it was ``finished``, in seconds since 1970.
        """
        names = layout.manifest_path(self.root, self.name).with_suffix("").glob("[0-9]*.json")
        found = {}
        for number in sorted(int(path.stem) for path in names if path.stem.isdigit()):
            known = read_manifest(self.root, self._shard(number), self.run)
            if known is not None and not damage(self.root, known.files, sizes_only=True):
                found[number] = known.facts
        return found

    def size(self) -> tuple[int, int]:
        """Its samples, and how many there are in a shard; 0 shards' worth where it has none."""
        _, arrays = self._opened()
        return _size_of(arrays) if arrays else (0, 1)

    def faults(self, *, reading: bool = False) -> list[str]:
        """What is wrong with the files that belong to no shard, in words; empty when nothing is.

        Args:
            reading: Look only at what a reader needs; the dataset may be growing.
        """
        known = self._manifest()
        if known is None:
            return [f"{layout.DONE}/{self._layout}.json: missing, or not as it was written"]
        group, files = self._inside(GROUP), dict(known.files)
        if reading:
            files = {n: f for n, f in files.items() if n == group or not n.endswith(f"/{GROUP}")}
            old: Files = {group: known.facts["before"]} if known.facts["before"] else {}
            if old and not damage(self.root, old):
                del files[group]
        return damage(self.root, files)

    def check_readable(self) -> None:
        """Check that what a reader needs beside the shards is as it was written.

        Raises:
            InputError: It is damaged.
        """
        faults = self.faults(reading=True)
        if faults:
            raise InputError(
                f"dataset {self.path}",
                got="; ".join(faults),
                expected="the files that steppe wrote",
                fix="give the run's command again, which writes them again; `steppe check-run` "
                "names everything that is damaged",
            )

    @property
    def _layout(self) -> str:
        return f"{self.name}/{layout.LAYOUT}"

    def _shard(self, shard: int) -> str:
        return f"{self.name}/{shard:06d}"

    def _manifest(self) -> Manifest | None:
        return read_manifest(self.root, self._layout, self.run)

    def _inside(self, name: str) -> str:
        return f"{self.path.name}/{name}"

    def _write(self, contents: Mapping[str, bytes]) -> None:
        places = {self.root / name: content for name, content in contents.items()}
        write_files(places, self.root / layout.WORKING)

    def _opened(self) -> tuple[dict[str, Buffer], dict[str, zarr.Array[Any]]]:
        """What its description becomes in memory, and the arrays that are filled by shards."""
        content = default_buffer_prototype().buffer.from_bytes((self.path / GROUP).read_bytes())
        stored: dict[str, Buffer] = {GROUP: content}
        group = zarr.open_group(MemoryStore(stored), mode="r+", use_consolidated=True)
        is_sharded = SHARD_SIZE in group.attrs
        return stored, {n: a for n, a in group.arrays() if is_sharded and SAMPLE in dims_of(a)}

    def _check_same(self, template: Template) -> None:
        old = _structure((self.path / GROUP).read_bytes())
        new = _structure(template.files()[GROUP])
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        if names:
            raise InputError(
                f"dataset {self.path}",
                got="; ".join(f"{name} {old.get(name, 'missing')}" for name in names),
                expected="; ".join(f"{name} {new.get(name, 'missing')}" for name in names),
                fix="choose another run folder with --out",
            )


def _structure(description: bytes) -> dict[str, list[Any]]:
    arrays = json.loads(description)["consolidated_metadata"]["metadata"]
    return {name: [array.get(key) for key in _STRUCTURE] for name, array in arrays.items()}


def _size_of(arrays: Mapping[str, zarr.Array[Any]]) -> tuple[int, int]:
    array = next(iter(arrays.values()))
    axis = dims_of(array).index(SAMPLE)
    return array.shape[axis], array.chunks[axis]


def _samples_of(arrays: Mapping[str, zarr.Array[Any]], shard: int, path: Path) -> range:
    samples, size = _size_of(arrays)
    if not 0 <= shard * size < samples:
        raise InputError(
            f"dataset {path}",
            got=f"shard {shard}",
            expected=f"0 to {-(-samples // size) - 1} ({samples} samples in shards of {size})",
            fix="ask for one of these",
        )
    return range(shard * size, min((shard + 1) * size, samples))


def _check_fit(
    place: str,
    arrays: Mapping[str, zarr.Array[Any]],
    values: Mapping[str, NDArray[Any]],
    samples: int,
) -> None:
    wanted = {
        name: tuple(samples if d == SAMPLE else n for d, n in zip(dims_of(a), a.shape, strict=True))
        for name, a in arrays.items()
    }
    faults = [f"no {name}" for name in wanted if name not in values]
    faults += [f"unknown {name}" for name in values if name not in wanted]
    for name in wanted.keys() & values.keys():
        given = values[name]
        fits = np.can_cast(given.dtype, arrays[name].dtype, "same_kind")
        if given.shape != wanted[name] or not fits:
            faults.append(f"{name} {given.dtype} {given.shape}")
    if faults:
        raise InputError(
            place,
            got="; ".join(faults),
            expected="; ".join(f"{name} {arrays[name].dtype} {wanted[name]}" for name in wanted),
            fix="give every variable of the shard over its dimensions",
        )
