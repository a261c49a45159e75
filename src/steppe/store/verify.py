"""Compare everything that a run has stored with its checksums."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from steppe.store import layout, locks
from steppe.store.load import Run, open_run
from steppe.store.manifest import Manifest, damage, manifests, read_manifest
from steppe.store.writing import writing

# A chunk that no manifest lists: of a shard that is not finished.
_CHUNK = re.compile(r"[^/]+\.zarr/[^/]+/c(/\d+)+")


@dataclass(frozen=True)
class Damage:
    """Something that is not as it was written: the shard or the file, and what is wrong with it."""

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
        withdraw: Whether damaged shards shall no longer count as finished: their manifests are
            removed, so that the next run computes them again. Not while a process is at work,
            which takes them for finished.

    Raises:
        InputError: There is no run at ``path``.
        RunFailedError: A manifest could not be removed.
    """
    run = open_run(path)
    every = {layout.RUN, *(f"{name}/{layout.LAYOUT}" for name in run.datasets())}
    names = sorted({*every, *manifests(run.path)})
    listed = {name: read_manifest(run.path, name, run.identity) for name in names}
    faults = {name: _faults(run, name, known) for name, known in listed.items()}
    own = {file for known in listed.values() if known is not None for file in known.files}
    strangers = sorted(set(_stored(run.path)) - own)
    leftovers = [name for name in strangers if _is_left_over(name)]
    found = [Damage(_place(name, told), "; ".join(told)) for name, told in faults.items() if told]
    found += [
        Damage(name, f"{name}: foreign, not a file of this run")
        for name in strangers
        if name not in leftovers
    ]
    running = tuple(map(str, locks.at_work(run.path)))
    damaged = [name for name in names if faults[name] and _is_shard(name)]
    withdrawn = damaged if withdraw and not running else []
    for name in withdrawn:
        with writing(layout.manifest_path(run.path, name)):
            layout.manifest_path(run.path, name).unlink(missing_ok=True)
    return Verdict(
        path=str(run.path),
        files=len(own) + len(names),
        sound=sum(_is_shard(name) and not faults[name] for name in names),
        damage=tuple(found),
        leftovers=tuple(leftovers),
        withdrawn=tuple(_place(name, []) for name in withdrawn),
        running=running,
    )


def _faults(run: Run, name: str, known: Manifest | None) -> list[str]:
    if known is None:
        return [f"{layout.DONE}/{name}.json: missing, not as it was written, or of another run"]
    faults = damage(run.path, known.files)
    if faults and read_manifest(run.path, name, run.identity) != known:
        return []  # a process at work is writing it again
    return faults


def _stored(root: Path) -> Iterator[str]:
    """Files of datasets, manifests' folders and unfinished writes, but for the manifests."""
    folders = [*root.glob("*.zarr"), root / layout.DONE, root / layout.WORKING]
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        inside = path.relative_to(root)
        is_manifest = inside.parts[0] == layout.DONE and path.suffix == ".json"
        is_lock = inside.parts[0] == layout.WORKING and path.suffix in {".json", ".lock"}
        if not is_manifest and not is_lock:
            yield inside.as_posix()


def _is_left_over(name: str) -> bool:
    return name.endswith(layout.UNFINISHED) or _CHUNK.fullmatch(name) is not None


def _is_shard(name: str) -> bool:
    return name.rpartition("/")[2].isdigit()


def _place(name: str, faults: list[str]) -> str:
    """The shard that a manifest is of, or else the file that is damaged."""
    dataset, _, shard = name.rpartition("/")
    return f"{dataset}, shard {int(shard)}" if _is_shard(name) else faults[0].split(":")[0]
