"""Is everything a run has stored still as it was written? Every file is read and compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from steppe.core.errors import RunFailedError
from steppe.store import layout, locks, shards
from steppe.store.config import identity
from steppe.store.facts import damage
from steppe.store.frame import chunks_of_frame, faults_of_frame, files_of_frame
from steppe.store.load import open_run
from steppe.store.vouching import known_files


@dataclass(frozen=True)
class Damage:
    """Something that is not as it was written.

    Attributes:
        place: The shard, or the file.
        fault: What is wrong, with the file's name.
    """

    place: str
    fault: str


@dataclass(frozen=True)
class Verdict:
    """What was found.

    Attributes:
        path: The run folder.
        files: How many files were compared with their checksums.
        sound: How many shards are as they were written.
        damage: What is not.
        leftovers: Files of writes that were cut short; harmless.
        withdrawn: Shards that no longer count as finished.
        running: Who is at work; while there is someone, no shard is withdrawn.
    """

    path: str
    files: int
    sound: int
    damage: tuple[Damage, ...]
    leftovers: tuple[str, ...]
    withdrawn: tuple[str, ...]
    running: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.files} files compared, {self.sound} shards sound"]
        lines += [f"  damaged    {found.place}: {found.fault}" for found in self.damage]
        lines += [
            f"  left over  {name} (harmless: a write was cut short)" for name in self.leftovers
        ]
        lines += [f"  running    {holder}" for holder in self.running]
        if self.damage and self.running:
            lines.append("  fix        when they have ended: `steppe check-run` once more")
        elif self.damage:
            lines.append("  fix        give the run's command again: it computes what is damaged")
        return "\n".join(lines)


def verify(path: str | Path, *, withdraw: bool = True) -> Verdict:
    """Compare every stored file of a run with its checksum.

    Args:
        path: The run folder.
        withdraw: Whether damaged shards shall no longer count as finished: their markers are
            removed, so that the next run computes them again. Not while a process is at work,
            which takes them for finished.

    Raises:
        InputError: There is no run at ``path``.
        RunFailedError: A marker could not be removed.
    """
    run = open_run(path)
    files = known_files(run.path)
    found = [Damage(fault.split(":")[0], fault) for fault in damage(run.path, files, "checksum")]
    if not files:
        name = f"{layout.DONE}/{layout.FILES}"
        found.append(Damage(name, f"{name}: missing, or not as it was written"))
    compared, sound, withdrawn, leftovers = len(files), 0, [], []
    for name in run.datasets():
        dataset = shards.Dataset(run.path, name, identity(run.config))
        found += [
            Damage(f"{name}.zarr", fault) for fault in faults_of_frame(run.path, name, "checksum")
        ]
        compared += len(files_of_frame(run.path, name))
        for shard, fault, n_files in _check_shards(dataset):
            compared += n_files
            sound += not fault
            if fault:
                found.append(Damage(f"{name}, shard {shard}", fault))
                withdrawn.append((dataset, shard))
        for fault, harmless in _strangers(dataset):
            if harmless:
                leftovers.append(fault)
            else:
                found.append(Damage(f"{name}.zarr", fault))
    running = tuple(map(str, locks.at_work(run.path)))
    withdraw = withdraw and not running
    if withdraw:
        _withdraw(withdrawn)
    return Verdict(
        path=str(run.path),
        files=compared,
        sound=sound,
        damage=tuple(found),
        leftovers=tuple(leftovers),
        withdrawn=tuple(f"{d.name}, shard {s}" for d, s in withdrawn) if withdraw else (),
        running=running,
    )


def _check_shards(dataset: shards.Dataset) -> Iterator[tuple[int, str, int]]:
    """Each shard that has a marker: its number, what is wrong with it, how many files it has."""
    for shard in shards.marked(dataset):
        marker = shards.read_marker(dataset, shard)
        if marker is None:
            place = layout.marker_path(dataset.root, dataset.name, shard).relative_to(dataset.root)
            yield shard, f"{place}: not as it was written, or of another run", 1
            continue
        faults = damage(dataset.path, marker.files, "checksum")
        if faults and shards.read_marker(dataset, shard) != marker:
            continue  # a process at work is writing it again
        yield shard, "; ".join(faults), 1 + len(marker.files)


def _strangers(dataset: shards.Dataset) -> Iterator[tuple[str, bool]]:
    """Files in a dataset's folders that are none of its own, and whether they are harmless."""
    own = files_of_frame(dataset.root, dataset.name)
    if not own:
        return  # nothing vouches for the dataset, which is told already
    own |= chunks_of_frame(dataset.root, dataset.name)
    for path in sorted(dataset.path.rglob("*")):
        name = path.relative_to(dataset.path).as_posix()
        if path.is_file() and name not in own:
            harmless = name.endswith((layout.PARTIAL, layout.UNFINISHED))
            yield (name if harmless else f"{name}: foreign, not a file of this dataset"), harmless
    markers = layout.markers_path(dataset.root, dataset.name)
    for path in sorted(markers.glob("*")):
        number = path.stem
        if path.suffix != ".json" or not number.isdigit() or len(number) < 6:
            harmless = path.name.endswith(layout.UNFINISHED)
            name = path.relative_to(dataset.root).as_posix()
            yield (name if harmless else f"{name}: foreign, not a marker"), harmless


def _withdraw(damaged: list[tuple[shards.Dataset, int]]) -> None:
    for dataset, shard in damaged:
        path = layout.marker_path(dataset.root, dataset.name, shard)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise RunFailedError(
                f"removing {path}",
                got=error.strerror or str(error),
                expected="a folder that can be written",
                fix="look only, with --read-only",
            ) from error
