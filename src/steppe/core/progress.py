"""Progress bars on long work: shown on a terminal, silent elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(
    work: Iterable[T], label: str, *, total: int | None = None, unit: str = "it"
) -> Iterator[T]:
    """Iterate over ``work`` with a bar and the remaining time, when standard error is a terminal.

    Args:
        work: What is iterated over.
        label: What is being done, shown before the bar.
        total: Number of items, when ``work`` has no length.
        unit: What one item is called.
    """
    # disable=None is tqdm's own test for a terminal.
    yield from tqdm(work, desc=label, total=total, unit=unit, disable=None, leave=False)


def tell(text: str) -> None:
    """Say something on standard error, beside a bar that is being shown."""
    tqdm.write(f"steppe: {text}", file=sys.stderr)
