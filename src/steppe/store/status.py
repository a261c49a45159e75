"""How far a run is, who is at work on it, and how long the rest will take."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steppe.store import locks
from steppe.store.load import Run, open_run
from steppe.store.reported import is_reported

# The speed is that of the newest shards: machines and loads change.
_NEWEST = 50


@dataclass(frozen=True)
class Progress:
    """How far a dataset is; the seconds are a mean of its newest shards, None before the first."""

    dataset: str
    shards: int
    done: int
    samples: int
    samples_done: int
    seconds_per_shard: float | None

    def __str__(self) -> str:
        pace = self.seconds_per_shard
        speed = "" if pace is None else f", {pace:.3g} s per shard and worker"
        samples = f"{self.samples_done} of {self.samples} samples"
        return f"{self.done} of {self.shards} shards, {samples}{speed}"


@dataclass(frozen=True)
class Status:
    """How far a run is.

    Attributes:
        path: The run folder.
        datasets: Each dataset that is filled by shards.
        running: Who is at work.
        workers: How many processes compute.
        seconds_left: Expected, with as many workers as now (one when there is none); None while
            that cannot be known.
        reported: Whether the summary is written, from all that is finished.
    """

    path: str
    datasets: tuple[Progress, ...]
    running: tuple[str, ...]
    workers: int
    seconds_left: float | None
    reported: bool

    @property
    def done(self) -> int:
        """Finished shards."""
        return sum(progress.done for progress in self.datasets)

    @property
    def left(self) -> int:
        """Shards that are not finished."""
        return sum(progress.shards - progress.done for progress in self.datasets)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "done": self.done, "left": self.left}

    def __str__(self) -> str:
        rows = [(progress.dataset, str(progress)) for progress in self.datasets]
        rows += [("running", holder) for holder in self.running or ["nobody"]]
        if self.left:
            rows.append(("left", self._time_left()))
        else:
            rows.append(("report", "written" if self.reported else "not written yet"))
        width = max([10, *(len(name) + 2 for name, _ in rows)])
        lines = [f"{self.path}: {self.done} of {self.done + self.left} shards done"]
        return "\n".join(lines + [f"  {name:<{width}}{text}" for name, text in rows])

    def _time_left(self) -> str:
        if self.seconds_left is None:
            return f"{self.left} shards"
        hours, minutes = divmod(round(self.seconds_left / 60), 60)
        time = f"{hours} h {minutes} min" if hours else f"{minutes} min"
        time = time if minutes or hours else f"{self.seconds_left:.0f} s"
        return f"{self.left} shards, about {time} with {max(self.workers, 1)} worker(s)"


def status_of(path: str | Path) -> Status:
    """Find out how far a run is; it may be running.

    Raises:
        InputError: There is no run at ``path``, or the description of a dataset is damaged.
    """
    run = open_run(path)
    running = locks.at_work(run.path)
    workers = sum(holder.workers for holder in running)
    datasets = tuple(filter(None, (_progress(run, name) for name in run.datasets())))
    times = [(p.shards - p.done, p.seconds_per_shard) for p in datasets if p.shards > p.done]
    seconds = [left * pace for left, pace in times if pace is not None]
    return Status(
        path=str(run.path),
        datasets=datasets,
        running=tuple(map(str, running)),
        workers=workers,
        seconds_left=sum(seconds) / max(workers, 1) if len(seconds) == len(times) else None,
        reported=is_reported(run),
    )


def _progress(run: Run, name: str) -> Progress | None:
    dataset = run.stored(name)
    dataset.check_readable()
    samples, size = dataset.size()
    if not samples:
        return None  # written in one go: it has no shards to count
    finished = dataset.finished().values()
    whole = [f for f in finished if f["stop"] == min(f["start"] + size, samples)]
    newest = sorted(finished, key=lambda facts: facts["finished"])[-_NEWEST:]
    pace = float(np.mean([facts["seconds"] for facts in newest])) if newest else None
    samples_done = sum(facts["stop"] - facts["start"] for facts in finished)
    return Progress(name, -(-samples // size), len(whole), samples, samples_done, pace)
