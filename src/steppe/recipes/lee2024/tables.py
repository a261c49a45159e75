"""A run's tables: mean KL of every series, its ratio to the mixture, substitutions, decoder shapes.

Columns ``kl_at_51`` and the like are at lengths in GPT-2's units, scaled to the subject.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from steppe.core.axes import SERIES
from steppe.recipes.lee2024 import plan as p
from steppe.recipes.lee2024.analysis import Analysis, Floats, Means, sae_column
from steppe.recipes.lee2024.claims import matched
from steppe.recipes.lee2024.outputs import SUBSTITUTIONS
from steppe.recipes.lee2024.plan import Series

# Lengths of the paper that tables have a column for; the nearest ones that were scanned are taken.
SHOWN = (11, 31, 51, 101)
# What is told of every SAE's fit and decoder, in this order.
SHAPE = (
    "l0",
    "explained_variance",
    "latents",
    "dead",
    "effective_dimension_alive",
    "effective_dimension_dead",
    "effective_dimension_by_rate",
    "effective_dimension_activations",
    "variance_along_alive",
    "variance_along_by_rate",
)


def shown_steps(analysis: Analysis) -> dict[str, int]:
    """The steps that tables show, by the name of their columns: ``51`` for length 51 of GPT-2."""
    lengths = analysis.directions["paper_length"].values
    steps = dict.fromkeys(int(np.abs(lengths[1:] - one).argmin()) + 1 for one in SHOWN)
    return {f"{lengths[step]:g}": step for step in steps}


def curve_table(analysis: Analysis) -> pd.DataFrame:
    """Every series at every length: all that figures of curves are drawn from."""
    names = ("kl", "loss_increase", "kl_with_first", "loss_increase_with_first", "crossed")
    paper = analysis.directions["paper_length"].values
    rows = []
    for series in analysis.plan.directions:
        found = {name: analysis.curve_of(series, name) for name in names}
        for step, length in enumerate(analysis.lengths):
            row = {**_series(series), "length": length, "paper_length": paper[step]}
            for name, curve in found.items():
                row |= _interval(name, curve.mean[step], curve.low[step], curve.high[step])
            rows.append(row)
    return pd.DataFrame(rows)


def series_table(analysis: Analysis, chosen: Sequence[Series]) -> pd.DataFrame:
    """One row a series: KL at some lengths, and its ratio to the mixture over all lengths."""
    rows = []
    for series in chosen:
        row: dict[str, object] = {"kind": series.kind, **_of_sae(analysis, series)}
        row |= _at_lengths(analysis, series, "kl")
        row |= _ratio(analysis, series, Series(p.MIXTURE, series.site))
        rows.append(row)
    return pd.DataFrame(rows)


def baseline_table(analysis: Analysis, chosen: Sequence[Series]) -> pd.DataFrame:
    """As `series_table`, and the same with the first token averaged in, and the loss increase."""
    table = series_table(analysis, chosen)
    name, step = analysis.middle
    for variable in ("kl_with_first", "loss_increase"):
        column = f"{variable}_at_{name}"
        found = [analysis.curve_of(series, variable) for series in chosen]
        table[column] = [curve.mean[step] for curve in found]
        if variable == "loss_increase":
            table[f"{column}_low"] = [curve.low[step] for curve in found]
            table[f"{column}_high"] = [curve.high[step] for curve in found]
    return table


def layer_table(analysis: Analysis) -> pd.DataFrame:
    """Each layer's SAE: the KL of its error, and its ratio to random directions of its length."""
    rows = []
    for sae in analysis.plan.per_layer:
        made = {k: Series(k, sae.site, sae.label) for k in p.PER_SAE}
        row: dict[str, object] = {"site": sae.site, "sae": sae.label, "l0": sae.l0}
        row["error_length"] = _mean(analysis, made["sae"], "distance")
        for name, series in made.items():
            if name in {"sae", "epsilon_random", "epsilon_mixture"}:
                row |= _substituted(analysis, series, "kl", f"kl_{name}")
        for name, kind in (("isotropic", "epsilon_random"), ("mixture", "epsilon_mixture")):
            found = analysis.factor(quotient(made["sae"], made[kind]), SUBSTITUTIONS)
            row |= _interval(f"ratio_to_{name}", found.number, found.low, found.high)
        error = Series(p.ERROR, sae.site, sae.label)
        for kind in (p.MIXTURE, p.REAL_MIXTURE):
            name = "real_mixture" if kind == p.REAL_MIXTURE else "mixture"
            found = analysis.ratio_of(error, Series(kind, sae.site))
            column = f"ratio_over_lengths_to_{name}"
            row |= _interval(column, found.number, found.low, found.high)
        rows.append(row)
    return pd.DataFrame(rows)


