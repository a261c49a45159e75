"""Which part of a run's shards belongs to one of several processes? Plain arithmetic."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from steppe.core.errors import InputError

T = TypeVar("T")
_TEXT = re.compile(r"(\d{1,9})/(\d{1,9})")


@dataclass(frozen=True)
class Part:
    """One of ``count`` parts of the work, which do not overlap and leave nothing out.

    Attributes:
        index: Which part, from 0.
        count: How many parts there are.
    """

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read a part as ``index/count``, for instance ``3/64``.

        Raises:
            InputError: The text names no part.
        """
        match = _TEXT.fullmatch(text.strip())
        if match:
            part = cls(int(match[1]), int(match[2]))
            if part.index < part.count:
                return part
        raise InputError(
            "--shard",
            got=repr(text),
            expected="index/count with an index from 0 to count - 1, for instance 0/4 to 3/4",
            fix="in a Slurm array job: --array=0-3 and --shard $SLURM_ARRAY_TASK_ID/4",
        )

    @classmethod
    def of_torchrun(cls, environment: Mapping[str, str]) -> Part | None:
        """The part of a process that torchrun started (``RANK``, ``WORLD_SIZE``), else None.

        Raises:
            InputError: The variables are set and name no part.
        """
        if "RANK" not in environment or "WORLD_SIZE" not in environment:
            return None
        return cls.parse(f"{environment['RANK']}/{environment['WORLD_SIZE']}")

    @property
    def is_whole(self) -> bool:
        """Whether this part is all of the work."""
        return self.count == 1

    def of(self, work: Sequence[T]) -> list[T]:
        """This part of ``work``: every ``count``-th item, so that parts take equally long."""
        return list(work[self.index :: self.count])

    def overlaps(self, other: Part) -> bool:
        """Whether some item could belong to both."""
        return self.count != other.count or self.index == other.index

    def __str__(self) -> str:
        return "the whole run" if self.is_whole else f"part {self.index}/{self.count}"
