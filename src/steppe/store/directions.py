"""The fixed directions that a run keeps, so that all its shards are measured along the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import safe_open

from steppe.store import layout
from steppe.store.manifest import is_sound


def read_directions(root: Path) -> tuple[dict[str, NDArray[Any]], dict[str, dict[str, Any]]] | None:
    """Vectors by name and what is known of each; None where there are none, or damaged ones."""
    if not is_sound(root, layout.DIRECTIONS):
        return None
    with safe_open(root / layout.DIRECTIONS, framework="np") as file:
        facts = json.loads((file.metadata() or {}).get("facts", "{}"))
        return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
