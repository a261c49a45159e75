"""A page with two datasets of known curves, prompts that hold HTML, a table, a figure, claims."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

from steppe.reports.drawing import Drawing, save_drawing
from steppe.reports.page import Page, PageClaim
from steppe.reports.summary import FigureEntry, TableEntry

HOSTILE = "<script>window.broken = 1</script><img src=x onerror='window.broken = 1'>"
TOKENS = {0: " the", 1: " sea", 2: HOSTILE, 3: "\u202egnol\u0007"}
SAMPLES, STEPS = 12, 21


def curves_of(samples: int = SAMPLES, steps: int = STEPS) -> xr.Dataset:
    """Two kinds on two paths: step functions at a step that is known for each."""
    places = 3 + (np.arange(2)[:, None, None] * 5 + np.arange(samples) % 4)
    places = np.broadcast_to(places, (2, 2, samples))
    rise = 1 / (1 + np.exp(-4.0 * (np.arange(steps) - places[..., None] - 0.5)))
    heights = 1 + np.arange(samples) % 3
    l2 = (rise * heights[:, None]).astype(np.float32)
    dims = ("kind", "mode", "sample", "step")
    tokens = np.stack([np.zeros(samples), np.arange(samples) % 4], axis=1).astype(np.int64)
    return xr.Dataset(
        {
            "cosine": (dims, 1 - l2 / 10, {"unit": "1", "long_name": "cosine to the base"}),
            "l2": (dims, l2, {"unit": "activation units", "long_name": "L2 distance"}),
            "tokens": (("sample", "position"), tokens),
            "base_norm": (("sample",), np.arange(samples) + 40.0),
            "target_distance": (("kind", "sample"), np.full((2, samples), 7.0)),
            "linear_position": (("step",), np.linspace(0, 1, steps), {"unit": "fraction"}),
        },
        coords={
            "kind": ["real", "random"],
            "mode": ["linear", "arc"],
            "sample": np.arange(samples) + 100,
        },
    )


def next_tokens_of(samples: int = 5) -> xr.Dataset:
    """Two tokens at three places of every path, of the first samples; the second is surer."""
    shape = (2, 2, samples, 3, 2)
    tokens = np.broadcast_to(np.array([[0, 1], [1, 2], [2, 0]]), shape).copy()
    tokens[1] = 1
    dims = ("kind", "mode", "sample", "place", "rank")
    shares = np.broadcast_to(np.array([0.75, 0.125]), shape).astype(np.float32)
    return xr.Dataset(
        {
            "next_token": (dims, tokens.astype(np.int32)),
            "probability": (dims, shares),
            "step_of_place": (("place",), [0, 10, 20]),
        },
        coords={
            "kind": ["real", "random"],
            "mode": ["linear", "arc"],
            "sample": np.arange(samples) + 100,
        },
    )


def planes_of(samples: int = 2) -> xr.Dataset:
    """KL over a grid of four rows and five columns, from three corners; one place is undefined."""
    kl = np.arange(samples * 60, dtype=np.float32).reshape(samples, 3, 4, 5) % 53
    kl[0, 0, 1, 2] = np.nan
    tokens = np.stack([np.arange(samples) % 2, np.ones(samples)], axis=1).astype(np.int64)
    corners = np.broadcast_to(np.array([[0.0, 0.0], [4.0, 0.0], [1.0, 3.0]]), (samples, 3, 2))
    return xr.Dataset(
        {
            "kl": (("sample", "corner", "row", "column"), kl, {"unit": "nats", "long_name": "KL"}),
            "corners": (("sample", "corner", "axis"), corners),
            "first": (("sample", "column"), np.broadcast_to(np.arange(5.0), (samples, 5))),
            "second": (("sample", "row"), np.broadcast_to(np.arange(4.0), (samples, 4))),
            "tokens": (("sample", "position"), tokens),
        },
        coords={"sample": np.arange(samples), "corner": ["base", "second", "third"]},
    )


def triangles_of() -> xr.Dataset:
    """An angle at six places of a triangle, from two kinds of corner; one place has none."""
    weights = np.array([[2, 0, 0], [1, 1, 0], [1, 0, 1], [0, 2, 0], [0, 1, 1], [0, 0, 2]]) / 2
    angles = np.arange(24.0, dtype=np.float32).reshape(2, 2, 6) + 30
    angles[1, 0, 4] = np.nan
    corners = np.full((2, 2, 3, 2), -1)
    corners[0, :, 0] = [[1, 1], [0, 2]]
    about = {"unit": "degrees", "long_name": "crossing"}
    return xr.Dataset(
        {
            "crossing": (("kind", "sample", "point"), angles, about),
            "weights": (("point", "corner"), weights),
            "corner_tokens": (("kind", "sample", "corner", "position"), corners),
        },
        coords={"kind": ["real", "random"], "sample": [7, 8]},
    )


@pytest.fixture
def page(tmp_path: Path) -> Page:
    figure = Figure(figsize=(3, 2))
    figure.subplots().plot([0, 1])
    save_drawing(tmp_path, "figure_1", Drawing(figure, "A line."))
    table = pd.DataFrame(
        {"kind": ["real", HOSTILE], "mean": [1.0, 2.0], "mean_low": [0.5, np.nan],
         "mean_high": [1.5, np.nan]}
    )  # fmt: skip
    links = [f"https://www.neuronpedia.org/m/1/{one}" for one in range(600)]
    means = (np.arange(600) * 7 % 600) - 300.0
    latents = [f"latent {one}" for one in range(600)]
    long = pd.DataFrame({"latent": latents, "mean": means, "place": links})
    long.loc[3, "mean"], long.loc[4, "place"] = np.nan, "https://elsewhere.org/"
    claim = {
        "id": "P1", "statement": f"It holds {HOSTILE}.", "number": 0.4, "low": 0.2, "high": 0.6,
        "verdict": "holds", "verdict_holm": "undecided", "quantity": "mean", "published": np.nan,
    }  # fmt: skip
    return Page(
        title=f"A run {HOSTILE}",
        sentence="p on demo: 12 samples.",
        facts={"prompts": HOSTILE, "seed": 0},
        claims=[PageClaim(claim, ["figure_1", "table_1"])],
        claims_note="Of 1 claim 1 holds.",
        tables=[TableEntry("table_1", table, "A table."), TableEntry("long", long, "Latents.")],
        figures=[FigureEntry("figure_1", "A line.")],
        folder=tmp_path,
        datasets={
            "curves": curves_of(),
            "other": curves_of(3, 5).drop_vars("tokens"),
            "curves_next_tokens": next_tokens_of(),
            "planes": planes_of(),
            "triangles": triangles_of(),
        },
        tokens=TOKENS,
    )
