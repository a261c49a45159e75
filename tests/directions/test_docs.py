"""The snippets of docs/directions.md run as they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from steppe.core.fixed_directions import FIXED_KINDS, fixed_direction
from steppe.directions import read_pairs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "directions.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def names(run_snippets: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the snippets define."""
    defined: dict[str, Any] = run_snippets(
        "directions.md", 5, tmp_path_factory.mktemp("directions")
    )
    return defined


def test_curves_and_crossings_follow_fixed_directions(names: dict[str, Any]) -> None:
    assert list(names["angles"]["draw"].values) == [
        "formality", "formality_against", "happy", "calm",
    ]  # fmt: skip
    assert np.isfinite(names["angles"]["crossing"].values).any()
    ratio = names["curves"]["linear_prediction"].values
    assert np.isfinite(ratio[:, 1:]).all()
    assert np.abs(ratio[:, 1] - 1).max() < np.abs(ratio[:, -1] - 1).max()


def test_a_study_takes_their_names(names: dict[str, Any]) -> None:
    run = names["run"]
    assert list(run.curves["kind"].values) == [
        "real", "contrastive:formality", "contrastive:formality_against", "pca:1", "pca:2",
    ]  # fmt: skip
    assert "from casual to formal" in (run.path / "summary.md").read_text()
    assert len(run.table("table_1"))


def test_every_name_of_the_table_is_one() -> None:
    table = TEXT.split("| name | direction |")[1].split("\n\n")[0]
    found = re.findall(r"`([a-z_]+(?::[^`]+)?)`", table)
    known = [name for name in found if fixed_direction(name) is not None]
    assert {fixed_direction(name).kind.name for name in known} == {*FIXED_KINDS}  # type: ignore[union-attr]
    assert set(found) - set(known) == {"_against"}


def test_the_pages_pairs_are_pairs(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert yaml.safe_load(block)
    path = tmp_path / "pairs.yaml"
    path.write_text(block)
    assert len(read_pairs(path)["mood"]) == 2
