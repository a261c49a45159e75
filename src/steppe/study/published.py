"""What ties a run to a published one: whether both are of one setup, and measured scales."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from steppe.settings.study_settings import StudySettings

Expected = Mapping[str, Callable[[Any], bool] | Any]


def is_published(settings: StudySettings, expected: Expected) -> bool:
    """Whether settings are those of a published run.

    Args:
        settings: What a run's settings came to; the model is the paper's by its weights, or as
            `paper_settings` says.
        expected: By field or property: the published value, or a test that a value has to pass.
    """
    return settings.is_paper and all(
        value(getattr(settings, name)) if callable(value) else getattr(settings, name) == value
        for name, value in expected.items()
    )


def four_digits(value: float) -> float:
    """A measured scale: what depends on it shall not hang on a machine's last bit."""
    return float(f"{value:.4g}")
