"""Compositions: paired with giglemiani2024's own plateaus, and claims on steps that are planted."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import xarray as xr

import steppe
from steppe.core.axes import CONTEXT, KIND, SAMPLE
from steppe.store import Run
from steppe.studies.compositions.claims import BAG, CLAIMS, HALF, REAL, RECONSTRUCTED
from steppe.studies.compositions.settings import KINDS, Settings
from steppe.studies.compositions.study import answer_table, recovered
from steppe.study import Analysis

DIRECTIONS = ("random:2", "random:2_against")
SMALL: dict[str, Any] = {"samples": 4, "moments_samples": 200, "bootstrap": 100, "device": "cpu"}


def run(study: str, tiny_files: Any, folder: Any, **asked: Any) -> Run:
    return steppe.run(
        study, model=tiny_files.model, prompts=tiny_files.prompts, sae=tiny_files.sae,
        **SMALL, **asked, out=folder / study,
    )  # fmt: skip


@pytest.fixture(scope="module")
def done(tiny_files: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("compositions")
    return run("compositions", tiny_files, folder, directions=DIRECTIONS)


def test_curves_are_those_of_giglemiani2024(done: Run, tiny_files: Any, tmp_path: Any) -> None:
    kinds = ("real", "random", "composed_gibbs", "composed_dial:0.5", *DIRECTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steppe.execution.computing._report", lambda _study, _part: True)
        other = run("giglemiani2024", tiny_files, tmp_path, kinds=kinds, reading="text")
    for dataset in ("curves", "plateaus"):
        ours, theirs = (one.dataset(dataset)["l2"] for one in (done, other))
        shared = {KIND: list(kinds)} | ({"mode": ["absolute"]} if dataset == "curves" else {})
        np.testing.assert_array_equal(ours.sel(shared), theirs.sel(shared))


def test_bases_of_every_kind_stand_in_the_same_prompt(done: Run) -> None:
    plateaus = done.dataset("plateaus")["l2"]
    assert [str(kind) for kind in plateaus[KIND].values] == [*KINDS, *DIRECTIONS]
    both = [plateaus.sel({CONTEXT: one}) for one in ("native", "foreign")]
    same = [bool(np.array_equal(*(one.sel({KIND: kind}) for one in both))) for kind in KINDS]
    assert same == [kind != "real" for kind in KINDS]


def test_the_answer_has_a_row_a_kind(done: Run) -> None:
    table = done.table("answer").set_index("kind")
    assert list(table.index) == [*KINDS, *DIRECTIONS]
    assert table.loc["real", "plateau_ks"] == table.loc["real", "slope_ks"] == 0
    assert set(done.claims["id"]) == {claim.id for claim in CLAIMS}
    assert [path.name for path in done.figures] == ["answer.pdf", "answer.png"]


def planted(plateaus: dict[str, float], slopes: dict[str, float]) -> Analysis:
    """60 samples whose steps are spread by one about planted means."""
    noise = np.random.default_rng(0).normal(size=(len(KINDS), 60))

    def steps(means: dict[str, float]) -> xr.DataArray:
        values = noise + np.array([[means.get(kind, 0.0)] for kind in KINDS])
        return xr.DataArray(values, {KIND: list(KINDS)}, (KIND, SAMPLE))

    derived = {"plateau_steps": lambda _: steps(plateaus), "slope_steps": lambda _: steps(slopes)}
    return Analysis(cast(Run, None), Settings(bootstrap=200), derived)


def verdicts(plateaus: dict[str, float], slopes: dict[str, float]) -> dict[str, str]:
    analysis = planted(plateaus, slopes)
    return {claim.id: claim.decide(claim.values(analysis)).verdict for claim in CLAIMS}


def test_claims_say_what_was_planted() -> None:
    kept = dict.fromkeys((REAL, RECONSTRUCTED, HALF, "composed_permuted"), 4.0)
    found = verdicts(kept | {"composed_gibbs": 2.0, "composed_weighted": -2.0}, kept)
    expected = {
        "CO1": "holds", "CO2": "holds", "CO3": "holds", "CO6": "does not hold",
        "CO7": "holds", "CO9": "holds", "CO10": "holds", "CO11": "holds", "CO12": "holds",
    }  # fmt: skip
    assert {id_: found[id_] for id_ in expected} == expected
    turned = verdicts({REAL: 4.0, RECONSTRUCTED: 0.5, BAG: 0.0}, {BAG: 0.0, REAL: 0.0})
    assert turned["CO2"] == "does not hold"


def test_what_is_recovered_lies_between_bag_and_real() -> None:
    ends = np.array([1.0, 3.0]), np.array([5.0, 9.0])
    assert [recovered(one, *ends) for one in (*ends, (ends[0] + ends[1]) / 2)] == [0, 1, 0.5]
    table = answer_table(planted({REAL: 4.0, RECONSTRUCTED: 3.0}, {})).set_index("kind")
    bag = table.loc[BAG, "plateau"]
    parts = (table["plateau"] - bag) / (table.loc[REAL, "plateau"] - bag)
    np.testing.assert_allclose(table["recovered"], parts)
    assert 0.6 < table.loc[RECONSTRUCTED, "recovered_low"] < 0.75
    # Where there is no gap, no part of it is told.
    assert answer_table(planted({}, {}))["recovered"].isna().all()
