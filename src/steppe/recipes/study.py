"""What a recipe hands to whoever runs it: independent shards of work, then a report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steppe.core.parts import Part
from steppe.store import RunFolder


@dataclass(frozen=True)
class Shard:
    """One piece of work that can be done anywhere, in any order.

    Attributes:
        dataset: Name of the dataset it belongs to, for instance ``curves``.
        index: Its number within that dataset.
        samples: The samples it holds.
    """

    dataset: str
    index: int
    samples: range


class Study(ABC):
    """A study in a run folder: which shards there are, how one is computed, what is reported.

    Shards are independent: computing them in another order, or elsewhere, gives the same numbers.
    """

    folder: RunFolder

    @abstractmethod
    def shards(self) -> Sequence[Shard]:
        """Every shard of the study, done or not."""

    @abstractmethod
    def compute(self, shard: Shard) -> Mapping[str, NDArray[np.generic]]:
        """Measure one shard: variables of its dataset, restricted to its samples."""

    @abstractmethod
    def create_datasets(self) -> None:
        """Lay out the datasets, and measure the small ones that have no shards."""

    @abstractmethod
    def report(self) -> None:
        """Write tables, figures and the summary from what the folder holds."""

    def left(self, part: Part) -> list[Shard]:
        """The shards of a part of the work that are not finished yet.

        A shard is finished when it has all of its samples: a short last one is computed again
        after a run was given more.
        """
        finished = {name: self.folder.finished(name) for name in {s.dataset for s in self.shards()}}
        return [
            shard
            for shard in part.of(self.shards())
            if finished[shard.dataset].get(shard.index) != shard.samples
        ]


def split(dataset: str, samples: int, shard_size: int) -> list[Shard]:
    """Cut ``samples`` into shards of ``shard_size``; the last may be shorter."""
    starts = range(0, samples, shard_size)
    return [
        Shard(dataset, index, range(start, min(start + shard_size, samples)))
        for index, start in enumerate(starts)
    ]
