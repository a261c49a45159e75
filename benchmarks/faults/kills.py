"""One run, stopped again and again at random moments: no finished shard may be lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from faults.tiny import Tiny, arrays_hash, ended, markers, started
from steppe.store.locks import at_work

EXPECTED = {"SIGKILL": {-9}, "SIGTERM": {143}, "SIGINT": {130}, "full disk": {1}}
SHARE_STOPPED_WHILE_LOADING = 0.2
# So that the run is not finished before the last kill, and nearly so.
SHARE_DONE_UNDER_KILLS = 0.75
LIMIT_SECONDS = 900.0
TMPFS_MIB = 256


class Disk:
    """A file system of its own for the run, that can be filled; a plain folder without rights."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_MIB}m", "steppe-faults", str(place)]
        self.mounted = os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0

    def fill(self, left: int) -> None:
        """Leave ``left`` bytes."""
        with (self.place / "ballast").open("wb") as file:
            while True:
                free = os.statvfs(self.place)
                size = free.f_bavail * free.f_frsize - left
                try:
                    os.posix_fallocate(file.fileno(), 0, max(size, 1))
                except OSError:  # the run has written meanwhile
                    left += 4096
                else:
                    return

    def empty(self) -> None:
        """Make room again."""
        (self.place / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        """Take the file system away."""
        if self.mounted:
            subprocess.run(["umount", str(self.place)], check=True)


def kill_campaign(tiny: Tiny, work: Path, kills: int, samples: int) -> dict[str, Any]:
    """Stop one run until ``kills`` stops fell into its measuring; then let it finish, and compare.

    Some more stops fall into its loading. What is left is compared with an undisturbed run.
    """
    generator = np.random.default_rng(1)
    log = work / "kills.log"
    disk = Disk(work / "disk")
    try:
        return _campaign(tiny, work, (kills, samples), (generator, disk, log))
    finally:
        disk.close()


def _campaign(
    tiny: Tiny,
    work: Path,
    sizes: tuple[int, int],
    tools: tuple[np.random.Generator, Disk, Path],
) -> dict[str, Any]:
    (kills, samples), (generator, disk, log) = sizes, tools
    undisturbed = work / "undisturbed"
    alone = ended(started(tiny.command(undisturbed, samples), log), LIMIT_SECONDS)
    longest = 2 * SHARE_DONE_UNDER_KILLS * shards_of(samples) / kills * _pace(undisturbed)
    ways = ["SIGKILL", "SIGTERM", "SIGINT"] + ["full disk"] * disk.mounted
    run = disk.place / "run"
    measuring, loading = Counter[str](), Counter[str]()
    lost_shards, wrong_endings, lost_most = 0, [], 0
    while sum(measuring.values()) < kills:
        way = ways[(sum(measuring.values()) + sum(loading.values())) % len(ways)]
        before = markers(run)
        child = started(tiny.command(run, samples), log)
        ending, at_work = _stop(way, child, (generator, disk, run), longest)
        after = markers(run)
        if ending == 0:
            break
        (measuring if at_work and len(after) < shards_of(samples) else loading)[way] += 1
        lost_shards += sum(after.get(name) != seal for name, seal in before.items())
        lost_most = max(lost_most, _begun_and_not_finished(run))
        if ending not in EXPECTED[way]:
            wrong_endings.append(f"{way}: {ending}")
    done = len(markers(run))
    child = started(tiny.command(run, samples), log)
    finished = ended(child, LIMIT_SECONDS)
    return {
        "kills_wanted": kills,
        "kills": dict(measuring),
        "kills_while_loading": dict(loading),
        "full_disk": "tried" if disk.mounted else "SKIPPED: no right to mount a tmpfs",
        "shards": len(markers(undisturbed)),
        "shards_done_at_last_kill": done,
        "finished_shards_lost": lost_shards,
        "most_shards_of_work_lost_by_one_kill": lost_most,
        "wrong_exit_statuses": wrong_endings,
        "tracebacks": log.read_text().count("Traceback"),
        "first_traceback": _first_traceback(log.read_text()),
        "exit_statuses": [finished, alone],
        "arrays_hash": arrays_hash(run),
        "arrays_hash_undisturbed": arrays_hash(undisturbed),
    }


def _first_traceback(text: str) -> str:
    """What is needed to mend it: the end of it says what was raised, and where."""
    place = text.find("Traceback")
    return "" if place < 0 else text[place : place + 6000]


def _pace(run: Path) -> float:
    """Seconds per shard of a run that is finished."""
    manifests = [json.loads(path.read_text()) for path in run.glob("done/*/[0-9]*.json")]
    times = [manifest["facts"]["finished"] for manifest in manifests]
    return (max(times) - min(times)) / len(times)


def shards_of(samples: int) -> int:
    """Shards of the two datasets of the study: 20 samples each."""
    return 2 * -(-samples // 20)


def _stop(
    way: str, child: int, tools: tuple[np.random.Generator, Disk, Path], longest: float
) -> tuple[int | None, bool]:
    """Stop a child in one way at a random moment, ``longest`` seconds after its start at most.

    Returns:
        How it ended (0: it was done before), and whether it was measuring when it was stopped.
    """
    generator, _, run = tools
    if generator.random() > SHARE_STOPPED_WHILE_LOADING:
        _wait_until_at_work(run, child)
    ending = ended(child, float(generator.uniform(0.0, longest)))
    at_work_now = _is_at_work(run, child)
    if ending is None:
        ending = _stopped(way, child, tools)
    return ending, at_work_now


def _stopped(way: str, child: int, tools: tuple[np.random.Generator, Disk, Path]) -> int | None:
    generator, disk, _ = tools
    if way == "full disk":
        disk.fill(int(generator.integers(0, 60_000)))
        ending = ended(child, 60.0)
        disk.empty()
        if ending is not None:
            return ending
    os.kill(child, getattr(signal, "SIGKILL" if way == "full disk" else way))
    return ended(child, 60.0)


def _wait_until_at_work(run: Path, child: int) -> None:
    """Until the process has loaded everything, and measures."""
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        if _is_at_work(run, child):
            return
        time.sleep(0.02)


def _is_at_work(run: Path, child: int) -> bool:
    return any(holder.pid == child for holder in at_work(run))


def _begun_and_not_finished(run: Path) -> int:
    """How many shards have data and no marker: the work that a stop has cost."""
    found = 0
    for dataset in ("curves", "plateaus"):
        if (run / f"{dataset}.zarr").exists():
            done = {int(path.stem) for path in run.glob(f"done/{dataset}/[0-9]*.json")}
            found += len(_shards_with_data(run / f"{dataset}.zarr") - done)
    return found


def _shards_with_data(path: Path) -> set[int]:
    """The shards of which any chunk is there."""
    found = set()
    for metadata in path.glob("*/zarr.json"):
        dims = json.loads(metadata.read_text()).get("dimension_names") or []
        chunks = metadata.parent / "c"
        if "sample" in dims:
            files = (chunk for chunk in chunks.rglob("*") if chunk.is_file())
            keys = (chunk.relative_to(chunks).parts for chunk in files)
            found |= {int(key[dims.index("sample")]) for key in keys}
    return found
