"""Stable regions: targets of the promised similarity, and curves that are right against by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import steppe
from steppe.core.errors import InputError
from steppe.store import Run
from steppe.studies.janiak2024.study import AFTER_NORM, NEXT, ONE_CHANGED, SAME_TOKEN
from steppe.study.running import kept_directions


@pytest.fixture(scope="module")
def done(tiny_files: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return steppe.run(
        "janiak2024",
        model=tiny_files.model,
        prompts=tiny_files.prompts,
        samples=12,
        moments_samples=100,
        planes=2,
        plane_points=7,
        bootstrap=100,
        device="cpu",
        out=tmp_path_factory.mktemp("janiak") / "run",
    )


def test_curves_are_those_of_the_plain_functions(done: Run, tiny_files: Any) -> None:
    model = steppe.load_model(tiny_files.model, device="cpu")
    curves = done.dataset("interpolations")
    tokens = curves["tokens"].values
    site = "blocks.0.hook_resid_post"
    ends = steppe.read_residuals(model, tokens, site)
    # The target of one sample is the base of the next.
    points = steppe.paths.relative(ends[:-1], ends[1:], n_points=11)
    plain = steppe.measure(
        model,
        tokens[:-1],
        site,
        points,
        ["l2"],
        read=["blocks.last.hook_resid_post", "ln_final.hook_normalized"],
    )
    ours = curves.sel(kind=NEXT, mode="linear").isel(sample=slice(0, -1))
    np.testing.assert_allclose(ours["l2"], plain["l2@blocks.last.hook_resid_post"], atol=1e-4)
    np.testing.assert_allclose(ours[AFTER_NORM], plain[AFTER_NORM], atol=1e-4)


def test_a_part_alone_is_what_it_is_in_the_whole(done: Run, tiny_files: Any, tmp_path: Any) -> None:
    alone = steppe.run(
        "janiak2024", model=tiny_files.model, prompts=tiny_files.prompts, samples=12,
        moments_samples=100, planes=2, plane_points=7, bootstrap=100, device="cpu",
        out=tmp_path / "run", only=("slices",),
    )  # fmt: skip
    assert set(alone.datasets()) == {"slices"}
    distances = [one.dataset("slices")["distance"].values for one in (alone, done)]
    np.testing.assert_array_equal(*distances)
    assert not set(alone.tables) - {"claims"}


def test_similar_prompts_are_nearer(done: Run) -> None:
    distance = done.dataset("interpolations")["target_distance"].mean("sample")
    assert float(distance.sel(kind=ONE_CHANGED)) < float(distance.sel(kind=NEXT))
    assert float(distance.sel(kind=SAME_TOKEN)) < float(distance.sel(kind=NEXT))


def test_corners_of_slices_are_at_no_distance_from_themselves(done: Run) -> None:
    slices = done.dataset("slices")
    distance = slices["distance"].interp(row=0.0, column=[0.0, 1.0]).values
    assert slices["distance"].dims == ("sample", "corner", "row", "column")
    near_a, near_b = distance[:, 0, 0], distance[:, 1, 1]
    assert (near_a < 0.5 * distance[:, 1, 0]).all()
    assert (near_b < 0.5 * distance[:, 0, 1]).all()


def test_every_output_is_written(done: Run) -> None:
    names = {path.stem for path in (done.path / "figures").glob("*.png")}
    assert names == {"curves", "untrained_curves", "slices"}
    assert set(done.tables) == {
        "sharpness",
        "sharpness_before_norm",
        "untrained_sharpness",
        "claims",
    }
    assert (done.tables["sharpness"]["mean"] >= 1).all()


def test_directions_that_were_asked_for_are_targets_too(tiny_files: Any, tmp_path: Any) -> None:
    run = steppe.run(
        "janiak2024", model=tiny_files.model, prompts=tiny_files.prompts, samples=4,
        moments_samples=100, bootstrap=100, device="cpu", out=tmp_path / "run",
        only=("interpolations",), directions=("pca:1", "pca:1_against"),
    )  # fmt: skip
    curves = run.dataset("interpolations").sel(mode="linear")
    kept = kept_directions(run.path)
    assert kept is not None
    model = steppe.load_model(tiny_files.model, device="cpu")
    site, tokens = "blocks.0.hook_resid_post", curves["tokens"].values
    base = steppe.read_residuals(model, tokens, site)
    for kind, sign in (("pca:1", 1.0), ("pca:1_against", -1.0)):
        length = torch.from_numpy(curves["target_distance"].sel(kind=kind).values)[:, None, None]
        shares = torch.linspace(0, 1, 11)[:, None]
        points = base[:, None] + sign * length * shares * kept.vectors[0]
        plain = steppe.measure(model, tokens, site, points, ["l2"])
        np.testing.assert_allclose(curves["l2"].sel(kind=kind), plain["l2"], atol=1e-4)


def test_a_direction_that_is_no_target_is_refused(tiny_files: Any) -> None:
    with pytest.raises(InputError, match="towards_zero"):
        steppe.run(
            "janiak2024", model=tiny_files.model, prompts=tiny_files.prompts, device="cpu",
            directions=("towards_zero",),
        )  # fmt: skip
