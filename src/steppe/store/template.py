"""What does a dataset look like before its first shard is written?"""

from __future__ import annotations

import shutil
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from steppe.core.axes import SAMPLE
from steppe.core.errors import InputError
from steppe.store.writing import unfinished_path, write_atomically, writing

# Attribute of a dataset that is filled shard by shard.
SHARD_SIZE = "samples_per_shard"


@dataclass(frozen=True)
class Variable:
    """A variable that is filled shard by shard.

    Attributes:
        dims: Its dimensions, ``sample`` among them.
        unit: Its unit, ``"1"`` for none.
        long_name: What it is, in words.
        dtype: Number format.
    """

    dims: tuple[str, ...]
    unit: str
    long_name: str
    dtype: str = "float32"


@dataclass(frozen=True, eq=False)
class Template:
    """Shape, labels and meaning of a dataset.

    Attributes:
        samples: Length of the sample axis.
        shard_size: Samples per shard, and per chunk; the last shard may be shorter.
        variables: What is filled shard by shard.
        fixed: Labels, variables without a sample axis, and attributes, known from the start.
        sizes: Lengths of dimensions that ``fixed`` does not have, for instance ``step``.
    """

    samples: int
    shard_size: int
    variables: Mapping[str, Variable]
    fixed: xr.Dataset = field(default_factory=xr.Dataset)
    sizes: Mapping[str, int] = field(default_factory=dict)

    def shape(self, variable: Variable) -> tuple[int, ...]:
        """Lengths of a variable's dimensions."""
        fixed = {str(dim): size for dim, size in self.fixed.sizes.items()}
        known = {**self.sizes, **fixed, SAMPLE: self.samples}
        return tuple(known[dim] for dim in variable.dims)


def create(path: Path, template: Template) -> list[Path]:
    """Create the zarr group of a dataset, all of it or nothing; floats are filled with NaN.

    Returns:
        Its files: those that belong to no shard.

    Raises:
        RunFailedError: It could not be written.
    """
    unfinished = unfinished_path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        files = _build(unfinished, template)
        unfinished.rename(path)
    return [path / file for file in files]


def lengthen(path: Path, samples: int) -> None:
    """Make the sample axis of a dataset longer; what is stored stays where it is.

    Raises:
        RunFailedError: It could not be written.
    """
    with writing(path):
        for _, array in zarr.open_group(path, mode="r+").arrays():
            dims = dims_of(array)
            longer = _lengthened(dims, array.shape, samples)
            if longer != array.shape:
                array.resize(longer)


def restore(path: Path, template: Template) -> list[Path]:
    """Write the files of a dataset that belong to no shard again, where they are not as they were.

    Returns:
        These files.

    Raises:
        RunFailedError: It could not be written.
    """
    unfinished = unfinished_path(path)
    with writing(path):
        files = _build(unfinished, template)
        for file in files:
            wanted = (unfinished / file).read_bytes()
            if not (path / file).is_file() or (path / file).read_bytes() != wanted:
                write_atomically(path / file, wanted)
        shutil.rmtree(unfinished)
    return [path / file for file in files]


def _build(unfinished: Path, template: Template) -> list[Path]:
    """Lay out a dataset's zarr group in ``unfinished``; its files, told from there."""
    group = zarr.open_group(unfinished, mode="w-", zarr_format=3)
    group.attrs.update(plain(template.fixed.attrs))
    if template.variables:
        group.attrs[SHARD_SIZE] = template.shard_size
    for name, variable in template.variables.items():
        shape = template.shape(variable)
        group.create_array(
            name,
            shape=shape,
            chunks=tuple(
                template.shard_size if dim == SAMPLE else max(size, 1)
                for dim, size in zip(variable.dims, shape, strict=True)
            ),
            dtype=variable.dtype,
            fill_value=_fill(np.dtype(variable.dtype)),
            dimension_names=variable.dims,
            attributes={"unit": variable.unit, "long_name": variable.long_name},
        )
    for label, known in template.fixed.variables.items():
        _write_whole(group, str(label), known)
    return sorted(p.relative_to(unfinished) for p in unfinished.rglob("*") if p.is_file())


def check_same(path: Path, template: Template) -> None:
    """Check that the dataset at ``path`` has the template's variables and shapes, or fewer samples.

    Raises:
        InputError: It has others.
    """
    group = zarr.open_group(path, mode="r")
    found = {
        name: (dims, _lengthened(dims, shape, template.samples), dtype)
        for name, (dims, shape, dtype) in describe(group).items()
    }
    size = group.attrs.get(SHARD_SIZE, template.shard_size)
    wanted = {
        name: (variable.dims, template.shape(variable), variable.dtype)
        for name, variable in template.variables.items()
    }
    fixed = {
        str(name): (variable.dims, variable.shape)
        for name, variable in template.fixed.variables.items()
    }
    same = {name: found.get(name) for name in wanted} == wanted and all(
        name in found and found[name][:2] == facts for name, facts in fixed.items()
    )
    if not same or size != template.shard_size:
        raise InputError(
            f"dataset {path}",
            got="; ".join(f"{name} {shape}" for name, (_, shape, _) in found.items())
            + f"; shards of {size}",
            expected="; ".join(f"{name} {shape}" for name, (_, shape, _) in wanted.items())
            + f"; shards of {template.shard_size}",
            fix="choose another run folder with --out",
        )


def _lengthened(dims: tuple[str, ...], shape: tuple[int, ...], samples: int) -> tuple[int, ...]:
    return tuple(max(n, samples) if d == SAMPLE else n for d, n in zip(dims, shape, strict=True))


def describe(group: zarr.Group) -> dict[str, tuple[tuple[str, ...], tuple[int, ...], str]]:
    """Dimensions, shape and number format of every array of a group."""
    return {name: (dims_of(array), array.shape, str(array.dtype)) for name, array in group.arrays()}


def dims_of(array: zarr.Array[Any]) -> tuple[str, ...]:
    """The names of an array's dimensions."""
    return tuple(map(str, array.metadata.dimension_names or ()))  # type: ignore[union-attr]


def plain(attributes: Mapping[Hashable, Any]) -> dict[str, Any]:
    """Attributes as types that JSON knows."""
    return {
        str(key): value.item() if isinstance(value, np.generic) else value
        for key, value in attributes.items()
    }


def _write_whole(group: zarr.Group, name: str, variable: xr.Variable) -> None:
    values = np.asarray(variable.values)
    if values.dtype.kind in "OUT":
        # A fixed-width string type has no settled place in zarr 3's format.
        values = values.astype(np.dtypes.StringDType())
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=tuple(max(size, 1) for size in values.shape),
        dtype=values.dtype,
        fill_value=_fill(values.dtype),
        dimension_names=tuple(map(str, variable.dims)),
        attributes=plain(variable.attrs),
    )
    array[...] = values


def _fill(dtype: np.dtype[Any]) -> Any:
    """What an array holds where nothing has been written: NaN, -1 for tokens, else zero."""
    if dtype.kind == "f":
        return np.nan
    if dtype.kind == "i":
        return -1
    return "" if dtype.kind == "T" else dtype.type(0)
