"""Curves that never leave their plateau count as the grid's end in the text reading."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import xarray as xr

from steppe.studies.giglemiani2024.steps import CENSORED, plateau_steps

POINTS = 101


def analysis(reading: str) -> Any:
    """One base with four curves: left at step 10, at step 30, never, and with a gap."""
    step = np.arange(POINTS)
    curves = np.stack([step >= 10, step >= 30, step < 0, step < 0]).astype(np.float32)
    curves[3, 50] = np.nan
    dims = ("context", "kind", "sample")
    plateaus = xr.Dataset(
        {
            "l2": ((*dims, "step"), curves[None, None]),
            "target_step": (dims, np.full((1, 1, 4), POINTS)),
        },
        coords={"context": ["foreign"], "kind": ["real"]},
    )
    return SimpleNamespace(
        datasets={"plateaus": plateaus}, settings=SimpleNamespace(reading=reading)
    )


def test_a_mean_is_neither_over_sentinels_nor_over_the_uncensored_alone() -> None:
    steps = plateau_steps(analysis("text"), 0.5).squeeze()
    np.testing.assert_array_equal(steps.values, [10, 30, POINTS - 1, np.nan])
    assert steps[CENSORED].values[:3].tolist() == [False, False, True]


def test_the_authors_reading_keeps_their_sentinel() -> None:
    steps = plateau_steps(analysis("code"), 0.5).squeeze()
    assert steps.values[:3].tolist() == [10, 30, 101]
