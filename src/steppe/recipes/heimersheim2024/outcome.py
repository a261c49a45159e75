"""x."""

from __future__ import annotations

from pathlib import Path


def report_outcome(path: Path) -> None:
    """Write."""
