"""What has been published on GPT-2, and what of it can be set beside a claim's number.

The tables are those that the authors' notebooks print (layer 6, all positions moved, mean over 2.03
million tokens), and values read off their figures. Nothing is known of mixtures: their code is not
public.
"""

from __future__ import annotations

import math
from importlib import resources

import numpy as np
import pandas as pd

_HERE = "steppe.studies.lee2024"


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
        found = _features("local", "alive" if claim == "LH6a" else "active").iloc[[0, -1]]
        low, high = np.log(found[["kl_at_51", "L0"]].to_numpy())
        return -float((high[0] - low[0]) / (high[1] - low[1]))
    if claim in {"LH7a", "LH7a-ds"}:
        # Local SAEs, interpolated in ln L0, above the family's sparsest.
        trained = _features("e2e" if claim == "LH7a" else "downstream", "alive").iloc[0]
        local = _features("local", "alive")
        at = np.interp(math.log(trained["L0"]), np.log(local["L0"]), np.log(local["kl_at_51"]))
        return float(at) - math.log(trained["kl_at_51"])
    return math.nan


def _features(family: str, feature: str) -> pd.DataFrame:
    table = published("features")
    return table[(table["family"] == family) & (table["feature"] == feature)].sort_values("L0")
