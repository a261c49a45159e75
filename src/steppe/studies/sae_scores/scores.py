"""From a finished run to the scores of every SAE, each with its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from steppe.comparisons import jackknife, ks_interval, ks_statistic
from steppe.core.axes import AXIS, DRAW, KIND, PAIR, POINT, SAE, SAMPLE
from steppe.statistics import fit_superellipse
from steppe.studies.lee2024.analysis import SUBSTITUTIONS, Sensitivity, quotient
from steppe.studies.lee2024.plan import MIXTURE, Series, depth_of
from steppe.studies.sae_scores.measuring import REAL, STRUCTURED
from steppe.study import positive

Floats = NDArray[np.float64]
# A number with the ends of its 95% interval.
Numbers = tuple[float, float, float]


@dataclass(frozen=True)
class Score:
    """One number of an SAE.

    Attributes:
        name: Its column.
        label: What it is, for readers.
        better: Whether more of it speaks for the SAE (1), less (-1), or neither (0).
        make: From the run, and the SAE's label and site, to the number with its interval.
    """

    name: str
    label: str
    better: int
    make: Callable[[Sensitivity, str, str], Numbers]


def _mean(run: Sensitivity, sae: str, number: Callable[..., float], *names: str) -> Numbers:
    values = (run[f"fit/{name}"].sel({SAE: sae}).values.astype(np.float64) for name in names)
    found = positive(number, *values)
    return found.number, found.low, found.high


def l0(run: Sensitivity, sae: str, _site: str) -> Numbers:
    """Mean active latents."""
    return _mean(run, sae, lambda counts: float(counts.mean()), "l0")


def explained(run: Sensitivity, sae: str, _site: str) -> Numbers:
    """One minus summed squared errors over summed squared distances to the mean."""
    return _mean(run, sae, lambda e, v: float(1 - e.sum() / v.sum()), "squared_error", "variance")


def preserved(variable: str) -> Callable[[Sensitivity, str, str], Numbers]:
    """One minus what the reconstruction adds to a variable over what zero adds."""

    def number(run: Sensitivity, sae: str, site: str) -> Numbers:
        one, zero = Series("sae", site, sae), Series("zero_ablation", site)
        found = run.estimates(SUBSTITUTIONS, variable).decide(
            lambda get: (1 - get(one) / get(zero))[..., 0]
        )
        return found.number, found.low, found.high

    return number


def error(run: Sensitivity, sae: str, site: str) -> Numbers:
    """KL of reconstructions over KL of mixtures as far away."""
    made, mixed = Series("sae", site, sae), Series("epsilon_mixture", site, sae)
    return run.factor(quotient(made, mixed), SUBSTITUTIONS)


def along(kind: str) -> Callable[[Sensitivity, str, str], Numbers]:
    """KL along decoder rows over KL along mixtures, geometric mean over lengths."""
    return lambda run, sae, site: run.ratio_of(Series(f"sae_feature_{kind}", site, sae))


def area(kind: str) -> Callable[[Sensitivity, str, str], Numbers]:
    """Area under the ROC curve of decoder rows against mixtures, by crossing length."""

    def number(run: Sensitivity, sae: str, _site: str) -> Numbers:
        crossing = run["crossings/crossing"].sel({SAE: sae}).transpose(KIND, SAMPLE, DRAW)
        rows, mixed = (crossing.sel({KIND: k}).values for k in (f"sae_feature_{kind}", MIXTURE))
        parts = jackknife(
            lambda s: s.earlier(s["rows"], s["mixed"]), {"rows": rows, "mixed": mixed}
        )
        return parts.number, *parts.interval()

    return number


def structured(run: Sensitivity, sae: str, _site: str) -> Numbers:
    """KS distance, to paths towards real activations, of the steps of those composed."""
    steps = run["structured/step"].sel({SAE: sae})
    pair = [steps.sel({KIND: kind}).values for kind in (STRUCTURED, REAL)]
    drawn = run.resamples(f"structured {sae}", len(pair[0]))
    return ks_statistic(pair[0], pair[1]), *ks_interval(pair[0], pair[1], drawn)


def exponents(run: Sensitivity, sae: str) -> Floats:
    """Of the pairs of an SAE's most active latents, ``(pair,)``; NaN for none."""
    found = run.datasets["contours"].sel({SAE: sae}).load()
    contours = found["contour"].transpose(PAIR, POINT, AXIS).values
    ends = found["intercepts"].transpose(PAIR, AXIS).values
    return np.array(
        [
            fit_superellipse(points, (float(end[0]), float(end[1]))).p
            if np.isfinite(end).all()
            else np.nan
            for points, end in zip(contours, ends, strict=True)
        ]
    )


