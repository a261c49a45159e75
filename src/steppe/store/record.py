"""How is a run recorded: a folder that is started once, and continued with the same settings?"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from safetensors.numpy import save

from steppe.core.errors import InputError, RunFailedError
from steppe.store import config as configuration
from steppe.store import layout, locks, shards, vouching
from steppe.store.frame import faults_of_frame, lay_out, write_whole
from steppe.store.template import Template
from steppe.store.writing import write_atomically

# A process that was told to end does not wait for another one's report.
_LEAVING_SECONDS = 5.0


@dataclass(frozen=True)
class RunFolder:
    """A run's folder, open for writing.

    Attributes:
        path: The folder.
        config: The run's configuration, with the sections ``asked`` and ``resolved``.
        resumed: Whether the run had been started before.
        lock: This process's lock of its part of the work, when it has one.
    """

    path: Path
    config: Mapping[str, Any] = field(hash=False)
    resumed: bool = False
    lock: locks.Lock | None = field(default=None, compare=False, repr=False)

    @classmethod
    def create_or_resume(cls, path: str | Path, config: Mapping[str, Any]) -> RunFolder:
        """Start a run in ``path``, or go on with the run that is there.

        Args:
            path: The run folder; it is created where it is missing.
            config: A mapping with the sections ``asked`` (the request as given) and ``resolved``
                (every setting that the numbers depend on). A run is continued when ``resolved`` is
                the same, or asks for more ``samples``; ``asked`` stays as it was first given, but
                for these.

        Raises:
            InputError: ``path`` is a file, holds something else or a run of another
                configuration, or cannot be created.
            RunFailedError: The disk is full, or cannot be written.
        """
        root = Path(path)
        if not is_run(root):
            written = {name: configuration.plain(config[name]) for name in configuration.SECTIONS}
            make_folder(root)
            vouching.write_config(root, written)
            return cls(root, written)
        if vouching.is_config_damaged(root):
            vouching.restore_config(root, config)
        known = configuration.read_config(root)
        check_same_config(root, known["resolved"], config["resolved"])
        samples = config["resolved"].get(configuration.SAMPLES)
        if known["resolved"].get(configuration.SAMPLES) != samples:
            known = configuration.extended(known, samples)
            vouching.write_config(root, known)
        elif not vouching.is_sound(root, layout.CONFIG):
            # Nothing vouches for it: its first start was cut short, or what vouched is damaged.
            vouching.write_config(root, known)
        return cls(root, known, resumed=True)

    @classmethod
    def join(cls, path: str | Path, config: Mapping[str, Any]) -> RunFolder:
        """Help with a run that another process has started; starts none, and changes no settings.

        Raises:
            InputError: There is no run, or one of another configuration.
        """
        root = Path(path)
        if not (root / layout.CONFIG).is_file():
            raise InputError(
                f"run folder {root} on {socket.gethostname()}",
                got="no run",
                expected="the folder that the run was started in, seen by every machine",
                fix="name with --out a folder on a file system that all machines share",
            )
        known = configuration.read_config(root)
        check_same_config(root, known["resolved"], config["resolved"])
        return cls(root, known, resumed=True)

    @classmethod
    def check_available(cls, path: str | Path, settings: Mapping[str, Any]) -> None:
        """Refuse a folder early, before anything that takes long is done for it.

        Args:
            path: The run folder; it may be missing.
            settings: Some of the ``resolved`` settings; those that are None were left open.

        Raises:
            InputError: ``path`` is a file, holds something else or a run of other settings, or
                cannot be written.
        """
        root = Path(path)
        check_writable(root)
        if is_run(root) and not vouching.is_config_damaged(root):
            known = configuration.read_config(root)["resolved"]
            stated = {key: value for key, value in settings.items() if value is not None}
            check_same_config(root, {key: known.get(key) for key in stated}, stated)

    @property
    def identity(self) -> str:
        """What tells this run from others."""
        return configuration.identity(self.config)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock for what belongs to the whole run (`locks.whole`)."""
        with locks.whole(self.path):
            yield

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
        """Create a dataset that is filled shard by shard.

        An existing one must be the same; it is made longer for more samples, and mended where its
        metadata or labels were damaged.

        Raises:
            InputError: There is one of another shape.
            RunFailedError: The disk is full, or cannot be written.
        """
        lay_out(self.path, name, template)

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
        shards.write_shard(self._dataset(dataset), shard, variables, seconds)

    def finished(self, dataset: str) -> dict[int, range]:
        """The samples of each finished shard, by its number.

        A shard of which a file is missing, or is longer or shorter than it was, is not finished.
        """
        markers = shards.sound(self._dataset(dataset))
        return {marker.shard: range(marker.start, marker.stop) for marker in markers}

    def _dataset(self, name: str) -> shards.Dataset:
        return shards.Dataset(self.path, name, self.identity)

    def write_dataset(self, name: str, dataset: xr.Dataset) -> None:
        """Write a small dataset in one go, all of it or nothing; a sound one is kept.

        Raises:
            RunFailedError: The disk is full, or cannot be written.
        """
        if not self.has_dataset(name):
            template = Template(samples=0, shard_size=1, variables={}, fixed=dataset)
            write_whole(self.path, name, template)

    def has_dataset(self, name: str) -> bool:
        """Whether a dataset has been created, and what belongs to no shard of it is undamaged."""
        exists = layout.dataset_path(self.path, name).exists()
        return exists and not faults_of_frame(self.path, name, "checksum")

    def write_moments(self, arrays: Mapping[str, ArrayLike]) -> None:
        """Keep the mean, covariance and other arrays that random targets are drawn from.

        Those that are there already, undamaged, are kept.

        Raises:
            RunFailedError: The disk is full, or cannot be written.
        """
        if not vouching.is_sound(self.path, layout.MOMENTS):
            contiguous = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
            write_atomically(self.path / layout.MOMENTS, save(contiguous))
            vouching.remember(self.path, [layout.MOMENTS])

    def add_provenance(self, record: Mapping[str, Any]) -> None:
        """Add a record to ``provenance.json``: a list, one entry each time the run was started.

        Raises:
            RunFailedError: The disk is full, or cannot be written.
        """
        self._write_provenance([*self._provenance(), configuration.plain(record)])

    def end_provenance(self, found: Mapping[str, Any]) -> None:
        """Complete this process's record by what is known at its end.

        Raises:
            RunFailedError: The disk is full, or cannot be written.
        """
        records = self._provenance()
        own = self.lock.holder.id if self.lock else None
        mine = [record for record in records if record.get("id") == own]
        if mine:
            mine[-1].update(configuration.plain(found))
            self._write_provenance(records)

    def close(self, found: Mapping[str, Any] | None = None) -> None:
        """Leave the folder: release the lock, and complete the provenance as far as possible."""
        try:
            # A full disk has already been told; an ending that is not recorded is no second fault.
            with suppress(RunFailedError, OSError):
                if found is not None:
                    with locks.whole(self.path, _LEAVING_SECONDS):
                        self.end_provenance(found)
        finally:
            if self.lock is not None:
                self.lock.release()

    def _provenance(self) -> list[dict[str, Any]]:
        try:
            text = (self.path / layout.PROVENANCE).read_text(encoding="utf-8")
            records: list[dict[str, Any]] = json.loads(text)
        except (OSError, ValueError):
            return []
        return records if isinstance(records, list) else []

    def _write_provenance(self, records: list[dict[str, Any]]) -> None:
        path = self.path / layout.PROVENANCE
        if path.exists() and not self._provenance():
            # What is left of a damaged one may still help its reader.
            path.replace(path.with_name(f"{path.name}{layout.DAMAGED}"))
        write_atomically(path, json.dumps(records, indent=2, ensure_ascii=False).encode())
        vouching.remember(self.path, [layout.PROVENANCE])


