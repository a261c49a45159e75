"""Rows per kind and mode, and published values beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from steppe.comparisons import beside, compare, read_published
from steppe.core.errors import InputError

COLUMNS = ["kind", "mode", "n", "mean", "std", "ks"]
COLUMNS += ["mean_low", "mean_high", "ks_low", "ks_high"]
COLUMNS += ["ks_is_upper_bound", "undefined"]


def steps(kinds: tuple[str, ...] = ("real", "random"), samples: int = 40) -> xr.DataArray:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 100, size=(len(kinds), 2, samples)).astype(float)
    coords = {"kind": list(kinds), "mode": ["absolute", "relative"]}
    return xr.DataArray(values, dims=("kind", "mode", "sample"), coords=coords)


def table(given: xr.DataArray, resamples: int = 50) -> pd.DataFrame:
    return compare(given, generator=np.random.default_rng(7), resamples=resamples)


def test_columns_rows_and_numbers() -> None:
    given = steps()
    given[1, 0, :3] = np.nan
    rows = table(given)
    assert list(rows.columns) == COLUMNS
    assert rows[["mode", "kind"]].to_numpy().tolist() == [
        ["absolute", "real"],
        ["absolute", "random"],
        ["relative", "real"],
        ["relative", "random"],
    ]
    values = given.sel(kind="random", mode="absolute").values[3:]
    row = rows.iloc[1]
    assert (row["n"], row["undefined"]) == (37, 3)
    assert row["mean"] == pytest.approx(values.mean())
    assert row["std"] == pytest.approx(values.std(ddof=0))
    assert row["mean_low"] < row["mean"] < row["mean_high"]
    assert rows["ks"].iloc[0] == rows["ks"].iloc[2] == 0


def test_a_further_kind_changes_no_other_row() -> None:
    few = table(steps())
    many = table(xr.concat([steps(), steps(("isotropic",)) / 2], "kind"))
    few_again = many[many["kind"] != "isotropic"].reset_index(drop=True)
    pd.testing.assert_frame_equal(few, few_again)


def test_contexts_and_single_groups() -> None:
    contexts = steps().rename(mode="context").transpose("context", "kind", "sample")
    assert list(table(contexts).columns) == ["kind", "context", *COLUMNS[2:]]
    assert list(table(steps().isel(mode=0, drop=True)).columns) == ["kind", *COLUMNS[2:]]


@pytest.mark.parametrize("samples", [1, 3])
def test_few_or_undefined_samples(samples: int) -> None:
    given = steps(samples=samples)
    given[1] = np.nan
    rows = table(given)
    undefined = rows[rows["kind"] == "random"]
    assert undefined["n"].tolist() == [0, 0]
    assert undefined[["mean", "std", "ks", "mean_low", "ks_high"]].isna().all(axis=None)
    assert rows[rows["kind"] == "real"]["mean_low"].isna().all() == (samples == 1)


def test_the_reference_must_be_there() -> None:
    with pytest.raises(InputError, match="one of random"):
        table(steps(("random",)))


def test_dimensions_must_fit() -> None:
    with pytest.raises(InputError, match="kind, mode, sample, step"):
        table(steps().expand_dims(step=2).transpose("kind", "mode", "sample", "step"))
    with pytest.raises(InputError, match="got:      dimensions mode, sample"):
        table(steps().isel(kind=0))


@pytest.fixture
def published(tmp_path: Path) -> pd.DataFrame:
    path = tmp_path / "published.csv"
    path.write_text(
        "table,mode,kind,mean,std,ks\n"
        "table_1,absolute,real,41.11,10.40,0.00\n"
        "table_1,absolute,random,52.49,10.21,0.45\n"
        "table_9,absolute,random,1,2,3\n"
        "figure_3,foreign,real,16.4,4.3,\n"
    )
    return read_published(path)


def ours(mean: float = 41.5, ks: float = 0.42) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "kind": ["real", "random", "isotropic"],
            "mode": "absolute",
            "n": 1000,
            "mean": [mean, 52.0, 60.0],
            "std": [10.0, 10.9, 1.0],
            "ks": [0.0, ks, 0.9],
            "undefined": 0,
        }
    )


def test_published_values_beside_ours(published: pd.DataFrame) -> None:
    joined = beside(ours(), published, "table_1")
    assert list(joined.columns) == [
        *["kind", "mode", "n", "mean", "std", "ks"],
        *["published_mean", "published_std", "published_ks", "undefined"],
    ]
    assert joined["kind"].tolist() == ["real", "random", "isotropic"]
    assert joined["published_mean"].tolist()[:2] == [41.11, 52.49]
    assert np.isnan(joined["published_ks"][2])


def test_a_verdict_only_where_it_is_fair(published: pd.DataFrame) -> None:
    verdicts = beside(ours(), published, "table_1", comparable=True)["verdict"]
    assert verdicts.tolist() == ["reproduced", "reproduced", "not comparable"]
    far = beside(ours(mean=43.0, ks=0.52), published, "table_1", comparable=True)["verdict"]
    assert far.tolist() == ["differs", "differs", "not comparable"]


def test_contexts_are_published_as_modes(published: pd.DataFrame) -> None:
    plateaus = ours().rename(columns={"mode": "context"}).assign(context="foreign", mean=16.0)
    joined = beside(plateaus, published, "figure_3", comparable=True)
    assert joined["published_mean"].tolist()[0] == 16.4
    assert "mode" not in joined.columns
    assert joined["verdict"][0] == "differs"  # the standard deviation


def test_a_table_that_was_not_published(published: pd.DataFrame) -> None:
    joined = beside(ours(), published, "table_x")
    assert joined["published_mean"].isna().all()


@pytest.mark.parametrize("content", [None, "", "table,kind\na,b\n"])
def test_unreadable_published_values(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "p.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match="columns table, mode, kind, mean, std, ks"):
        read_published(path)
