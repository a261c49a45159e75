"""Adaptive points in a study: the same numbers where they are computed, and how far they agree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import steppe
from steppe.core.errors import InputError
from steppe.curves import COMPUTED, metrics
from steppe.settings.study_settings import BaseSettings, PointSettings
from steppe.statistics import max_slope_step, steps_of
from steppe.statistics.refinement import around, interpolated, marked, refine
from steppe.store import Run
from steppe.study import ControlPart, CurveFigure, CurvePart, MeanTable, Study, adaptive
from steppe.study.agreement import Agreement, compared

STATISTICS = ("max_slope", "area")
# Read off as well, without points of its own.
FURTHER = "nonlinearity"
N_POINTS = 61


class Settings(BaseSettings, PointSettings):
    study: Literal["probe"] = "probe"
    site: str = "blocks.1.hook_resid_pre"


def steps_of_l2(_settings: Any, _constants: Any, curves: xr.Dataset) -> dict[str, xr.DataArray]:
    return {f"{name} of l2": steps_of(curves["l2"], name) for name in STATISTICS}


def further_of_l2(_settings: Any, _constants: Any, curves: xr.Dataset) -> dict[str, xr.DataArray]:
    return {f"{FURTHER} of l2": steps_of(curves["l2"], FURTHER)}


def study(kinds: tuple[str, ...], read_off: Any = steps_of_l2) -> Study:
    paths = ("linear", "arc")
    part = CurvePart(
        "paths", kinds, paths, ("l2", "kl"), N_POINTS, read_off=read_off, also_read=further_of_l2
    )
    return Study(
        name="probe",
        question="Does it run?",
        settings=Settings,
        parts=lambda _: [part],
        derived={"steps": lambda a: steps_of_l2(None, None, a.datasets["paths"])["area of l2"]},
        tables=[MeanTable("mean_steps", "Mean area step.", of="steps")],
        figures=[CurveFigure("drawn", "L2.", of="paths/l2", dataset="paths", y_label="L2")],
    )


def run(files: Any, out: Path, kinds: tuple[str, ...] = ("real", "isotropic"), **asked: Any) -> Run:
    made = study(kinds, **{k: asked.pop(k) for k in ("read_off",) if k in asked})
    settings = {"points": "adaptive", "samples": 6, "moments_samples": 100, **asked}
    files = {"model": files.model, "prompts": files.prompts}
    return steppe.run(made, **files, **settings, device="cpu", bootstrap=100, out=out)


@pytest.fixture(scope="module")
def runs(tiny_files: Any, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Run]:
    folder = tmp_path_factory.mktemp("adaptive")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adaptive, "CHECKED_SHARE", 0.5)
        found = run(tiny_files, folder / "adaptive")
    return {"adaptive": found, "full": run(tiny_files, folder / "full", points="full")}


def test_what_is_computed_is_what_all_points_give(runs: Mapping[str, Run]) -> None:
    full, some = (runs[name].dataset("paths").load() for name in ("full", "adaptive"))
    assert {*metrics(some)} == {*metrics(full)} == {"l2", "kl"}
    assert some["l2"].attrs["long_name"] == "L2 distance to the base, at adaptive points"
    assert full["l2"].attrs["long_name"] == "L2 distance to the base"
    for name in ("l2", "kl"):
        how = some[f"{name}_points"].values
        span = np.ptp(full[name].values, axis=-1, keepdims=True)
        off = np.abs(some[name].values - full[name].values) / span
        assert off[how != 0].max() < 1e-5
        assert off.max() < 0.02
        assert 0.1 < (how == COMPUTED).mean() < 0.6
    assert not [name for name in full.data_vars if str(name).endswith("_points")]


def test_curves_that_are_checked_hold_all_points_and_say_which_were_asked_for(
    runs: Mapping[str, Run],
) -> None:
    some = runs["adaptive"].dataset("paths").load()
    how = some["l2_points"].values
    checked = (how == 2).any(axis=-1)
    assert 0.2 < checked.mean() < 0.8
    assert (how[checked] > 0).all()
    assert set(np.unique(how[~checked])) == {0, 1}
    spline = interpolated(some["l2"].values[~checked], how[~checked] == COMPUTED)
    assert np.array_equal(spline, some["l2"].values[~checked])


def test_a_run_says_how_far_its_points_agree(runs: Mapping[str, Run]) -> None:
    done = runs["adaptive"]
    table = pd.read_csv(done.path / "tables" / "agreement.csv", keep_default_na=False)
    rows = {(row.metric, row.statistic): row for row in table.itertuples()}
    assert list(rows) == [("kl", ""), *(("l2", name) for name in (*STATISTICS, FURTHER))]
    full, some = (runs[name].dataset("paths").load() for name in ("full", "adaptive"))
    checked = (some["l2_points"].values == 2).any(axis=-1)
    rebuilt = some.copy(deep=True)
    asked = some["l2_points"].values[checked] == COMPUTED
    rebuilt["l2"].values[checked] = interpolated(some["l2"].values[checked], asked)
    for name in (*STATISTICS, FURTHER):
        exact, ours = (steps_of(one["l2"], name).values[checked] for one in (full, rebuilt))
        assert int(rows["l2", name].n) == checked.sum()
        assert float(rows["l2", name].equal) == pytest.approx((exact == ours).mean())
    summary = (done.path / "summary.md").read_text()
    assert f"of {N_POINTS} (paths) points of a path were computed" in summary
    assert "agreement with all points" in summary
    for made in ("tables/mean_steps.md", "figures/drawn.txt"):
        assert "Adaptive points: on average" in (done.path / made).read_text()
    record = json.loads((done.path / "provenance.json").read_text())[-1]
    assert [row["statistic"] for row in record["agreement"]] == ["", *STATISTICS, FURTHER]
    assert record["points"]["paths"][1] == N_POINTS
    assert "Adaptive" not in (runs["full"].path / "summary.md").read_text()
    assert "agreement" not in json.loads((runs["full"].path / "provenance.json").read_text())[-1]


def test_a_control_has_adaptive_points_and_an_agreement_too(
    tiny_files: Any, tmp_path: Path
) -> None:
    (part,) = study(("real",)).parts(None)
    made = Study("probe", "?", lambda _: [ControlPart("untrained", part)], settings=Settings)
    files = {"model": tiny_files.model, "prompts": tiny_files.prompts, "device": "cpu"}
    done = steppe.run(made, **files, samples=4, points="adaptive", out=tmp_path / "run")
    table = pd.read_csv(done.path / "tables" / "agreement.csv")
    assert set(table["dataset"]) == {"untrained"}
    assert "l2_points" in done.dataset("untrained")


def test_a_curve_hangs_on_nothing_but_its_own_sample(
    tiny_files: Any, tmp_path: Path, runs: Mapping[str, Run]
) -> None:
    alone = run(tiny_files, tmp_path / "alone", kinds=("real",), samples=4).dataset("paths").load()
    before = runs["adaptive"].dataset("paths").sel(kind=["real"]).isel(sample=slice(4)).load()
    assert np.array_equal(alone["l2_points"] == COMPUTED, before["l2_points"] == COMPUTED)
    same = (alone["l2_points"] == COMPUTED).values
    np.testing.assert_allclose(alone["l2"].values[same], before["l2"].values[same], rtol=2e-6)


def test_which_curves_are_checked_is_drawn_by_their_own_labels() -> None:
    labels = {"kind": ["real", "random"], "mode": ["absolute"]}
    found = adaptive.checked(0, "curves", labels, range(2000))
    assert found.shape == (2, 1, 2000)
    assert 0.01 < found.mean() < 0.03
    more = adaptive.checked(0, "curves", {**labels, "kind": ["other", "random"]}, range(5, 2000))
    assert np.array_equal(more[1], found[1, :, 5:])
    assert not np.array_equal(found[0], found[1])
    assert not np.array_equal(adaptive.checked(1, "curves", labels, range(2000)), found)


def test_a_part_that_reads_nothing_off_is_measured_in_full(
    tiny_files: Any, tmp_path: Path, runs: Mapping[str, Run]
) -> None:
    done = run(tiny_files, tmp_path / "run", read_off=None).dataset("paths").load()
    assert done.identical(runs["full"].dataset("paths").load())


def test_how_many_points_run_is_not_known_before() -> None:
    (part,) = study(("real",)).parts(None)
    assert isinstance(part, CurvePart)
    assert part.points_of(Settings(samples=3)) == 3 * 2 * N_POINTS
    assert part.points_of(Settings(samples=3, points="adaptive")) is None


def test_half_precision_is_refused_before_weights_are_read() -> None:
    with pytest.raises(ValueError, match="adaptive in bfloat16"):
        Settings(points="adaptive", dtype="bfloat16")


def test_a_metric_of_whole_paths_is_refused(tiny_files: Any, tmp_path: Path) -> None:
    part = CurvePart("paths", ("real",), metrics=("relative_distance",), read_off=steps_of_l2)
    made = Study("probe", "Does it run?", lambda _: [part], settings=Settings)
    files = {"model": tiny_files.model, "prompts": tiny_files.prompts, "device": "cpu"}
    with pytest.raises(InputError, match="metrics of whole paths: relative_distance"):
        steppe.run(made, **files, samples=2, points="adaptive", out=tmp_path / "run")


def test_each_statistic_rests_on_points_of_its_own() -> None:
    flat = {"l2": np.zeros((1, 11))}

    def points(name: str, *steps: float, curves: Any = flat) -> list[int]:
        attrs = {"metric": "l2", "statistic": name}
        read = {str(one): xr.DataArray([one], dims="sample", attrs=attrs) for one in steps}
        return np.flatnonzero(adaptive.points_that_count(read, curves, [])["l2"][0]).tolist()

    assert points("area", 6.0) == [5, 6, 7]
    assert points("plateau", 6.0) == [5, 6]
    assert points("plateau", 6.0, 9.0) == [5, 6, 8, 9]
    assert points("of_my_own", 6.0) == [4, 5, 6, 7]
    # Rises of 5, 4.5 and 3 among ones of 1: the second may be the steepest, too.
    rises = np.array([0.0, 1, 5, 1, 1, 1, 4.5, 1, 1, 3, 1])
    two = {"l2": np.cumsum(rises)[None]}
    assert points("max_slope", 2.0, curves=two) == [0, 1, 2, 3, 4, 5, 6, 7]


def test_agreement_by_value() -> None:
    exact = np.array([1.0, 2.0, 3.0, 4.0, np.nan, np.nan, 7.0, 8.0])
    found = np.array([1.0, 3.0, 5.0, 4.0, np.nan, 6.0, np.nan, 8.0])
    assert compared(exact, found) == {
        "n": 8,
        "equal": 4 / 8,
        "within_one": 5 / 8,
        "largest_difference": 2,
        "undefined_in_one": 2,
    }


def test_a_spike_that_no_point_meets_is_what_the_check_finds() -> None:
    """One curve of four has a spike between points of the first grid."""
    curves = np.tile(np.linspace(0, 1, 101, dtype=np.float32) ** 2, (4, 1))
    curves[2, 43] += 5
    steepest = max_slope_step(curves)
    found = refine(
        lambda _: {"x": curves},
        lambda now: {"x": around(marked(max_slope_step(now["x"]), 101), (-2, 1))},
        ["x"],
        curves.shape,
    )["x"]
    told = compared(steepest, max_slope_step(found.values))
    assert told["within_one"] == 0.75
    assert told["largest_difference"] == 100 - 43


def row(statistic: str, n: int, near: float) -> dict[str, Any]:
    known = {"dataset": "curves", "metric": "l2", "statistic": statistic, "n": n}
    return {**known, "equal": near, "within_one": near, "largest_difference": 3.0}


def test_too_little_agreement_is_said_in_words() -> None:
    good, bad = row("area", 100, 1.0), row("max_slope", 100, 0.98)
    table = pd.DataFrame([row("", 0, np.nan), row("plateau", 0, np.nan), good, bad])
    told = Agreement(table, {"curves": (30.0, 100)}).verdict
    assert "99.00% of the steps equal" in told
    assert "LESS THAN 99% WITHIN ONE STEP: curves, max_slope of l2: 98.00% of 100 steps" in told
    assert "--points full" in told
    assert "LESS THAN" not in Agreement(pd.DataFrame([good]), {}).verdict
    assert "not measured" in Agreement(pd.DataFrame([row("area", 0, np.nan)]), {}).verdict
