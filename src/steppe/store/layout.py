"""Where is what in a run folder?"""

from __future__ import annotations

from pathlib import Path

# Raised when a folder's content changes so that an older steppe would misread it.
FORMAT = 1

CONFIG = "config.yaml"
PROVENANCE = "provenance.json"
MOMENTS = "moments.safetensors"
SUMMARY = "summary.md"
TABLES = "tables"
FIGURES = "figures"
DONE = "done"
# Who is at work in the folder: one small file per process, gone when it leaves.
WORKING = "working"
# Facts of the files that belong to the run as a whole.
FILES = "files.json"

CURVES = "curves"
PLATEAUS = "plateaus"
LATENTS = "latents"

# Files that are being written have this ending until they are complete; zarr's own have the other.
UNFINISHED = ".unfinished"
PARTIAL = ".partial"
DAMAGED = ".damaged"


def dataset_path(root: Path, dataset: str) -> Path:
    """The zarr group of a dataset, for instance ``curves.zarr``."""
    return root / f"{dataset}.zarr"


def markers_path(root: Path, dataset: str) -> Path:
    """The folder of the markers of a dataset's finished shards."""
    return root / DONE / dataset


def marker_path(root: Path, dataset: str, shard: int) -> Path:
    """The file that says that a shard is finished; it is written after the shard's data."""
    return markers_path(root, dataset) / f"{shard:06d}.json"


def frame_path(root: Path, dataset: str) -> Path:
    """The file with the facts of a dataset's files that belong to no shard."""
    return root / DONE / f"{dataset}.json"
