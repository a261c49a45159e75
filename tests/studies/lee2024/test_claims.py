"""Claims of made-up runs get the numbers and verdicts that the runs were made with."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from steppe.core.seeds import stream
from steppe.studies.lee2024 import plan as p
from steppe.studies.lee2024.analysis import DIRECTIONS, SUBSTITUTIONS, Sensitivity
from steppe.studies.lee2024.claims import claims_of
from steppe.studies.lee2024.plan import Plan, SaeFacts, Series, make_plan
from steppe.studies.lee2024.settings import Settings
from steppe.studies.lee2024.tables import NEAR, layer_table, matched_table, nearest_table
from steppe.study.claims import claims_table

HERE, THERE = "blocks.4.hook_resid_pre", "blocks.1.hook_resid_pre"
SAES = [
    SaeFacts("sparse", HERE, p.LOCAL, 8.0, 1),
    SaeFacts("middle", HERE, p.LOCAL, 32.0, 0),
    SaeFacts("dense", HERE, p.LOCAL, 128.0, 0),
    SaeFacts("trained", HERE, p.E2E, 16.0, 0),
    SaeFacts("early", THERE, p.LOCAL, 30.0, 0),
]
LENGTHS = np.array([0.0, 1.0, 51.0, 101.0])
SAMPLES = 30


class MadeUp:
    """A run whose mean KL is ``exp(logs[series]) * length``, and exp of it for substitutions."""

    def __init__(self, plan: Plan, logs: dict[Series, float]) -> None:
        spread = np.exp(0.05 * stream(0, "spread").standard_normal(SAMPLES))
        self._datasets = {
            DIRECTIONS: self._made(plan.directions, logs, spread[:, None] * LENGTHS),
            SUBSTITUTIONS: self._made(plan.substitutions, logs, spread),
        }

    def _made(
        self, series: tuple[Series, ...], logs: dict[Series, float], shape: Any
    ) -> xr.Dataset:
        values = np.stack([np.exp(logs.get(one, 0.0)) * shape for one in series])
        dims = ("series", "sample", "step")[: values.ndim]
        labels = {name: ("series", [getattr(s, name) for s in series]) for name in ("kind", "site")}
        return xr.Dataset(
            {"kl": (dims, values), "distance": (dims[:2], np.ones(values.shape[:2]))},
            coords={
                **labels,
                "sae": ("series", [one.sae for one in series]),
                "series": [one.name for one in series],
                **({"paper_length": ("step", LENGTHS)} if values.ndim == 3 else {}),
            },
        )

    def dataset(self, name: str) -> xr.Dataset:
        return self._datasets[name]

    def datasets(self) -> list[str]:
        return list(self._datasets)


def made_up(logs: dict[Series, float]) -> Sensitivity:
    plan = make_plan(HERE, SAES)
    settings = Settings(site=HERE, samples=SAMPLES)
    analysis = Sensitivity(cast(Any, MadeUp(plan, logs)), settings)
    analysis.__dict__["plan"] = plan  # in place of what it reads from the SAEs' dataset
    return analysis


def claims(logs: dict[Series, float]) -> pd.DataFrame:
    return decided(made_up(logs))


def decided(analysis: Sensitivity) -> pd.DataFrame:
    return claims_table(claims_of(analysis.plan), analysis).set_index("id")


def features(kind: str, *values: float) -> dict[Series, float]:
    """Log KLs of one kind of feature of the sparse, middle, dense and trained SAE."""
    labels = ("sparse", "middle", "dense", "trained")
    return {
        Series(f"sae_feature_{kind}", HERE, label): value
        for label, value in zip(labels, values, strict=True)
    }


def substituted(sae: str, site: str, *values: float) -> dict[Series, float]:
    kinds = ("sae", "epsilon_random", "epsilon_mixture")
    return {Series(kind, site, sae): value for kind, value in zip(kinds, values, strict=True)}


def test_baselines() -> None:
    shares = {share: -0.4 * share for share in (0.0, *p.PROPORTIONS, 1.0)}
    blends = {Series(f"cov_random_blend_{s:g}", HERE): shares[s] for s in p.PROPORTIONS}
    table = claims(
        {
            Series(p.DIFFERENCE, HERE): shares[0.0],
            **blends,
            Series(p.MIXTURE, HERE): shares[1.0],
            Series(p.REAL_MIXTURE, HERE): -0.5,
            Series(p.REAL_DIFFERENCE, HERE): -0.8,
            Series(p.ISOTROPIC, HERE): -1.0,
        }
    )
    wanted = {"LH1a": 0.4, "LH1b": -0.3, "LH1c": 0.4, "LH2": 0.6, "LH3a": np.log(1.2) - 0.1,
              "LH3b": 0.6 - 0.1}  # fmt: skip
    for id_, number in wanted.items():
        assert table.loc[id_, "number"] == pytest.approx(number), id_
        assert table.loc[id_, "number_at_length_51"] == pytest.approx(number), id_
        assert table.loc[id_, "verdict"] == ("holds" if number > 0 else "does not hold"), id_


def test_mixtures_that_cross_are_not_taken_for_alike() -> None:
    """Above by a factor at one length and below by it at another: no difference on average."""
    analysis = made_up({})
    curves = analysis.run.dataset(DIRECTIONS)["kl"]
    away = np.array([1.0, 1.0, 2.0, 0.5])
    curves.loc[{"series": Series(p.REAL_MIXTURE, HERE).name}] *= away
    number = decided(analysis).loc["LH3a", "number"]
    assert number == pytest.approx(np.log(1.2) - np.sqrt(2 / 3) * np.log(2))


def test_errors() -> None:
    table = claims(
        {
            **substituted("middle", HERE, 1.0, 0.2, 0.9),
            **substituted("early", THERE, 1.0, 0.0, 0.4),
        }
    )
    assert table.loc["LH4a", "number"] == pytest.approx(0.8 - np.log(2))
    assert table.loc["LH4b", "number"] == pytest.approx(np.log(2) - 0.6)
    assert table.loc["LH4c", "number"] == pytest.approx(0.5)
    assert np.isnan(table.loc["LH4a", "number_at_length_51"])


def test_features() -> None:
    # Per doubling of L0: 0.1 down; local ones at L0 16 are at 0.2.
    alive = features("alive", 0.3, 0.1, -0.1, 0.5)
    in_prompt = features("active_in_prompt", -0.4, -0.2, 0.0, -0.9)
    at_token = features("active", 0.3, 0.3, 0.3, 0.1)
    table = claims({**alive, **in_prompt, **at_token})
    assert table.loc["LH5", "number"] == pytest.approx(0.5)
    assert table.loc["LH5c", "number"] == pytest.approx(-0.1)
    assert table.loc["LH6a", "number"] == pytest.approx(0.1 / np.log(2))
    assert table.loc["LH6b", "number"] == pytest.approx(-0.1 / np.log(2))
    assert table.loc["LH6c", "number"] == pytest.approx(0.0, abs=1e-9)
    assert table.loc["LH7a", "number"] == pytest.approx(0.2 - 0.5)
    assert table.loc["LH7b", "number"] == pytest.approx(-0.3 + 0.9)
    assert table.loc["LH7c", "number"] == pytest.approx(0.3 - 0.1)
    assert table.loc["LH7a", "verdict"] == "does not hold"
    assert table.loc["LH7b", "verdict"] == "holds"
    assert not {"LH7a-ds", "LH7b-ds"} & set(table.index)


def test_nearest_saes_are_matched_within_a_factor_only() -> None:
    """By L0 (16 in 8, 32, 128) none is near; by variance the dense one is, at a factor of 1.1."""
    logs = {**features("active", 0.3, 0.1, -0.1, 0.5), **substituted("trained", HERE, 0.7, 0, 0)}
    errors = {Series(p.ERROR, HERE, sae): log for sae, log in (("dense", 0.2), ("trained", 1.0))}
    analysis = made_up({**logs, **errors})
    left = {"sparse": 0.4, "middle": 0.05, "dense": 0.22, "trained": 0.2, "early": 0.2}
    analysis.__dict__["unexplained"] = left
    table = nearest_table(analysis)
    by_l0, by_variance = (table[table["matched_by"] == by] for by in table["matched_by"].unique())
    assert by_l0["apart"].tolist() == [2.0]
    assert by_l0["apart"].min() > NEAR
    assert not by_l0["is_matched"].any()
    assert by_l0["ratio_to_local"].isna().all()
    assert set(by_variance["local"]) == {"dense"}
    assert by_variance["apart"].tolist() == pytest.approx([1.1] * len(by_variance))
    assert set(by_variance["explained_variance_of_local"]) == {0.78}
    ratios = by_variance.set_index("kind")["ratio_to_local"]
    wanted = {"sae": 0.7, p.ERROR: 0.8, "sae_feature_active": 0.6, "sae_feature_alive": 0.0}
    for kind, log in wanted.items():
        assert ratios[kind] == pytest.approx(np.exp(log)), kind
    # An SAE that explains all of the variance, or of which it is not known, is near no other.
    analysis.__dict__["unexplained"] = left | {"trained": 0.0}
    assert nearest_table(analysis)["apart"].tolist() == [2.0, np.inf]


def test_tables_tell_the_same() -> None:
    analysis = made_up({**features("alive", 0.3, 0.1, -0.1, 0.5),
                        **substituted("early", THERE, 1.0, 0.0, 0.4)})  # fmt: skip
    matched = matched_table(analysis).set_index("kind").loc["sae_feature_alive"]
    assert matched["ratio_to_local"] == pytest.approx(np.exp(0.3))
    assert matched["ratio_to_local_low"] <= matched["ratio_to_local_high"]
    assert matched["l0"] == matched["l0_of_local"] == 16.0
    layers = layer_table(analysis).set_index("site")
    assert list(layers.index) == [THERE, HERE]
    assert layers.loc[THERE, "ratio_to_isotropic"] == pytest.approx(np.exp(1.0))
    assert layers.loc[THERE, "ratio_to_mixture"] == pytest.approx(np.exp(0.6))