def matched_table(analysis: Analysis) -> pd.DataFrame:
    """End-to-end features over local ones at like L0, for each kind of feature.

    ``l0_of_local``: where it is the SAE's own L0, none of the local SAEs had to stand in for it.
    """
    here = [sae for sae in analysis.plan.saes if sae.site == analysis.plan.site]
    local = sorted((sae for sae in here if sae.family == p.LOCAL), key=lambda sae: sae.l0)
    rows = []
    for sae in here:
        for kind in p.FEATURE_KINDS:
            series = Series(kind, sae.site, sae.label)
            features = [Series(kind, one.site, one.label) for one in local]
            measured = {series, *features} <= set(analysis.plan.directions)
            if sae.family == p.LOCAL or not (local and measured):
                continue
            found = analysis.number(matched(local, features, [sae], kind))
            ratio = np.exp([-found.number, -found.high, -found.low])
            compared = float(np.clip(sae.l0, local[0].l0, local[-1].l0))
            rows.append(
                {"sae": sae.label, "family": sae.family, "l0": sae.l0, "l0_of_local": compared,
                 "kind": kind, **_interval("ratio_to_local", *ratio)}
            )  # fmt: skip
    return pd.DataFrame(rows)


def substitution_table(analysis: Analysis) -> pd.DataFrame:
    """Every substitution: KL and loss increase, and how far it lies from the activation."""
    rows = []
    for series in analysis.plan.substitutions:
        row: dict[str, object] = {"site": series.site, **_of_sae(analysis, series)}
        row["kind"] = series.kind
        for name in ("kl", "loss_increase"):
            row |= _substituted(analysis, series, name, name)
        row["kl_with_first"] = _mean(analysis, series, "kl_with_first")
        for name in ("distance", "cosine", "norm_ratio"):
            row[name] = _mean(analysis, series, name)
        rows.append(row)
    return pd.DataFrame(rows)


def blend_table(analysis: Analysis) -> pd.DataFrame:
    """From difference to mixture: KL at some lengths, and its ratio to the mixture."""
    rows = []
    for source in ("cov_random", "real"):
        for share, series in blends_of(analysis, source):
            row: dict[str, object] = {"source": source, "proportion": share}
            row |= _at_lengths(analysis, series, "kl")
            row |= _ratio(analysis, series, Series(f"{source}_mixture", series.site))
            rows.append(row)
    return pd.DataFrame(rows)


def blends_of(analysis: Analysis, source: str) -> list[tuple[float, Series]]:
    """The series from difference (0) to mixture (1) of one source, with their proportions."""
    site = analysis.plan.site
    between = [(share, f"{source}{p.BLEND}{share:g}") for share in p.PROPORTIONS]
    kinds = [(0.0, f"{source}_difference"), *between, (1.0, f"{source}_mixture")]
    return [(share, Series(kind, site)) for share, kind in kinds]


def shape_table(analysis: Analysis, chosen: Sequence[Series]) -> pd.DataFrame:
    """What the mean hides: spread over tokens, and how KL grows at short lengths.

    ``exponent``: of KL in length, between the second and third shortest length; 2 is a quadratic.
    """
    name, step = analysis.middle
    lengths = analysis.lengths
    rows = []
    for series in chosen:
        row: dict[str, object] = {"kind": series.kind, **_of_sae(analysis, series)}
        if len(lengths) > 3:
            found = analysis.number(_exponent(series, lengths))
            row |= _interval("exponent", found.number, found.low, found.high)
        curve = analysis.curve_of(series)
        row[f"mean_at_{name}"] = curve.mean[step]
        own = analysis.quantiles.sel({SERIES: series.name}).isel(step=step)
        for share, value in zip(own["quantile"].values, own.values, strict=True):
            row[f"quantile_{100 * share:g}_at_{name}"] = float(value)
        crossed = analysis.curve_of(series, "crossed")
        row[f"share_above_half_a_nat_at_{name}"] = crossed.mean[step]
        row["length_where_half_have"] = _half(crossed.mean, lengths)
        rows.append(row)
    table = pd.DataFrame(rows)
    # The first rows have no SAE.
    leading = [name for name in ("kind", "sae", "family", "l0") if name in table]
    return table[[*leading, *(name for name in table if name not in leading)]]


