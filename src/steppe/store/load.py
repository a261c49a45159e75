"""Open a run for reading: what is finished of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from steppe.core.axes import SAMPLE
from steppe.core.errors import InputError, NotMeasuredError
from steppe.core.names import find
from steppe.core.notebook import facts_html
from steppe.curves import check_curves
from steppe.store import layout
from steppe.store.config import identity, read_config
from steppe.store.dataset import Dataset
from steppe.store.template import SHARD_SIZE

# The table of a run that its claims are in.
CLAIMS = "claims"


@dataclass(frozen=True)
class Run:
    """A run, open for reading.

    Attributes:
        path: Its folder.
        config: Its configuration, with the sections ``asked`` and ``resolved``.
    """

    path: Path
    config: Mapping[str, Any] = field(hash=False)

    @cached_property
    def curves(self) -> xr.Dataset:
        """The curves of the sensitivity experiment: kind, mode, sample, step."""
        return check_curves(self.dataset(layout.CURVES), f"curves of {self.path}")

    @cached_property
    def plateaus(self) -> xr.Dataset:
        """The curves of the plateau experiment: context, kind, sample, step."""
        return check_curves(self.dataset(layout.PLATEAUS), f"plateaus of {self.path}")

    @cached_property
    def latents(self) -> xr.Dataset:
        """Properties of the SAE latents of real activations."""
        return self.dataset(layout.LATENTS)

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table of the run, by name."""
        return {p.stem: pd.read_csv(p) for p in sorted((self.path / layout.TABLES).glob("*.csv"))}

    @property
    def claims(self) -> pd.DataFrame:
        """What the run says on each claim of its study.

        Raises:
            InputError: The study has no claims, or its report is not written yet.
        """
        return self.table(CLAIMS)

    def table(self, name: str) -> pd.DataFrame:
        """One table of the run.

        Raises:
            InputError: There is no such table.
        """
        return find(name, self.tables, f"table of {self.path}", "write its report first")

    def _repr_html_(self) -> str:
        """The run in a notebook: what was run, and what it says on its claims."""
        resolved = self.config["resolved"]
        facts = {name: resolved.get(name) for name in ("study", "model", "site", "samples", "seed")}
        claims = self.tables.get(CLAIMS)
        columns = ["id", "statement", "number", "low", "high", "verdict"]
        table = "" if claims is None else claims[columns].to_html(index=False, escape=True)
        return f"{facts_html(str(self.path), facts)}{table}"

    @property
    def figures(self) -> list[Path]:
        """The files of the run's figures."""
        files = (self.path / layout.FIGURES).glob("*")
        return sorted(path for path in files if path.suffix in {".pdf", ".png"})

    @property
    def provenance(self) -> list[dict[str, Any]]:
        """Versions, machine and command of each time the run was started."""
        path = self.path / layout.PROVENANCE
        if not path.exists():
            return []
        try:
            records: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(
                f"provenance {path}",
                got=" ".join(str(error).split()),
                expected="the file steppe wrote",
                fix="give the run's command again: it keeps what is left and starts a new one",
            ) from error
        return records

    @property
    def identity(self) -> str:
        """What tells this run from others."""
        return identity(self.config["resolved"])

    def datasets(self) -> list[str]:
        """Names of the datasets of the run."""
        return sorted(path.stem for path in self.path.glob("*.zarr"))

    def stored(self, name: str) -> Dataset:
        """A dataset as files of the run folder."""
        return Dataset(self.path, name, self.identity)

    def finished_samples(self, name: str) -> NDArray[np.int64]:
        """Indices of the samples of a dataset whose shard is finished."""
        finished = self.stored(name).finished().values()
        ranges = [np.arange(facts["start"], facts["stop"]) for facts in finished]
        return np.concatenate(ranges).astype(np.int64) if ranges else np.empty(0, np.int64)

    def dataset(self, name: str) -> xr.Dataset:
        """Open a dataset; values are read when they are used.

        A dataset that is filled by shards has its finished samples only, with their numbers as the
        coordinate ``sample``.

        Raises:
            NotMeasuredError: The run has no such dataset.
            InputError: What belongs to no shard of it is damaged.
        """
        if name not in self.datasets():
            raise NotMeasuredError(
                f"run {self.path}",
                got=f"no dataset {name!r}",
                expected=f"one of {', '.join(self.datasets()) or 'none: nothing is finished yet'}",
                fix="run the experiment it belongs to (give the run's command again)",
            )
        stored = self.stored(name)
        stored.check_readable()
        dataset: xr.Dataset = xr.open_zarr(stored.path, chunks=None, consolidated=True)
        texts = [label for label in dataset.coords if dataset[label].dtype.kind in "TU"]
        dataset = dataset.assign_coords({str(t): dataset[t].astype(object) for t in texts})
        if SHARD_SIZE not in dataset.attrs:
            return dataset
        done = self.finished_samples(name)
        if len(done) < dataset.sizes[SAMPLE]:
            dataset = dataset.isel({SAMPLE: done})
        return dataset.assign_coords({SAMPLE: done})


def open_run(path: str | Path) -> Run:
    """Open a run folder for reading.

    Raises:
        InputError: There is no run at ``path``, its configuration is damaged, or of another format.
    """
    root = Path(path)
    if not (root / layout.CONFIG).is_file():
        missing = f"a folder without {layout.CONFIG}" if root.is_dir() else "nothing there"
        raise InputError(
            f"run {root}",
            got="a file" if root.is_file() else missing,
            expected="the folder of a run",
            fix="give the folder that was named with --out (default: runs/<study>-<model>)",
        )
    return Run(root, read_config(root))
