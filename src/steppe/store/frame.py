"""What of a dataset belongs to no shard, and is it as it was written?

A dataset's frame is its zarr metadata, its labels and the variables without a sample axis. It is
laid out once, made longer when a run gets more samples, and restored where it was damaged.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import zarr

from steppe.core.axes import SAMPLE
from steppe.core.errors import InputError
from steppe.store.facts import Thorough, damage, facts_of, read_sealed, write_sealed
from steppe.store.layout import dataset_path, frame_path
from steppe.store.template import (
    Template,
    check_same,
    create,
    describe,
    dims_of,
    lengthen,
    restore,
)


def lay_out(root: Path, name: str, template: Template) -> None:
    """Create the frame of a dataset; make an existing one as long as the template, and sound.

    Raises:
        InputError: There is a dataset of another shape.
        RunFailedError: The disk is full, or cannot be written.
    """
    path, kind = dataset_path(root, name), _kind(template)
    known = read_sealed(frame_path(root, name))
    if not path.exists():
        files = create(path, template)
    elif known is None or known["kind"] != kind:
        # Nothing vouches for what is there, so it must look right by itself.
        if _is_readable(path):
            check_same(path, template)
        files = restore(path, template)
    elif damage(path, known["files"], "checksum"):
        files = restore(path, template)
    elif known["samples"] < template.samples:
        lengthen(path, template.samples)
        files = [path / file for file in known["files"]]
    else:
        return
    content = {"kind": kind, "samples": template.samples, "files": facts_of(files, path)}
    write_sealed(frame_path(root, name), content)


def write_whole(root: Path, name: str, template: Template) -> None:
    """Write a dataset that has no shards, in place of a damaged one.

    Raises:
        RunFailedError: The disk is full, or cannot be written.
    """
    path = dataset_path(root, name)
    frame_path(root, name).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)
    lay_out(root, name, template)


def faults_of_frame(root: Path, name: str, thorough: Thorough) -> list[str]:
    """What is wrong with a dataset's frame, in words; empty when nothing is."""
    known = read_sealed(frame_path(root, name))
    if known is None:
        return [f"{frame_path(root, name).relative_to(root)}: missing, or not as it was written"]
    path = dataset_path(root, name)
    return [f"{path.name}/{fault}" for fault in damage(path, known["files"], thorough)]


def check_readable(root: Path, name: str) -> None:
    """Check that what a reader needs of a dataset beside its shards is as it was written.

    Arrays that are longer than they were are right too: the run is being extended, or that was cut
    short.

    Raises:
        InputError: It is damaged.
    """
    path = dataset_path(root, name)
    known = read_sealed(frame_path(root, name)) or {"files": {}, "kind": {"variables": {}}}
    faults = []
    for file, facts in known["files"].items():
        array = file.removesuffix("/zarr.json")
        may_grow = file != array and array in known["kind"]["variables"]
        if not (may_grow and _is_longer(path / array, known["samples"])):
            faults += damage(path, {file: facts}, "checksum")
    if not faults and not _is_readable(path):
        faults = ["its description cannot be read"]
    if faults:
        raise InputError(
            f"dataset {path}",
            got="; ".join(faults),
            expected="the files that steppe wrote",
            fix="give the run's command again, which writes them again; `steppe check-run` names "
            "everything that is damaged",
        )


def files_of_frame(root: Path, name: str) -> set[str]:
    """The files of a frame, by path in the dataset's folder."""
    return set((read_sealed(frame_path(root, name)) or {"files": {}})["files"])


def chunks_of_frame(root: Path, name: str) -> set[str]:
    """Every file that the shards of a dataset may have, finished or not; empty without a frame."""
    known = read_sealed(frame_path(root, name))
    if known is None or not known["kind"]["variables"]:
        return set()
    shards = range(-(-known["samples"] // known["kind"]["shard_size"]))
    return {
        "/".join([array, "c", *(str(shard) if dim == SAMPLE else "0" for dim, _ in dims)])
        for array, (_, dims) in known["kind"]["variables"].items()
        for shard in shards
    }


def _kind(template: Template) -> dict[str, Any]:
    """What may not change from one start to the next: everything but the number of samples."""
    return {
        "shard_size": template.shard_size,
        "variables": {
            name: [
                variable.dtype,
                [
                    [dim, None if dim == SAMPLE else size]
                    for dim, size in zip(variable.dims, template.shape(variable), strict=True)
                ],
            ]
            for name, variable in template.variables.items()
        },
        "fixed": {
            str(name): [str(dim) for dim in known.dims]
            for name, known in template.fixed.variables.items()
        },
    }


def _is_longer(path: Path, samples: int) -> bool:
    """Whether an array has more samples than it was known to have."""
    try:
        array = zarr.open_array(path, mode="r")
        return array.shape[dims_of(array).index(SAMPLE)] > samples
    except Exception:  # as in `_is_readable`
        return False


def _is_readable(path: Path) -> bool:
    """Whether every array of a group can be described."""
    try:
        describe(zarr.open_group(path, mode="r"))
    except Exception:  # zarr answers damaged metadata with errors of many kinds
        return False
    return True
