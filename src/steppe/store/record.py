"""How is a run recorded: a folder that is started once, and continued with the same settings?"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import load_file, save

from steppe.core.errors import InputError
from steppe.store import config as configuration
from steppe.store import layout, shards
from steppe.store.template import Template, check_same, create
from steppe.store.writing import write_atomically


@dataclass(frozen=True)
class RunFolder:
    """A run's folder, open for writing.

    Attributes:
        path: The folder.
        config: The run's configuration, with the sections ``asked`` and ``resolved``.
        resumed: Whether the run had been started before.
    """

    path: Path
    config: Mapping[str, Any] = field(hash=False)
    resumed: bool = False

    @classmethod
    def create_or_resume(cls, path: str | Path, config: Mapping[str, Any]) -> RunFolder:
        """Start a run in ``path``, or go on with the run that is there.

        Args:
            path: The run folder; it is created where it is missing.
            config: A mapping with the sections ``asked`` (the request as given) and ``resolved``
                (every setting that the numbers depend on). A run is continued when ``resolved`` is
                the same; ``asked`` stays as it was first given.

        Raises:
            InputError: ``path`` is a file, holds something else or a run of another
                configuration, or cannot be created.
            RunFailedError: The disk is full, or cannot be written.
        """
        root = Path(path)
        if _occupied(root):
            known = configuration.read_config(root)
            _check_same_config(root, known["resolved"], config["resolved"])
            return cls(root, known, resumed=True)
        written = {name: configuration.plain(config[name]) for name in configuration.SECTIONS}
        _make(root)
        write_atomically(root / layout.CONFIG, configuration.to_yaml(written))
        return cls(root, written)

    @classmethod
    def check_available(cls, path: str | Path, settings: Mapping[str, Any]) -> None:
        """Refuse a folder early, before anything that takes long is done for it.

        Args:
            path: The run folder; it may be missing.
            settings: Some of the ``resolved`` settings; those that are None were left open.

        Raises:
            InputError: ``path`` is a file, holds something else, or a run of other settings.
        """
        root = Path(path)
        _check_creatable(root)
        if _occupied(root):
            known = configuration.read_config(root)["resolved"]
            stated = {key: value for key, value in settings.items() if value is not None}
            _check_same_config(root, {key: known.get(key) for key in stated}, stated)

    @property
    def tables(self) -> Path:
        """Where the tables are."""
        return self.path / layout.TABLES

    @property
    def figures(self) -> Path:
        """Where the figures are."""
        return self.path / layout.FIGURES

    @property
    def summary(self) -> Path:
        """Where the summary is."""
        return self.path / layout.SUMMARY

    def create_dataset(self, name: str, template: Template) -> None:
        """Create a dataset that is filled shard by shard; an existing one must be the same.

        Raises:
            InputError: There is one of another shape.
            RunFailedError: The disk is full, or cannot be written.
        """
        path = layout.dataset_path(self.path, name)
        if path.exists():
            check_same(path, template)
        else:
            create(path, template)

    def write_shard(
        self, dataset: str, shard: int, variables: Mapping[str, ArrayLike], *, seconds: float = 0.0
    ) -> None:
        """Write one shard, whole, then the marker that says it is finished.

        Args:
            dataset: Name of the dataset.
            shard: The shard's number, from 0.
            variables: Values of every variable with a sample axis, this shard's samples only.
            seconds: How long computing it took.

        Raises:
            InputError: No such shard, or variables or shapes that do not fit.
            RunFailedError: The disk is full, or cannot be written.
        """
        shards.write_shard(self.path, dataset, shard, variables, seconds)

    def is_done(self, dataset: str, shard: int) -> bool:
        """Whether a shard is finished: its marker is there and whole."""
        return shards.read_marker(self.path, dataset, shard) is not None

    def write_dataset(self, name: str, dataset: xr.Dataset) -> None:
        """Write a small dataset in one go, all of it or nothing; an existing one is kept.

        Raises:
            RunFailedError: The disk is full, or cannot be written.
        """
        if not self.has_dataset(name):
            template = Template(samples=0, shard_size=1, variables={}, fixed=dataset)
            create(layout.dataset_path(self.path, name), template)

    def has_dataset(self, name: str) -> bool:
        """Whether a dataset has been created."""
        return layout.dataset_path(self.path, name).exists()

    def write_moments(self, arrays: Mapping[str, ArrayLike]) -> None:
        """Keep the mean, covariance and other arrays that random targets are drawn from.

        Raises:
            RunFailedError: The disk is full, or cannot be written.
        """
        contiguous = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
        write_atomically(self.path / layout.MOMENTS, save(contiguous))

    def read_moments(self) -> dict[str, NDArray[Any]] | None:
        """What `write_moments` kept, or None."""
        path = self.path / layout.MOMENTS
        if not path.exists():
            return None
        arrays: dict[str, NDArray[Any]] = load_file(path)
        return arrays

    def add_provenance(self, record: Mapping[str, Any]) -> None:
        """Add a record to ``provenance.json``: a list, one entry each time the run was started.

        Raises:
            RunFailedError: The disk is full, or cannot be written.
        """
        path = self.path / layout.PROVENANCE
        earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        text = json.dumps([*earlier, configuration.plain(record)], indent=2, ensure_ascii=False)
        write_atomically(path, text.encode())


def _occupied(root: Path) -> bool:
    """Whether ``root`` is a run folder; False when it is missing or empty.

    Raises:
        InputError: It is something else.
    """
    if (root / layout.CONFIG).is_file():
        return True
    if not root.exists():
        return False
    is_folder = root.is_dir()
    # A start that was cut short leaves nothing but an unfinished config.
    kept = (
        [p.name for p in root.iterdir() if not p.name.endswith(layout.UNFINISHED)]
        if is_folder
        else []
    )
    if is_folder and not kept:
        return False
    raise InputError(
        f"run folder {root}",
        got=f"a folder with other files ({', '.join(sorted(kept)[:3])})" if is_folder else "a file",
        expected="a new or empty folder, or a run of steppe",
        fix="choose another folder with --out",
    )


def _check_creatable(root: Path) -> None:
    existing = next(place for place in (root, *root.absolute().parents) if place.exists())
    if existing != root and not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise InputError(
            f"run folder {root}",
            got=f"{existing} is {'read-only' if existing.is_dir() else 'a file'}",
            expected="a place where a folder can be created",
            fix="choose another folder with --out",
        )


def _make(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"run folder {root}",
            got=error.strerror or str(error),
            expected="a place where a folder can be created",
            fix="choose another folder with --out",
        ) from error


def _check_same_config(root: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    different = configuration.differences(old, new)
    if different:
        raise InputError(
            f"run folder {root}",
            got=f"a run of another configuration: {'; '.join(different)}",
            expected="the settings the run was started with (its config.yaml)",
            fix="ask for those settings, or choose another folder with --out",
        )
