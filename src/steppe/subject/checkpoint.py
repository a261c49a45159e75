"""What lies in a model's folder, seen before transformers reads it."""

from __future__ import annotations

import json
from pathlib import Path

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers takes the weights from: one, or the shards of an index.

    Args:
        folder: A model's folder, which has been loaded.
    """
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    names = json.loads((folder / INDEX).read_text())["weight_map"].values()
    return [folder / name for name in sorted(set(names))]
