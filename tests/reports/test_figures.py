"""Figures hold the kinds in the paper's colours, with units and n, and become files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from steppe.reports import (
    Drawing,
    Setting,
    example_curves,
    label_of,
    latent_cosines,
    latent_counts,
    save_drawing,
    step_distribution,
    style_of,
)

SETTING = Setting(
    "demo",
    {"absolute": "step (0.505 units each)", "relative": "step (1/99 of the way each)"},
    "Scaled.",
)
KINDS = ["real", "random", "synthetic_baseline", "synthetic_structured"]


def steps(samples: int = 50) -> xr.DataArray:
    values = np.random.default_rng(0).integers(20, 80, size=(4, 2, samples)).astype(float)
    return xr.DataArray(
        values,
        dims=("kind", "mode", "sample"),
        coords={"kind": KINDS, "mode": ["absolute", "relative"]},
        attrs={"long_name": "max slope (MS) step", "short_name": "MS", "metric": "l2"},
    )


def curves() -> xr.Dataset:
    values = np.linspace(0, 1, 100) * np.arange(1, 9).reshape(2, 4, 1)
    dims = ("kind", "sample", "step")
    return xr.Dataset(
        {
            "l2": (dims, values, {"unit": "activation units"}),
            "kl": (dims, values, {"unit": "nats"}),
        },
        coords={"kind": KINDS[:2]},
    )


def colors(drawing: Drawing, axes: int) -> list[str]:
    return [to_hex(line.get_color()) for line in drawing.figure.axes[axes].lines]


def legend(drawing: Drawing) -> list[str]:
    return [text.get_text() for text in drawing.figure.legends[0].get_texts()]


def test_the_papers_colours_and_names() -> None:
    found = [to_hex(style_of(kind).color) for kind in (*KINDS, "sae_reconstruction")]
    assert found == ["#ff7f0e", "#1f77b4", "#9467bd", "#2ca02c", "#8c564b"]
    assert label_of("real") == "Model-generated"
    assert label_of("another_kind") == "Another kind"
    assert style_of("another_kind") == style_of("another_kind")


DIFFERENCES = ["real_difference", "cov_random_difference", "isotropic"]
FEATURES = [f"sae_feature_{choice}{sense}" for choice in ("active", "alive", "any")
            for sense in ("", "_against")]  # fmt: skip


@pytest.mark.parametrize(
    "together",
    [
        [*KINDS, "sae_reconstruction", "isotropic", "synthetic_random",
         "synthetic_structured_without_cosine"],
        ["real", "real_foreign", "random"],
        [*DIFFERENCES, "real_mixture", "cov_random_mixture"],
        [*DIFFERENCES, *FEATURES],
        ["real", "random", "added", "removed", "moved"],
        ["real_difference", "cov_random_difference", "random_base"],
    ],
)  # fmt: skip
def test_kinds_that_are_drawn_together_are_told_apart_without_colour(together: list[str]) -> None:
    assert len({str(style_of(kind).dash) for kind in together}) == len(together)


def test_step_distribution() -> None:
    drawing = step_distribution(steps(), SETTING)
    axes = drawing.figure.axes
    assert len(axes) == 4
    assert [ax.get_xlabel() for ax in axes[::2]] == [
        "MS step (0.505 units each)",
        "MS step (1/99 of the way each)",
    ]
    assert [ax.get_ylabel() for ax in axes[:2]] == ["count", "cumulative share"]
    assert colors(drawing, 1) == ["#ff7f0e", "#1f77b4", "#9467bd", "#2ca02c"]
    assert legend(drawing) == [label_of(kind) for kind in KINDS]
    for text in (
        "max slope (MS) step of L2",
        "29 equal bins",
        "n = 50 per kind",
        "demo",
        "Scaled.",
    ):
        assert text in drawing.caption


def test_cumulative_shares_are_the_data() -> None:
    one = steps().isel(mode=0, drop=True)
    line = step_distribution(one, SETTING).figure.axes[1].lines[0]
    values = one.sel(kind="real").values
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    for at, share in zip(x[1:-1], y[1:-1], strict=True):
        assert share == pytest.approx((values <= at).mean())
    assert (y[0], y[-1]) == (0, 1)


def test_histogram_has_29_bins_over_all_kinds() -> None:
    one = steps().isel(mode=0, drop=True)
    filled = step_distribution(one, SETTING).figure.axes[0].patches[0].get_path().vertices
    edges = np.unique(np.asarray(filled)[:, 0])
    np.testing.assert_allclose(edges, np.linspace(float(one.min()), float(one.max()), 30))


def test_what_is_left_out_is_said() -> None:
    given = steps()
    given[0, 0, :3] = np.nan
    given[1, 1] = 99
    caption = step_distribution(given, SETTING, up_to=85).caption
    assert "Left out, as undefined or above 85: 3 of model-generated (absolute paths), " in caption
    assert "50 of random (relative paths)." in caption
    assert "Left out" not in step_distribution(steps(), SETTING).caption


def test_nothing_defined_still_draws() -> None:
    step_distribution(steps() * np.nan, SETTING).figure.draw_without_rendering()


def test_a_single_value_still_draws() -> None:
    given = steps(samples=1) * 0 + 40
    assert step_distribution(given, SETTING).figure.axes[0].get_xlim()[0] < 40


def test_example_curves() -> None:
    found = xr.Dataset({name: curves()["l2"].max("step") * 0 + 10 for name in ("l2", "kl")})
    found["kl"][0, 0] = np.nan
    found["l2"][0, 1] = 100
    drawing = example_curves(
        curves(), found, Setting("demo", {"absolute": "step (0.5 units each)"})
    )
    left, right = drawing.figure.axes
    assert left.get_ylabel() == "L2 distance (activation units)"
    assert right.get_ylabel() == "KL divergence (nats)"
    assert left.get_xlabel() == right.get_xlabel() == "step (0.5 units each)"
    # Three curves with dots and one mean per kind, less a dot for an undefined and a beyond step.
    assert [len(ax.lines) for ax in (left, right)] == [13, 13]
    mean = next(line for line in left.lines if line.get_linewidth() > 2)
    np.testing.assert_allclose(mean.get_ydata(), np.linspace(0, 1, 100) * 2.5)
    assert "n = 4 bases" in drawing.caption
    assert "3 single curves" in drawing.caption
    assert legend(drawing) == ["Model-generated", "Random"]


def test_fewer_samples_than_examples() -> None:
    few = curves().isel(sample=slice(1))
    found = xr.Dataset({name: few["l2"].max("step") for name in ("l2", "kl")})
    assert "1 single curves" in example_curves(few, found, SETTING).caption


def test_latent_counts() -> None:
    l0 = xr.DataArray([1, 2, 3, 4, 90], dims="sample")
    share = xr.DataArray(
        [[60.0, 40, np.nan]] * 5, dims=("sample", "rank"), coords={"rank": [1, 2, 3]}
    )
    drawing = latent_counts(l0, share, SETTING)
    left, right = drawing.figure.axes
    assert right.get_ylabel() == "share of the activation sum (%)"
    widths = {round(patch.get_width(), 9) for patch in left.patches}
    assert widths == {3}  # whole numbers: no bin holds more of them than another
    assert "mean 20.0" in drawing.caption
    assert "mean of rank 1 60.0 %" in drawing.caption
    assert "n = 5 activations" in drawing.caption


def test_latent_cosines() -> None:
    edges = np.linspace(-1, 1, 11)
    counts = np.array([0, 0, 0, 0, 1, 5, 3, 0, 0, 0])
    latents = xr.Dataset(
        {"pair_count": ("bin", counts), "top_count": ("bin", counts)},
        coords={"bin_low": ("bin", edges[:-1]), "bin_high": ("bin", edges[1:])},
        attrs={"pooled_pair_cosine": 0.29, "pooled_top_cosine": 0.18},
    )
    drawing = latent_cosines(latents, SETTING)
    assert [ax.get_xlabel() for ax in drawing.figure.axes] == [
        "cosine between active latents",
        "cosine with the strongest latent",
    ]
    assert "9 pairs, mean 0.290" in drawing.caption


def test_files_and_captions_twice_the_same(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        drawing = step_distribution(steps().isel(mode=0, drop=True), SETTING)
        paths = save_drawing(tmp_path / name, "figure_2", drawing)
        assert [path.name for path in paths] == ["figure_2.pdf", "figure_2.png", "figure_2.txt"]
        made.append([path.read_bytes() for path in paths])
    assert made[0] == made[1]
    assert made[0][0].startswith(b"%PDF")
    assert made[0][1].startswith(b"\x89PNG")
    assert b"n = 50 per kind" in made[0][2]


def test_a_figure_is_laid_out_once_and_drawn_once_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []

    def counted(owner: type, name: str) -> None:
        kept = getattr(owner, name)

        def call(*given: Any, **named: Any) -> Any:
            found.append(name)
            return kept(*given, **named)

        monkeypatch.setattr(owner, name, call)

    counted(ConstrainedLayoutEngine, "execute")
    counted(Figure, "draw")
    save_drawing(tmp_path, "figure_2", step_distribution(steps(), SETTING))
    assert found == ["execute", "draw", "draw"]


def test_the_users_settings_stay() -> None:
    before = dict(matplotlib.rcParams)
    step_distribution(steps(), SETTING)
    assert dict(matplotlib.rcParams) == before


def test_no_text_lies_outside_the_figure(texts_outside: Callable[[Figure], list[str]]) -> None:
    drawings = [
        step_distribution(steps(), SETTING),
        example_curves(
            curves(), xr.Dataset({n: curves()["l2"].max("step") for n in ("l2", "kl")}), SETTING
        ),
    ]
    for drawing in drawings:
        assert isinstance(drawing.figure, Figure)
        assert not texts_outside(drawing.figure)