def is_run(root: Path) -> bool:
    """Whether ``root`` is a run folder; False when it is missing or empty.

    Raises:
        InputError: It is something else.
    """
    if (root / layout.CONFIG).is_file() or layout.CONFIG in vouching.known_files(root):
        return True
    if not root.exists():
        return False
    is_folder = root.is_dir()
    # A start that was cut short leaves nothing but an unfinished config and who was at work.
    kept = (
        [
            p.name
            for p in root.iterdir()
            if not p.name.endswith(layout.UNFINISHED) and p.name != layout.WORKING
        ]
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


def check_writable(root: Path) -> None:
    """Check that ``root`` can be written, or created where it is missing.

    Raises:
        InputError: It cannot.
    """
    try:
        existing = next(place for place in (root, *root.absolute().parents) if place.exists())
        if existing == root and not root.is_dir():
            return  # what is there instead is told in words of its own
        fault = "read-only" if existing.is_dir() else "a file"
        fine = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
        if fine and existing != root:
            # Some places that may be written hold no folders, for instance /proc.
            Path(tempfile.mkdtemp(prefix=".steppe-", dir=existing)).rmdir()
    except OSError as error:
        existing, fault, fine = root, f"out of reach: {error.strerror}", False
    if not fine:
        raise InputError(
            f"run folder {root}",
            got=f"{existing} is {fault}",
            expected="a folder that can be written, or a place where one can be created",
            fix="change its permissions, or choose another folder with --out",
        )


def make_folder(root: Path) -> None:
    """Create a run folder where there is none.

    Raises:
        InputError: It cannot be created.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"run folder {root}",
            got=error.strerror or str(error),
            expected="a place where a folder can be created",
            fix="choose another folder with --out",
        ) from error


def check_same_config(root: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Check that a run can go on with these resolved settings: the same, or more samples.

    Raises:
        InputError: Others, each of which is named.
    """
    before, after = old.get(configuration.SAMPLES), new.get(configuration.SAMPLES)
    if isinstance(before, int) and isinstance(after, int) and after > before:
        old = {**old, configuration.SAMPLES: after}
    different = configuration.differences(old, new)
    if different:
        raise InputError(
            f"run folder {root}",
            got=f"a run of another configuration: {'; '.join(different)}",
            expected="the settings the run was started with (its config.yaml), or more samples",
            fix="ask for those settings, choose another folder with --out, or start anew with "
            "--overwrite",
        )
