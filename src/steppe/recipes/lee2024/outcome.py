"""From a measured run to its tables, figures, claims and summary. Needs no model."""

from pathlib import Path


def report_outcome(path: Path) -> None:
    """Write every table and figure, the claims, and the summary."""
