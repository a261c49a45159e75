"""What has been published on GPT-2, and what of it can be set beside a claim's number?

The tables are those that the authors' notebooks print (layer 6, all positions moved, mean over 2.03
million tokens), and values read off their figures. Nothing is known of mixtures: their code is not
public.
"""

from __future__ import annotations

import math
from importlib import resources

import numpy as np
import pandas as pd

_HERE = "steppe.recipes.lee2024"


def published(name: str) -> pd.DataFrame:
    """One of the published tables: ``errors``, ``substitution`` or ``features``."""
    with resources.as_file(resources.files(_HERE) / f"published_{name}.csv") as path:
        return pd.read_csv(path)


def published_number(claim: str) -> float:
    """The number of a claim from published values; NaN where they do not tell it.

    Those of features are at length 51 only, where ours average over lengths.
    """
    if claim == "LH4a":
        table = published("substitution")
        row = table[(table["type"] == "local") & (table["L0"].round(1) == 42.8)].iloc[0]
        return math.log(row["sae_kl"] / row["epsrandom_kl_dig"]) - math.log(2)
    if claim in {"LH6a", "LH6b"}:
        low, high = _ends("local", "alive" if claim == "LH6a" else "active")
        slope = math.log(high["kl_at_51"] / low["kl_at_51"]) / math.log(high["L0"] / low["L0"])
        return -slope
    if claim in {"LH7a", "LH7a-ds"}:
        family = "e2e" if claim == "LH7a" else "downstream"
        return _above_the_sparsest(family)
    return math.nan


def _ends(family: str, feature: str) -> tuple[pd.Series, pd.Series]:
    rows = _features(family, feature)
    return rows.iloc[0], rows.iloc[-1]


def _above_the_sparsest(family: str) -> float:
    """Alive features of local SAEs, interpolated in ln L0, above those of a family's sparsest."""
    sparsest, local = _features(family, "alive").iloc[0], _features("local", "alive")
    at = np.interp(math.log(sparsest["L0"]), np.log(local["L0"]), np.log(local["kl_at_51"]))
    return float(at) - math.log(sparsest["kl_at_51"])


def _features(family: str, feature: str) -> pd.DataFrame:
    table = published("features")
    return table[(table["family"] == family) & (table["feature"] == feature)].sort_values("L0")
