"""What a dataset looks like before its first shard is written, as a zarr group."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from steppe.core.axes import SAMPLE

# Attribute of a dataset that is filled shard by shard.
SHARD_SIZE = "samples_per_shard"
GROUP = "zarr.json"


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

    def files(self) -> dict[str, bytes]:
        """The files of the zarr group that belong to no shard, by path in the group.

        The group's ``zarr.json`` describes all arrays (consolidated metadata), so that one file
        decides how long they are. Floats are filled with NaN.
        """
        stored: dict[str, Buffer] = {}
        group = zarr.open_group(MemoryStore(stored), mode="w-", zarr_format=3)
        group.attrs.update(_plain(self.fixed.attrs))
        if self.variables:
            group.attrs[SHARD_SIZE] = self.shard_size
        for name, variable in self.variables.items():
            self._add_empty(group, name, variable)
        for label, known in self.fixed.variables.items():
            _add_whole(group, str(label), known)
        with warnings.catch_warnings():
            # zarr 2 had consolidated metadata in its format; zarr 3 keeps them as an extension.
            warnings.simplefilter("ignore", UserWarning)
            zarr.consolidate_metadata(group.store)
        return {name: content.to_bytes() for name, content in stored.items()}

    def _add_empty(self, group: zarr.Group, name: str, variable: Variable) -> None:
        shape = self.shape(variable)
        group.create_array(
            name,
            shape=shape,
            chunks=tuple(
                self.shard_size if dim == SAMPLE else max(size, 1)
                for dim, size in zip(variable.dims, shape, strict=True)
            ),
            dtype=variable.dtype,
            fill_value=_fill(np.dtype(variable.dtype)),
            dimension_names=variable.dims,
            attributes={"unit": variable.unit, "long_name": variable.long_name},
        )


def dims_of(array: zarr.Array[Any]) -> tuple[str, ...]:
    """The names of an array's dimensions."""
    return tuple(map(str, array.metadata.dimension_names or ()))  # type: ignore[union-attr]


def _add_whole(group: zarr.Group, name: str, variable: xr.Variable) -> None:
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
        attributes=_plain(variable.attrs),
    )
    array[...] = values


def _plain(attributes: Mapping[Hashable, Any]) -> dict[str, Any]:
    """Attributes as types that JSON knows."""
    return {
        str(key): value.item() if isinstance(value, np.generic) else value
        for key, value in attributes.items()
    }


def _fill(dtype: np.dtype[Any]) -> Any:
    """What an array holds where nothing has been written: NaN, -1 for tokens, else zero."""
    if dtype.kind == "f":
        return np.nan
    if dtype.kind == "i":
        return -1
    return "" if dtype.kind == "T" else dtype.type(0)
