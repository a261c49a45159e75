"""A run's tables: mean KL of every series, its ratio to the mixture, substitutions, decoder shapes.

Columns ``kl_at_51`` and the like are at lengths in GPT-2's units, scaled to the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from steppe.core.axes import SERIES
from steppe.studies.lee2024 import plan as p
from steppe.studies.lee2024.analysis import (
    OWN_SITES,
    SUBSTITUTIONS,
    Floats,
    Means,
    Number,
    Numbers,
    Sensitivity,
    quotient,
)
from steppe.studies.lee2024.claims import matched
from steppe.studies.lee2024.plan import SaeFacts, Series
from steppe.studies.lee2024.published import published
from steppe.study import Table

Row = dict[str, Any]
# Lengths of the paper that tables have a column for; the nearest ones that were scanned are taken.
SHOWN = [11, 31, 51, 101]
# Kinds of features that are told apart in figures, with their names there.
FEATURES = {
    "sae_feature_alive": "alive elsewhere",
    "sae_feature_active_in_prompt": "active in the prompt",
    "sae_feature_active": "active at the token",
    "sae_feature_dead": "dead",
}
# SAEs are called matched where L0, or the variance left unexplained, is within this factor: over so
# much, KL along errors and features of the bundled model's local SAEs changes by a tenth at most.
NEAR = 1.2
# What is told of every SAE's fit and decoder, in this order.
SHAPE = sorted(p.SAE_COLUMNS, key=lambda name: name.startswith("variance"))


def curve_table(run: Sensitivity) -> pd.DataFrame:
    """Every series at every length: all that figures of curves are drawn from."""
    names = ("kl", "loss_increase", "kl_with_first", "loss_increase_with_first", "crossed")
    rows = []
    for series in run.plan.directions:
        found = {name: run.curve_of(series, name) for name in names}
        for step, (length, paper) in enumerate(zip(run.lengths, run.paper_lengths, strict=True)):
            row: Row = {**vars(series), "length": length, "paper_length": paper}
            for name, curve in found.items():
                row |= _interval(name, *curve.at(step))
            rows.append(row)
    return pd.DataFrame(rows)


def series_table(run: Sensitivity, chosen: Iterable[Series]) -> pd.DataFrame:
    """One row a series: KL at some lengths, and its ratio to the mixture over all lengths."""
    return pd.DataFrame(
        {"kind": one.kind, **_of_sae(run, one), **_at_lengths(run, one)}
        | _interval("ratio_to_mixture", *run.ratio_of(one))
        for one in chosen
    )


def baseline_table(run: Sensitivity) -> pd.DataFrame:
    """Directions that need no SAE; also with the first token averaged in, and the loss increase."""
    kinds = (*p.BASELINE_KINDS, *p.FIRST_KINDS, p.TOWARDS_ZERO, *run.settings.directions)
    chosen = run.plan.known(Series(kind, run.plan.site) for kind in kinds)
    name, step = run.middle
    beside = []
    for one in chosen:
        row = {f"kl_with_first_at_{name}": run.curve_of(one, "kl_with_first").mean[step]}
        loss = run.curve_of(one, "loss_increase").at(step)
        beside.append(row | _interval(f"loss_increase_at_{name}", *loss))
    return pd.concat([series_table(run, chosen), pd.DataFrame(beside)], axis=1)


def sae_table(run: Sensitivity) -> pd.DataFrame:
    """The error and the features of each SAE of the study's own site."""
    mine = (s for s in run.plan.directions if s.sae and s.site == run.plan.site)
    return series_table(run, mine)


def has_layers(run: Sensitivity) -> bool:
    """Whether errors were measured and substituted at every layer that is compared."""
    plan = run.plan
    made = {sae.series("sae") for sae in plan.per_layer} <= {*plan.substitutions}
    along = {sae.series(p.ERROR) for sae in plan.per_layer} <= {*plan.directions}
    return bool(plan.per_layer) and made and along


