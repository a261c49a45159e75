"""How far is a run, who is at work on it, and how long will the rest take?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from steppe.core.axes import SAMPLE
from steppe.store import layout, locks, shards
from steppe.store.config import identity
from steppe.store.frame import check_readable
from steppe.store.load import Run, open_run
from steppe.store.template import SHARD_SIZE, dims_of

# The speed is that of the newest shards: machines and loads change.
_NEWEST = 50


@dataclass(frozen=True)
class Progress:
    """How far one dataset is.

    Attributes:
        dataset: Its name.
        shards: How many shards it has.
        done: How many are finished.
        samples: How many samples it has.
        samples_done: How many samples are in finished shards.
        seconds_per_shard: Mean time of the newest finished shards; None before the first.
    """

    dataset: str
    shards: int
    done: int
    samples: int
    samples_done: int
    seconds_per_shard: float | None


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
        reported: Whether the summary is written, and no shard finished after it.
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
        lines = [f"{self.path}: {self.done} of {self.done + self.left} shards done"]
        width = max([10, *(len(progress.dataset) + 2 for progress in self.datasets)])
        for progress in self.datasets:
            speed = progress.seconds_per_shard
            pace = "" if speed is None else f", {speed:.3g} s per shard and worker"
            lines.append(
                f"  {progress.dataset:<{width}}{progress.done} of {progress.shards} shards, "
                f"{progress.samples_done} of {progress.samples} samples{pace}"
            )
        lines += [f"  {'running':<{width}}{holder}" for holder in self.running or ["nobody"]]
        if self.left:
            lines.append(f"  {'left':<{width}}{self._time_left()}")
        else:
            report = "written" if self.reported else "not written yet"
            lines.append(f"  {'report':<{width}}{report}")
        return "\n".join(lines)

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
        reported=_is_reported(run),
    )


def _progress(run: Run, name: str) -> Progress | None:
    check_readable(run.path, name)
    dataset = shards.Dataset(run.path, name, identity(run.config))
    if SHARD_SIZE not in zarr.open_group(dataset.path, mode="r").attrs:
        # Written in one go: it has no shards to count.
        return None
    arrays = shards.sharded_arrays(dataset.path, mode="r")
    array = next(iter(arrays.values()))
    axis = dims_of(array).index(SAMPLE)
    samples, size = array.shape[axis], array.chunks[axis]
    markers = shards.sound(dataset)
    whole = [m for m in markers if m.stop == min(m.start + size, samples)]
    newest = sorted(markers, key=lambda marker: marker.finished)[-_NEWEST:]
    return Progress(
        dataset=name,
        shards=-(-samples // size),
        done=len(whole),
        samples=samples,
        samples_done=sum(m.stop - m.start for m in markers),
        seconds_per_shard=float(np.mean([m.seconds for m in newest])) if newest else None,
    )


def _is_reported(run: Run) -> bool:
    """Whether the summary is newer than every marker of a dataset's folder of markers."""
    summary = run.path / layout.SUMMARY
    if not summary.exists():
        return False
    folders = [layout.markers_path(run.path, name) for name in run.datasets()]
    touched = [folder.stat().st_mtime for folder in folders if folder.is_dir()]
    return summary.stat().st_mtime >= max(touched, default=0.0)
