"""A small run whose every number follows from its place."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from steppe.store import Opening, RunFolder, Template, Variable

SHARD_SIZE = 4


@dataclass(frozen=True)
class Runs:
    """Starts, fills and looks at the run in one folder."""

    path: Path

    def config(self, samples: int = 10, **resolved: Any) -> dict[str, Any]:
        settings = {"samples": samples, "seed": 0, **resolved}
        return {"asked": {"samples": samples}, "resolved": settings}

    def start(self, samples: int = 10, **how: Any) -> RunFolder:
        """Start or continue the run, as a command would."""
        folder = Opening(self.path, **how).open(self.config(samples), {"command": "steppe"})
        template = Template(
            samples=samples,
            shard_size=SHARD_SIZE,
            variables={
                "l2": Variable(("kind", "sample", "step"), "1", "L2 distance"),
                "base_norm": Variable(("sample",), "1", "norm of the base"),
            },
            fixed=xr.Dataset(coords={"kind": ["real", "random"], "step": np.arange(50)}),
        )
        with folder.alone():
            folder.create_dataset("curves", template)
            folder.write_moments({"mean": np.arange(3.0)})
        return folder

    def fill(self, folder: RunFolder, samples: int = 10) -> list[int]:
        """Write every shard that is not finished; which these were."""
        finished = folder.finished("curves")
        written = []
        for shard in range(-(-samples // SHARD_SIZE)):
            bounds = range(shard * SHARD_SIZE, min((shard + 1) * SHARD_SIZE, samples))
            if finished.get(shard) != bounds:
                block = self.values(bounds.start, bounds.stop)
                folder.write_shard("curves", shard, block, seconds=0.5)
                written.append(shard)
        return written

    def whole(self, samples: int = 10) -> list[int]:
        """Start or continue the run, and finish it; the shards that were written."""
        folder = self.start(samples)
        written = self.fill(folder, samples)
        folder.close({"ending": "finished"})
        return written

    def values(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """What some samples hold."""
        rows = [np.random.default_rng(sample).normal(size=(2, 50)) for sample in range(start, stop)]
        l2 = np.stack(rows, axis=1).astype(np.float32)
        return {"l2": l2, "base_norm": np.arange(start, stop)}

    def hashes(self) -> dict[str, str]:
        """Hash of every stored file of the dataset."""
        return {
            str(path.relative_to(self.path)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((self.path / "curves.zarr").rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "run")