def layer_table(run: Sensitivity) -> pd.DataFrame:
    """Each layer's SAE: the KL of its error, and its ratio to random directions of its length."""
    rows = []
    for sae in run.plan.per_layer if has_layers(run) else ():
        made = {kind: sae.series(kind) for kind in ("sae", "epsilon_random", "epsilon_mixture")}
        row: Row = {"site": sae.site, "sae": sae.label, "l0": sae.l0}
        row["error_length"] = _mean(run, made["sae"], "distance")
        for name, series in made.items():
            row |= _substituted(run, series, "kl", f"kl_{name}")
        for name, kind in (("isotropic", "epsilon_random"), ("mixture", "epsilon_mixture")):
            found = run.factor(quotient(made["sae"], made[kind]), SUBSTITUTIONS)
            row |= _interval(f"ratio_to_{name}", *found)
        for name, kind in (("mixture", p.MIXTURE), ("real_mixture", p.REAL_MIXTURE)):
            found = run.ratio_of(sae.series(p.ERROR), Series(kind, sae.site))
            row |= _interval(f"ratio_over_lengths_to_{name}", *found)
        rows.append(row)
    return pd.DataFrame(rows)


def matched_table(run: Sensitivity) -> pd.DataFrame:
    """End-to-end features over local ones at like L0, for each kind of feature.

    ``l0_of_local``: where it is the SAE's own L0, none of the local SAEs had to stand in for it.
    """
    local, known = run.plan.local, {*run.plan.directions}
    trained = [sae for sae in run.plan.here if sae.family != p.LOCAL and local]
    rows = []
    for sae, kind in ((sae, kind) for sae in trained for kind in p.FEATURE_KINDS):
        if {one.series(kind) for one in (sae, *local)} <= known:
            found = run.factor(_negative(matched(local, [sae], kind)))
            compared = float(np.clip(sae.l0, local[0].l0, local[-1].l0))
            row = {**_sae(sae), "l0_of_local": compared, "kind": kind}
            rows.append(row | _interval("ratio_to_local", *found))
    return pd.DataFrame(rows)


def nearest_table(run: Sensitivity) -> pd.DataFrame:
    """Each end-to-end SAE beside the local one nearest in L0, and the one nearest in variance.

    ``apart``: the factor between both L0, or between the shares of variance that they leave
    unexplained. Beyond `NEAR` the two are not called matched, and have no ratio.
    """
    local, left = run.plan.local, run.unexplained
    trained = [sae for sae in run.plan.here if sae.family != p.LOCAL and local]
    measures: dict[str, Callable[[SaeFacts], float]] = {
        "L0": lambda sae: sae.l0,
        "unexplained variance": lambda sae: left[sae.label],
    }
    rows = []
    for sae, (name, measure) in product(trained, measures.items()):
        apart = [_factor(measure(one), measure(sae)) for one in local]
        near = local[int(np.argmin(apart))]
        row: Row = {**_sae(sae), "explained_variance": 1 - left[sae.label], "matched_by": name}
        row |= {"local": near.label, "l0_of_local": near.l0}
        row |= {"explained_variance_of_local": 1 - left[near.label], "apart": min(apart)}
        row["is_matched"] = min(apart) <= NEAR
        ratios = _ratios(run, sae, near) if row["is_matched"] else {"": (np.nan,) * 3}
        for kind, found in ratios.items():
            rows.append({**row, "kind": kind, **_interval("ratio_to_local", *found)})
    return pd.DataFrame(rows)


def _factor(one: float, other: float) -> float:
    """How far two positive numbers are apart, from 1 on; infinite where one is none."""
    low, high = sorted((one, other))
    return high / low if low > 0 else np.inf


def _ratios(run: Sensitivity, over: SaeFacts, under: SaeFacts) -> dict[str, Numbers]:
    """KL of reconstructions, errors and features of one SAE over those of another, as measured."""
    found = {}
    pair = over.series("sae"), under.series("sae")
    if {*pair} <= {*run.plan.substitutions}:
        found["sae"] = run.factor(quotient(*pair), SUBSTITUTIONS)
    for kind in (p.ERROR, *p.FEATURE_KINDS):
        pair = over.series(kind), under.series(kind)
        if {*pair} <= {*run.plan.directions}:
            found[kind] = run.ratio_of(*pair)
    return found


def substitution_table(run: Sensitivity) -> pd.DataFrame:
    """Every substitution: KL and loss increase, and how far it lies from the activation."""
    rows = []
    for series in run.plan.substitutions:
        row: Row = {"site": series.site, **_of_sae(run, series), "kind": series.kind}
        for name in ("kl", "loss_increase"):
            row |= _substituted(run, series, name, name)
        for name in ("kl_with_first", "distance", "cosine", "norm_ratio"):
            row[name] = _mean(run, series, name)
        rows.append(row)
    return pd.DataFrame(rows)


