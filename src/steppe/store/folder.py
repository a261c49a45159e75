"""A run folder open for writing: started once, continued with the same settings."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
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
from steppe.store import layout, locks
from steppe.store.config import SAMPLES, SECTIONS, check_same, read_config, write_config
from steppe.store.dataset import Dataset
from steppe.store.finished import DATASETS, REQUEST, TEXTS, texts_of
from steppe.store.manifest import is_sound, note_of_run, read_manifest, write_for_run
from steppe.store.places import is_run, make_folder
from steppe.store.template import Template

# A process that was told to end does not wait for another one's report.
_LEAVING_SECONDS = 5.0


@dataclass(frozen=True)
class RunFolder:
    """A run's folder, open for writing. Where the disk is full, its methods raise RunFailedError.

    Attributes:
        path: The folder.
        config: The run's configuration, with the sections ``asked`` and ``resolved``.
        lock: This process's lock of its part of the work, when it has one.
    """

    path: Path
    config: Mapping[str, Any] = field(hash=False)
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
        """
        root, resolved = Path(path), config["resolved"]
        samples = configuration.plain(resolved.get(SAMPLES))
        wanted = {name: configuration.plain(config[name]) for name in SECTIONS}
        sound = False
        if is_run(root):
            known, sound = read_manifest(root, layout.RUN), is_sound(root, layout.CONFIG)
            own = known is not None and known.run == configuration.identity(resolved)
            grows = known is None or (samples or 0) >= (known.facts["samples"] or 0)
            # A damaged configuration is written again by the run's own command, and by no other.
            if sound or not (own and grows):
                before = read_config(root)
                check_same(root, before["resolved"], resolved)
                if known is not None and not own:
                    raise configuration.damaged(root / layout.CONFIG, "not as it was written")
                sound = sound and before["resolved"].get(SAMPLES) == samples
                wanted = {name: {**before[name], SAMPLES: samples} for name in SECTIONS}
        make_folder(root)
        if not sound:
            write_config(root, wanted)
        return cls(root, wanted)

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
        known = read_config(root)
        check_same(root, known["resolved"], config["resolved"])
        return cls(root, known)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock for what belongs to the whole run (`locks.whole`)."""
        with locks.whole(self.path):
            yield

    def dataset(self, name: str) -> Dataset:
        """A dataset of the run, which may not be there yet."""
        return Dataset(self.path, name, configuration.identity(self.config["resolved"]))

    def create_dataset(self, name: str, template: Template) -> None:
        """Lay out a dataset that is filled shard by shard (`Dataset.lay_out`).

        An existing one is made longer for more samples, and written again where its metadata or
        labels were damaged; one of another structure is refused (InputError).
        """
        self.dataset(name).lay_out(template)

    def write_shard(
        self, dataset: str, shard: int, variables: Mapping[str, ArrayLike], *, seconds: float = 0.0
    ) -> None:
        """Write one shard, whole, then the manifest that says it is finished.

        Args:
            dataset: Name of the dataset.
            shard: The shard's number, from 0.
            variables: Values of every variable with a sample axis, this shard's samples only.
            seconds: How long computing it took.

        Raises:
            InputError: No such shard, or variables or shapes that do not fit.
        """
        self.dataset(dataset).write_shard(shard, variables, seconds)

    def finished(self, dataset: str) -> dict[int, range]:
        """The samples of each finished shard, by its number.

        A shard of which a file is missing, longer or shorter than it was is not finished.
        """
        found = self.dataset(dataset).finished()
        return {shard: range(facts["start"], facts["stop"]) for shard, facts in found.items()}

    def write_dataset(self, name: str, dataset: xr.Dataset) -> None:
        """Write a small dataset that has no shards; a sound one is kept."""
        if not self.has_dataset(name):
            self.dataset(name).remove()
            template = Template(samples=0, shard_size=1, variables={}, fixed=dataset)
            self.dataset(name).lay_out(template)

    def has_dataset(self, name: str) -> bool:
        """Whether a dataset has been created, and what belongs to no shard of it is undamaged."""
        return not self.dataset(name).faults()

    def write_moments(self, arrays: Mapping[str, ArrayLike]) -> None:
        """Keep the mean, covariance and other arrays that random targets are drawn from.

        Those that are there already, undamaged, are kept.
        """
        if not is_sound(self.path, layout.MOMENTS):
            contiguous = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
            write_for_run(self.path, layout.MOMENTS, save(contiguous))

    def write_directions(
        self, vectors: Mapping[str, ArrayLike], facts: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Keep the fixed directions of the run, and how each was made, by name."""
        contiguous = {name: np.ascontiguousarray(vector) for name, vector in vectors.items()}
        content = save(contiguous, metadata={"facts": json.dumps(facts)})
        write_for_run(self.path, layout.DIRECTIONS, content)

    def add_request(self, key: str | None, datasets: Sequence[str]) -> None:
        """Note which request the run answers once these datasets are finished; None: none is known.

        `steppe.store.finished` knows the run by it.
        """
        samples = self.config["resolved"].get(SAMPLES)
        note_of_run(self.path, **{REQUEST: [key, samples], DATASETS: [*datasets]})

    def add_texts(self) -> None:
        """Note that the texts of the tokens in all results are written."""
        note_of_run(self.path, **{TEXTS: texts_of(self.path)})

    def add_provenance(self, record: Mapping[str, Any]) -> None:
        """Add a record to ``provenance.json``: a list, one entry each time the run was started."""
        self._write_provenance([*self._provenance(), configuration.plain(record)])

    def close(self, found: Mapping[str, Any] | None = None) -> None:
        """Leave the folder: release the lock, and complete this process's record by ``found``."""
        try:
            # Best effort: a full disk has been told already.
            with suppress(RunFailedError, OSError):
                if found is not None:
                    with locks.whole(self.path, _LEAVING_SECONDS):
                        self._end_provenance(found)
        finally:
            if self.lock is not None:
                self.lock.release()

    def _end_provenance(self, found: Mapping[str, Any]) -> None:
        records = self._provenance()
        own = self.lock.holder.id if self.lock else None
        mine = [record for record in records if record.get("id") == own]
        if mine:
            mine[-1].update(configuration.plain(found))
            self._write_provenance(records)

    def _provenance(self) -> list[dict[str, Any]]:
        try:
            text = (self.path / layout.PROVENANCE).read_text(encoding="utf-8")
            records: list[dict[str, Any]] = json.loads(text)
        except (FileNotFoundError, ValueError):
            return []
        return records if isinstance(records, list) else []

    def _write_provenance(self, records: list[dict[str, Any]]) -> None:
        path = self.path / layout.PROVENANCE
        if path.exists() and not self._provenance():
            # What is left of a damaged one may still help its reader.
            path.replace(path.with_name(f"{path.name}{layout.DAMAGED}"))
        content = json.dumps(records, indent=2, ensure_ascii=False).encode()
        write_for_run(self.path, layout.PROVENANCE, content)
