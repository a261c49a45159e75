"""Names of the files and folders of a run folder."""

from pathlib import Path

# Raised when a folder's content changes so that another steppe would misread it.
FORMAT = 2

CONFIG = "config.yaml"
PROVENANCE = "provenance.json"
MOMENTS = "moments.safetensors"
DIRECTIONS = "directions.safetensors"
SUMMARY = "summary.md"
PAGE = "report.html"
TOKENS = "tokens.json"
TABLES = "tables"
FIGURES = "figures"
DONE = "done"  # manifests: of the run, of its report, of each dataset's layout and shards
RUN, REPORT, LAYOUT = "run", "report", "layout"
WORKING = "working"  # locks, and files that are being written

CURVES = "curves"
PLATEAUS = "plateaus"
LATENTS = "latents"

UNFINISHED = ".unfinished"
DAMAGED = ".damaged"


def dataset_path(root: Path, dataset: str) -> Path:
    """The zarr group of a dataset, for instance ``curves.zarr``."""
    return root / f"{dataset}.zarr"


def manifest_path(root: Path, name: str) -> Path:
    """The file of a manifest."""
    return root / DONE / f"{name}.json"