def blend_table(run: Sensitivity) -> pd.DataFrame:
    """From difference to mixture: KL at some lengths, and its ratio to the mixture."""
    rows = []
    for source in ("cov_random", "real") if has_blends(run) else ():
        mixture = Series(f"{source}_mixture", run.plan.site)
        for share, one in blends_of(run, source):
            row = {"source": source, "proportion": share, **_at_lengths(run, one)}
            rows.append(row | _interval("ratio_to_mixture", *run.ratio_of(one, mixture)))
    return pd.DataFrame(rows)


def has_blends(run: Sensitivity) -> bool:
    """Whether directions between difference and mixture were measured."""
    return Series(p.TOWARDS_ZERO, run.plan.site) in run.plan.directions


def blends_of(run: Sensitivity, source: str) -> list[tuple[float, Series]]:
    """The series from difference (0) to mixture (1) of one source, with their proportions."""
    between = [(share, f"{source}{p.BLEND}{share:g}") for share in p.PROPORTIONS]
    kinds = [(0.0, f"{source}_difference"), *between, (1.0, f"{source}_mixture")]
    return [(share, Series(kind, run.plan.site)) for share, kind in kinds]


def isotropy_table(run: Sensitivity) -> pd.DataFrame:
    """How evenly each SAE's decoder rows point everywhere, beside what its features do."""
    site = run.plan.site
    rows = []
    for place, sae in enumerate(run.plan.saes):
        assert run.saes is not None
        row: Row = {"sae": sae.label, "family": sae.family}
        row |= {name: float(run.saes[name].values[place]) for name in SHAPE}
        row |= {name: int(row[name]) for name in ("latents", "dead")}
        for kind in ("sae_feature_alive", "sae_feature_active"):
            if sae.site == site and sae.series(kind) in run.plan.directions:
                found = run.ratio_of(sae.series(kind), Series(p.ISOTROPIC, site))
                row |= _interval(f"{kind}_over_isotropic", *found)
        rows.append(row)
    return pd.DataFrame(rows)


def shown_shapes(run: Sensitivity) -> list[Series]:
    """Baselines, and the error and features of the SAE that stands for the study's own site."""
    site = run.plan.site
    main = [sae for sae in run.plan.per_layer if sae.site == site]
    own = [sae.series(kind) for sae in main for kind in (p.ERROR, *FEATURES)]
    return run.plan.known([*(Series(k, site) for k in (*p.BASELINE_KINDS, p.TOWARDS_ZERO)), *own])


def shape_table(run: Sensitivity) -> pd.DataFrame:
    """What the mean hides: spread over tokens, and how KL grows at short lengths.

    ``exponent``: of KL in length, between the second and third shortest length; 2 is a quadratic.
    """
    name, step = run.middle
    lengths = run.lengths
    rows = []
    for series in shown_shapes(run):
        row: Row = {"kind": series.kind, **_of_sae(run, series)}
        if len(lengths) > 3:
            found = run.estimates().decide(_exponent(series, lengths))
            row |= _interval("exponent", found.number, found.low, found.high)
        row[f"mean_at_{name}"] = run.curve_of(series).mean[step]
        own = run.quantiles.sel({SERIES: series.name}).isel(step=step)
        for share, value in zip(own["quantile"].values, own.values, strict=True):
            row[f"quantile_{100 * share:g}_at_{name}"] = float(value)
        crossed = run.curve_of(series, "crossed").mean
        row[f"share_above_half_a_nat_at_{name}"] = crossed[step]
        row["length_where_half_have"] = _half(crossed, lengths)
        rows.append(row)
    table = pd.DataFrame(rows)
    # The first rows have no SAE.
    leading = [name for name in ("kind", "sae", "family", "l0") if name in table]
    return table[[*leading, *(name for name in table if name not in leading)]]


def _negative(number: Number) -> Number:
    return lambda get: -number(get)


def _exponent(series: Series, lengths: Floats) -> Number:
    def exponent(get: Means) -> Floats:
        kl = get(series)
        rise: Floats = np.log(kl[..., 3] / kl[..., 2]) / np.log(lengths[3] / lengths[2])
        return rise

    return exponent


def _half(shares: Floats, lengths: Floats) -> float:
    """The length at which a share first reaches one half, between lengths; NaN if it never does."""
    above = np.flatnonzero(shares >= 0.5)
    if not len(above) or above[0] == 0:
        return float("nan")
    i = int(above[0])
    part = (0.5 - shares[i - 1]) / (shares[i] - shares[i - 1])
    return float(lengths[i - 1] + part * (lengths[i] - lengths[i - 1]))


def _at_lengths(run: Sensitivity, series: Series) -> Row:
    curve, row = run.curve_of(series), Row()
    for name, step in run.steps_at(SHOWN).items():
        row |= _interval(f"kl_at_{name}", *curve.at(step))
    return row


