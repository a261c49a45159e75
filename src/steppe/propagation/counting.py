"""How many points were run on from a site? Counted for whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Points:
    """A count that goes on while its block is open."""

    count: int = 0


_counting: list[Points] = []


@contextmanager
def counted_points() -> Iterator[Points]:
    """Count the points that run meanwhile; at all positions a point is a whole prompt."""
    points = Points()
    _counting.append(points)
    try:
        yield points
    finally:
        _counting.remove(points)


def count_points(points: int) -> None:
    """Add points that are about to run."""
    for one in _counting:
        one.count += points
