"""What a curves dataset must hold, and how curves are averaged."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from steppe.core.errors import InputError
from steppe.curves import check_curves, mean_curves, metrics


@pytest.fixture
def dataset() -> xr.Dataset:
    values = np.arange(2 * 2 * 3 * 5, dtype=np.float32).reshape(2, 2, 3, 5)
    attrs = {"unit": "1", "long_name": "L2 distance"}
    return xr.Dataset(
        {
            "l2": (("kind", "mode", "sample", "step"), values, attrs),
            "base_norm": ("sample", np.ones(3)),
            "length": (("mode", "step"), np.ones((2, 5))),
        },
        coords={"kind": ["real", "random"], "mode": ["absolute", "relative"]},
    )


def test_a_good_dataset(dataset: xr.Dataset) -> None:
    assert check_curves(dataset) is dataset
    assert metrics(dataset) == ["l2"]
    plateaus = dataset.rename(mode="context").transpose("context", "kind", ...)
    assert check_curves(plateaus) is plateaus


def test_all_faults_at_once(dataset: xr.Dataset) -> None:
    bad = dataset.assign_coords(kind=["real", "real"]).drop_vars("mode")
    bad["l2"] = bad["l2"].astype(int).drop_attrs()
    bad["kl"] = (("sample", "step"), np.zeros((3, 5)), {"unit": "nats", "long_name": "KL"})
    bad["base_norm"] = ("step", np.ones(5))
    with pytest.raises(InputError) as caught:
        check_curves(bad, "runs/x")
    assert caught.value.place == "runs/x"
    assert caught.value.got == (
        "a label of kind twice: real, real; dimension mode without labels; "
        "l2 of type int64; l2 without unit and long_name; kl over sample, step; "
        "base_norm over step, not sample"
    )


def test_nothing_of_curves() -> None:
    with pytest.raises(InputError, match="no dimension kind, sample, step; no metric"):
        check_curves(xr.Dataset())


def test_mean_over_samples_leaves_nan_out(dataset: xr.Dataset) -> None:
    dataset["l2"][0, 0, 0, 0] = np.nan
    mean = mean_curves(dataset["l2"])
    assert mean.dims == ("kind", "mode", "step")
    assert mean.attrs["n"] == 3
    assert float(mean[0, 0, 0]) == 7.5