def _substituted(run: Sensitivity, series: Series, variable: str, column: str) -> Row:
    return _interval(column, *run.curve_of(series, variable, SUBSTITUTIONS).at(0))


def _mean(run: Sensitivity, series: Series, variable: str) -> float:
    return float(run.datasets[SUBSTITUTIONS][variable].sel({SERIES: series.name}).mean())


def _of_sae(run: Sensitivity, series: Series) -> Row:
    return next((_sae(sae) for sae in run.plan.saes if sae.label == series.sae), {})


def _sae(sae: SaeFacts) -> Row:
    return {"sae": sae.label, "family": sae.family, "l0": sae.l0}


def _interval(name: str, mean: float, low: float, high: float) -> Row:
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def caption(run: Sensitivity, where: str = "") -> str:
    """What is said under every table; ``where`` activations are moved, if not at the own site."""
    return (
        f"{run.counted}. Brackets: 95% intervals over sequences. Model: {run.moved_at(where)}. "
        f"{run.scaled}"
    )


def _table(name: str, make: Callable[[Any], pd.DataFrame], text: str, where: str = "") -> Table:
    def said(run: Sensitivity) -> str:
        return f"{text.format(**run.constants)} {caption(run, where)}"

    return Table(name, said, make)


def _published(name: str, text: str) -> Table:
    whole = f"As published by the authors, on GPT-2 small at layer 6: {text}."
    return Table(f"published_{name}", lambda _run: whole, lambda _run: published(name))


TABLES: Sequence[Table] = (
    _table("table_1", baseline_table,
           "KL in nats per token along directions that need no SAE; ratio: KL over the cov-random "
           "mixture's, geometric mean over all scanned lengths. With_first in a kind: the first "
           "position is counted in the mean and covariance, as in the authors' code; in a column: "
           "it is counted in the average."),
    _table("table_2", layer_table,
           "SAE errors by layer, each layer's SAE being the local one of like L0: mean length of "
           "the error, KL of the reconstruction, of random directions of the error's length, and "
           "the ratios (to isotropic: Gurnee's number). Over lengths: KL along the error over that "
           "along a mixture, geometric mean over all scanned lengths.", OWN_SITES),
    _table("table_3", sae_table,
           "KL in nats per token along the error and the features of each SAE; ratio: over the "
           "cov-random mixture's, geometric mean over all scanned lengths."),
    _table("table_4", matched_table,
           "KL along features of end-to-end SAEs over that along local ones, interpolated between "
           "local SAEs to the same L0 (L0 of local; where it is not the SAE's own, no local SAE is "
           "as sparse, or as dense); geometric mean over all scanned lengths."),
    _table("table_5", substitution_table,
           "KL and loss increase when activations are replaced (that of the first position is "
           "{first_position}), in nats per token.", OWN_SITES),
    _table("table_6", blend_table,
           "From difference (proportion 0) to mixture (1): KL in nats per token, and its ratio to "
           "the mixture of the same source, geometric mean over all scanned lengths."),
    _table("table_7", isotropy_table,
           "How evenly the decoder rows of each SAE point everywhere. Effective dimension: "
           "participation ratio of the rows' second moment over d_model (1: isotropic); variance "
           "along: of the activations, along the rows, over that along isotropic directions; both "
           "also weighed by firing rate. Last columns: KL along features over KL along isotropic "
           "directions."),
    _table("table_8", shape_table,
           "What the mean hides: exponent of KL in length between the second and the third "
           "shortest length (2: a quadratic); quantiles over the tokens of a sequence, averaged "
           "over sequences; share of tokens above 0.5 nats, and the length at which half of them "
           "are."),
    _table("table_9", nearest_table,
           "End-to-end SAEs beside the local one nearest in L0, and the one nearest in the "
           "variance left unexplained. Apart: the factor between both; beyond " f"{NEAR:g} they "
           "are not matched, and have no ratio. Ratio: KL of the reconstruction (SAE), along the "
           "error and along features over the local SAE's; of curves the geometric mean over all "
           "scanned lengths."),
    Table("curves", "", curve_table, is_data=True),
    _published("errors", "the error direction of 22 SAEs along fixed lengths (KL and loss, in nats "
               "per token)"),
    _published("substitution",
               "substitutions by 16 SAEs; columns that end in dig were read off a chart"),
    _published("features", "KL along SAE features at lengths 51 and 201, read off figures"),
)  # fmt: skip
