"""A row per latent of one SAE, the one that changes the output soonest first."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom

from steppe.core.axes import LATENT, PROMPT, RANK, SAMPLE, SENSE
from steppe.reports.page.next_tokens import TOKEN
from steppe.studies.lee2024.analysis import Sensitivity
from steppe.studies.sae_scores.latents import AGAINST, ALONG, LATENTS
from steppe.study.token_texts import read_token_texts

Floats = NDArray[np.float64]
NEURONPEDIA = "https://www.neuronpedia.org"


def median_with_ends(values: Floats, level: float = 0.95) -> tuple[Floats, Floats, Floats]:
    """Median over the last axis, and the ends of its exact interval from order statistics.

    Of n independent numbers the k-th smallest and the k-th largest hold the median of what they are
    drawn from in 1 - 2 P(Binomial(n, 1/2) < k) of cases, whatever that is. k is the largest with
    which this is at least ``level``; with fewer than six numbers there is none, and ends are NaN.

    Args:
        values: ``(..., sample)``; infinite counts as later than any, NaN makes all NaN.
        level: Share of intervals that hold the median, at least.
    """
    count = values.shape[-1]
    ordered = np.sort(values, axis=-1)
    undefined = np.isnan(values).any(axis=-1)
    # Of two middle ones the later, as in `censored_median`.
    middle = np.where(undefined, np.nan, ordered[..., count // 2])
    tail = (1 - level) / 2
    place = int(sum(binom.cdf(k, count, 0.5) <= tail for k in range(count // 2)))
    if not place:
        nothing = np.full(middle.shape, np.nan)
        return middle, nothing, nothing.copy()
    ends = (ordered[..., place - 1], ordered[..., -place])
    low, high = (np.where(undefined, np.nan, end) for end in ends)
    return middle, low, high


def latent_table(run: Sensitivity) -> pd.DataFrame:
    """One row per latent: crossing lengths, effects on the next token, tokens, link."""
    data, texts = run.datasets[LATENTS].load(), read_token_texts(run.run.path)
    crossing = data["crossing"].transpose(SENSE, SAMPLE, PROMPT).astype(np.float64)
    table: dict[str, object] = {"latent": data[LATENT].values, "rate": data["rate"].values}
    for sense, ending in ((ALONG, ""), (AGAINST, "_against")):
        numbers = median_with_ends(crossing.sel({SENSE: sense}).values)
        for end, values in zip(("", "_low", "_high"), numbers, strict=True):
            table[f"crossing{ending}{end}"] = values
    for name in ("entropy", "top", "turned"):
        means = data[name].astype(np.float64).mean(PROMPT, skipna=False)
        for sense, ending in ((ALONG, ""), (AGAINST, "_against")):
            table[f"{name}{ending}"] = means.sel({SENSE: sense}).values
    ids = data[TOKEN].transpose(SAMPLE, RANK).values
    table["tokens"] = [
        " ".join(repr(texts.get(one, str(one))) for one in row if one >= 0) for row in ids.tolist()
    ]
    page = data.attrs["neuronpedia"]
    links = [f"{NEURONPEDIA}/{page}/{one}" if page else "" for one in data[LATENT].values]
    table["neuronpedia"] = links
    made = pd.DataFrame(table)
    order = ["crossing", "crossing_low", "latent"]
    return made.sort_values(order, kind="stable").reset_index(drop=True)