def isotropy_table(analysis: Analysis) -> pd.DataFrame:
    """How evenly each SAE's decoder rows point everywhere, beside what its features do."""
    assert analysis.saes is not None
    site = analysis.plan.site
    rows = []
    columns = {name: sae_column(analysis.saes, name) for name in SHAPE}
    for sae in analysis.plan.saes:
        row: dict[str, object] = {"sae": sae.label, "family": sae.family}
        row |= {name: values[sae.label] for name, values in columns.items()}
        row |= {name: int(columns[name][sae.label]) for name in ("latents", "dead")}
        for kind in ("sae_feature_alive", "sae_feature_active"):
            series = Series(kind, sae.site, sae.label)
            if series in analysis.plan.directions and sae.site == site:
                found = _ratio(analysis, series, Series(p.ISOTROPIC, site))
                row |= {key.replace("ratio_to", f"{kind}_over"): x for key, x in found.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def _half(shares: Floats, lengths: Floats) -> float:
    """The length at which a share first reaches one half, between lengths; NaN if it never does."""
    above = np.flatnonzero(shares >= 0.5)
    if not len(above) or above[0] == 0:
        return float("nan")
    i = int(above[0])
    part = (0.5 - shares[i - 1]) / (shares[i] - shares[i - 1])
    return float(lengths[i - 1] + part * (lengths[i] - lengths[i - 1]))


def _at_lengths(analysis: Analysis, series: Series, variable: str) -> dict[str, object]:
    curve = analysis.curve_of(series, variable)
    row: dict[str, object] = {}
    for name, step in shown_steps(analysis).items():
        row |= _interval(
            f"{variable}_at_{name}", curve.mean[step], curve.low[step], curve.high[step]
        )
    return row


def _ratio(analysis: Analysis, over: Series, under: Series) -> dict[str, object]:
    found = analysis.ratio_of(over, under)
    name = f"ratio_to_{'mixture' if under.kind.endswith('mixture') else under.kind}"
    return _interval(name, found.number, found.low, found.high)


def quotient(over: Series, under: Series) -> Callable[[Means], Floats]:
    """Ln of the KL of one substitution over that of another."""

    def divided(get: Means) -> Floats:
        ratio: Floats = np.log(get(over) / get(under))[..., 0]
        return ratio

    return divided


def _exponent(series: Series, lengths: Floats) -> Callable[[Means], Floats]:
    def exponent(get: Means) -> Floats:
        kl = get(series)
        rise: Floats = np.log(kl[..., 3] / kl[..., 2]) / np.log(lengths[3] / lengths[2])
        return rise

    return exponent


def _substituted(
    analysis: Analysis, series: Series, variable: str, column: str
) -> dict[str, object]:
    curve = analysis.curve_of(series, variable, SUBSTITUTIONS)
    return _interval(column, curve.mean[0], curve.low[0], curve.high[0])


def _mean(analysis: Analysis, series: Series, variable: str) -> float:
    assert analysis.substitutions is not None
    values = analysis.substitutions[variable].sel({SERIES: series.name})
    return float(values.mean())


def _of_sae(analysis: Analysis, series: Series) -> Mapping[str, object]:
    if not series.sae:
        return {}
    facts = next(sae for sae in analysis.plan.saes if sae.label == series.sae)
    return {"sae": facts.label, "family": facts.family, "l0": facts.l0}


def _series(series: Series) -> dict[str, object]:
    return {"kind": series.kind, "site": series.site, "sae": series.sae}


def _interval(name: str, mean: float, low: float, high: float) -> dict[str, object]:
    return {name: float(mean), f"{name}_low": float(low), f"{name}_high": float(high)}
