"""How plateaus of kinds compare along the threshold: made-up curves that part at a known level."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from steppe.core.seeds import stream
from steppe.studies.giglemiani2024.settings import LEVELS, Settings
from steppe.studies.giglemiani2024.steps import levels_of, plateau_table
from steppe.studies.giglemiani2024.study import ALONG, draw_thresholds

SAMPLES, POINTS, RATIO, PART = 40, 101, 0.5, 32.0


def analysis(*kinds: str) -> Any:
    """L2 of half a unit a step, but of other kinds in a prompt of their own 30 more from 32 on.

    Levels are in GPT-2's units, of which a unit here is two: both cross at one step below 32, and
    at others above. Samples differ by whole steps at which they leave the base.
    """
    start = np.arange(SAMPLES)[:, None] % 4
    level = (np.maximum(np.arange(POINTS) - start, 0) * RATIO).astype(np.float32)
    jump = np.where(level / RATIO >= PART, level + 30, level)
    l2 = np.stack([[level if k == "real" else c for k in kinds] for c in (jump, level)])
    dims = ("context", "kind", "sample")
    plateaus = xr.Dataset(
        {"l2": ((*dims, "step"), l2), "target_step": (dims, np.full(l2.shape[:3], POINTS))},
        coords={"context": ["native", "foreign"], "kind": list(kinds)},
    )
    constants = {
        "step_size": 0.5,
        "threshold": 20.0 * RATIO,
        "scales": {"output_ratio": RATIO, "sweep": []},
        "sae_identity": None,
    }
    return SimpleNamespace(
        datasets={"plateaus": plateaus},
        settings=Settings(bootstrap=100),
        constants=constants,
        model="made up",
        generator=lambda name: stream(0, name),
    )


def test_kinds_are_apart_from_the_level_on_at_which_they_part() -> None:
    run = analysis("real", "random")
    assert levels_of(run.constants) == pytest.approx([level * RATIO for level in LEVELS])
    table = plateau_table(run, levels_of(run.constants))
    assert sorted(set(table["paper_threshold"])) == list(range(5, 61, 5))
    other = table[table["kind"] == "random"].set_index(["context", "paper_threshold"])
    assert (other.loc["foreign", "ks"] == 0).all()
    native = other.loc["native"]
    assert (native.loc[:30, "ks"] == 0).all()
    # Here the jump comes before the first of the others, whichever step they leave at.
    assert (native.loc[40:, "ks"] == 1).all()
    assert (native["ks_low"] <= native["ks"]).all()


def test_the_figure_has_every_level_and_context() -> None:
    drawing = draw_thresholds(analysis("real", "random"))
    assert not isinstance(drawing, tuple)
    axes = drawing.figure.axes
    assert [ax.get_title(loc="left") for ax in axes] == ["Native", "Foreign"]
    assert axes[0].get_xlabel() == ALONG["paper_threshold"]
    ((line, *_),) = axes[0].containers
    assert line.get_xdata().tolist() == list(LEVELS)
    assert line.get_ydata()[[0, -1]].tolist() == [0, 1]
    assert "n = 40. Bars: 95% intervals" in drawing.caption
    assert draw_thresholds(analysis("real")) == ()