def privileged(run: Sensitivity, sae: str, _site: str) -> Numbers:
    """Mean exponent of contours in the planes of pairs of the most active latents."""
    found = positive(lambda p: float(p.mean()), exponents(run, sae))
    return found.number, found.low, found.high


SCORES = {
    one.name: one
    for one in (
        Score("l0", "L0", 0, l0),
        Score("explained_variance", "explained variance", 1, explained),
        Score("loss_recovered", "loss recovered", 1, preserved("loss_increase")),
        Score("kl_recovered", "KL recovered", 1, preserved("kl")),
        Score("error_kl", "error KL / mixture's", -1, error),
        Score("active_kl", "active rows' KL / mixture's", 1, along("active")),
        Score("active_against_kl", "against active rows", 0, along("active_against")),
        Score("alive_kl", "alive rows' KL / mixture's", 1, along("alive")),
        Score("alive_against_kl", "against alive rows", 0, along("alive_against")),
        Score("active_area", "active rows' ROC area", 1, area("active")),
        Score("alive_area", "alive rows' ROC area", 1, area("alive")),
        Score("structured_ks", "structured: KS to real", -1, structured),
        Score("top_p", "exponent p of top latents", 1, privileged),
    )
}


def scores_of(run: Sensitivity) -> pd.DataFrame:
    """Every score of every SAE, with ranks and whether it is on the Pareto front against L0."""
    known, rows = run.datasets["fit"], []
    for place, sae in enumerate(map(str, known[SAE].values)):
        site = str(known["site"].values[place])
        row: dict[str, Any] = {"sae": sae, "site": site, "depth": depth_of(site)}
        row |= {"family": str(known["family"].values[place])}
        for score in SCORES.values():
            ends = ("", "_low", "_high")
            numbers = score.make(run, sae, site)
            row |= {f"{score.name}{end}": one for end, one in zip(ends, numbers, strict=True)}
        rows.append(row)
    return ranked(pd.DataFrame(rows), SCORES[run.settings.rank_by])


def ranked(table: pd.DataFrame, score: Score) -> pd.DataFrame:
    """The table, best first, with columns ``rank``, its ends, and ``front``.

    ``rank_low`` and ``rank_high`` are the best and the worst rank that intervals leave open: an SAE
    is counted before another where their intervals do not overlap. On the front is one than which
    no other at its site is both sparser and better. Undefined scores come last, without a rank.
    """
    values, low, high = (score.better * table[score.name + end] for end in ("", "_low", "_high"))
    least, most = np.minimum(low, high), np.maximum(low, high)
    ahead = [int((least > most[one]).sum()) for one in table.index]
    behind = [int((most < least[one]).sum()) for one in table.index]
    known = values.notna()
    table = table.assign(
        rank=values.rank(ascending=False, method="min"),
        rank_low=np.where(known, 1 + np.array(ahead), np.nan),
        rank_high=np.where(known, known.sum() - np.array(behind), np.nan),
        front=[
            bool(known[one])
            and not any(
                values[other] > values[one] and table["l0"][other] <= table["l0"][one]
                for other in table.index[table["site"] == table["site"][one]]
            )
            for one in table.index
        ],
    )
    first = ["rank", "rank_low", "rank_high"]
    if known.all():
        table = table.astype(dict.fromkeys(first, int))
    rest = [name for name in table.columns if name not in first]
    return table[first + rest].sort_values("rank", kind="stable").reset_index(drop=True)
