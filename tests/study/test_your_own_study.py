"""The documentation's snippets on kinds, paths, metrics and studies of your own run as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib.figure
import numpy as np
import pytest

from steppe.activations import KINDS
from steppe.metrics import CATALOGUE as METRICS
from steppe.paths import DIRECTIONS, PATHS
from steppe.settings.catalogue import STUDIES
from steppe.statistics import CATALOGUE as STATISTICS

REGISTRIES: list[Any] = [KINDS, DIRECTIONS, PATHS, METRICS, STATISTICS, STUDIES]


@pytest.fixture(scope="module")
def names(run_snippets: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the snippets define."""
    before = [dict(registry._entries) for registry in REGISTRIES]
    defined: dict[str, Any] = run_snippets("your_own_study.md", 7, tmp_path_factory.mktemp("own"))
    yield defined
    for registry, entries in zip(REGISTRIES, before, strict=True):
        registry._entries = entries


def test_several_read_sites_are_one_pass(names: dict[str, Any]) -> None:
    assert isinstance(names["figure"], matplotlib.figure.Figure)
    assert set(names["curves"].data_vars) == {"l2", "margin"}
    crossing = names["found"]["crossing"].values
    assert ((crossing > 0) & (crossing < 180))[np.isfinite(crossing)].all()
    assert np.isfinite(crossing).any()


def test_own_kind_path_and_metric_are_measured_by_a_study(names: dict[str, Any]) -> None:
    curves = names["run"].dataset("paths")
    assert list(curves["kind"].values) == ["real", "half_random"]
    assert list(curves["mode"].values) == ["linear", "there_and_back"]
    np.testing.assert_array_equal(curves["l2"].isel(step=0), 0)
    back = curves["l2"].sel(mode="there_and_back").isel(step=-1)
    assert float(back.max()) < 1e-3 * float(curves["l2"].max())
    assert (curves["margin"] >= 0).all()


def test_its_report_has_its_table_figure_and_claim(names: dict[str, Any]) -> None:
    folder = names["run"].path
    assert (folder / "figures" / "curves.png").is_file()
    claims = names["run"].claims
    assert list(claims["id"]) == ["HW1"]
    summary = (folder / "summary.md").read_text()
    assert "HW1" in summary
    assert "halfway" in summary


def test_token_ids_and_a_model_object_are_enough(names: dict[str, Any]) -> None:
    assert set(names["other"].claims["id"]) == {"JA1", "JA2", "JA3", "JA4"}


def test_a_sweep_is_one_dataset_with_its_axes(names: dict[str, Any]) -> None:
    both = names["both"]
    assert set(both["l2"].dims) == {"kind", "mode", "sample", "step", "site", "seed"}
    assert both.sizes["seed"] == both.sizes["site"] == 2
    assert np.isfinite(both["l2"]).all()
