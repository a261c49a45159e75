"""Statistics keep labels, units and the reading."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from steppe.core.errors import InputError
from steppe.statistics import ends_at_target, find_statistic, steps_of


@pytest.fixture
def curves() -> xr.DataArray:
    values = np.zeros((2, 2, 3, 100), np.float32)
    values[..., 40:] = 30
    values[..., 70:] = 90
    values[1, 1, 2] = 0
    return xr.DataArray(
        values,
        dims=("kind", "mode", "sample", "step"),
        coords={"kind": ["real", "random"], "mode": ["absolute", "relative"]},
        name="l2",
        attrs={"unit": "1"},
    )


def test_labels_and_attributes(curves: xr.DataArray) -> None:
    steps = steps_of(curves, "plateau", reading="text", threshold=50.0)
    assert steps.dims == ("kind", "mode", "sample")
    assert steps.sel(kind="real", mode="relative").values.tolist() == [70, 70, 70]
    assert steps.attrs == {
        "unit": "step",
        "long_name": "activation plateau (AP) step",
        "short_name": "AP",
        "statistic": "plateau",
        "reading": "text",
        "metric": "l2",
        "threshold": 50.0,
    }
    assert steps.isnull().sum("sample").sel(kind="random").values.tolist() == [0, 1]


def test_absolute_curves_are_cut_at_the_target(curves: xr.DataArray) -> None:
    target = xr.DataArray(
        [[60, 70, 71], [200, 200, 200]], dims=("kind", "sample"), coords={"kind": curves["kind"]}
    )
    steps = steps_of(curves, "max_slope", end=ends_at_target(curves, target))
    assert steps.dims == ("kind", "mode", "sample")
    assert steps.sel(kind="real", mode="absolute").values.tolist() == [40, 40, 70]
    assert steps.sel(kind="real", mode="relative").values.tolist() == [70, 70, 70]
    assert steps.sel(kind="random", mode="absolute").values.tolist() == [70, 70, 70]


def test_plateau_curves_without_modes(curves: xr.DataArray) -> None:
    plain = curves.isel(mode=0, drop=True)
    target = xr.DataArray([[30, 50, 80]] * 2, dims=("kind", "sample"))
    steps = steps_of(
        plain, "plateau", reading="code", threshold=20.0, end=ends_at_target(plain, target)
    )
    assert steps.sel(kind="real").values.tolist() == [100, 40, 40]


def test_statistics_that_look_at_whole_curves_refuse_an_end(curves: xr.DataArray) -> None:
    with pytest.raises(InputError, match="do not cut curves"):
        steps_of(curves, "area", end=xr.DataArray(3))


def test_a_step_dimension_is_needed(curves: xr.DataArray) -> None:
    with pytest.raises(InputError, match="a dimension 'step'"):
        steps_of(curves.isel(step=0), "area")


def test_unknown_statistic() -> None:
    with pytest.raises(InputError, match="did you mean 'max_slope'"):
        find_statistic("max_slop")
    assert np.isnan(find_statistic("area").function(np.zeros(100)))


def test_a_step_that_is_not_there_is_no_number(curves: xr.DataArray) -> None:
    assert steps_of(curves * 0, "max_slope").isnull().all()
    assert steps_of(curves, "max_slope").attrs["reading"] == "text"


def test_settings_that_are_lacking_or_unknown_are_named(curves: xr.DataArray) -> None:
    with pytest.raises(InputError, match="threshold"):
        steps_of(curves, "plateau")
    with pytest.raises(InputError, match="treshold"):
        steps_of(curves, "plateau", threshold=2.0, treshold=3.0)


def test_an_array_without_labels_is_refused(curves: xr.DataArray) -> None:
    with pytest.raises(InputError, match=r"got:      ndarray(.|\n)*xarray\.DataArray"):
        steps_of(curves.values, "max_slope")  # type: ignore[arg-type]
