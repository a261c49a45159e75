"""The study's tables: one row per kind and mode, with intervals over base prompts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from steppe.comparisons import as_ranked, earlier_within, ks_statistic, ranked_median
from steppe.core.axes import CONTROL, KIND, MODE, MOMENT, NEIGHBOUR
from steppe.recipes.heimersheim2024.analysis import Analysis
from steppe.recipes.heimersheim2024.columns import (
    Floats,
    Row,
    crossing_columns,
    mean_columns,
    only,
    share_columns,
)
from steppe.recipes.heimersheim2024.outputs import (
    ARTIFICIAL,
    ARTIFICIAL_BASES,
    ASCENT,
    BASES,
    CONTROL_SETUPS,
    CONTROLS,
    CORNERS,
    CROSSING_DIRECTIONS,
    DIRECTIONS,
    ENCODED,
    ENCODING,
    FEATURE_DIRECTIONS,
    FEATURES,
    INWARD,
    ISOTROPIC,
    MODES,
    OPTIMA,
    PLATEAUS,
    RANDOM,
    RANDOM_FROM_RANDOM,
    REAL,
    RING,
    STARTS,
    TRIANGLES,
)


def plateau_table(analysis: Analysis) -> pd.DataFrame:
    """Part 1: how far from each kind of base the output stays as it was."""
    rows = []
    settings = analysis.settings
    for mode in MODES:
        for base in BASES:
            labels = {KIND: base, MODE: mode}
            flat = analysis.curve_crossings(PLATEAUS, settings.flat_level, **labels)
            crossed = analysis.curve_crossings(PLATEAUS, settings.level, **labels)
            shared = analysis.crossings(PLATEAUS, base, mode, "shared_")
            rows.append(
                {
                    "mode": mode,
                    "kind": base,
                    **crossing_columns(analysis, crossed),
                    **only(crossing_columns(analysis, flat, "flat_until"), "flat_until"),
                    **only(crossing_columns(analysis, shared, "shared"), "shared"),
                    **_mean_responses(analysis, labels),
                    "published_flat_until": 40.0 if (base, mode) == ("real", "sphere") else np.nan,
                }
            )
    return pd.DataFrame(rows)


def _mean_responses(analysis: Analysis, labels: dict[str, str]) -> Row:
    row: Row = {}
    for readout in ("kl", "l2", "l2_normalized"):
        found = analysis.responses(PLATEAUS, readout, labels)
        row |= mean_columns(found, f"mean_{readout}")
    return row


def direction_table(analysis: Analysis) -> pd.DataFrame:
    """Part 2: how soon each kind of direction changes the output."""
    rows = []
    norms = analysis.parts[DIRECTIONS]["base_norm"].values.astype(np.float64)[:, None]
    for mode in MODES:
        real = analysis.crossings(DIRECTIONS, REAL, mode)
        for kind in CROSSING_DIRECTIONS:
            found = analysis.crossings(DIRECTIONS, kind, mode)
            # A length only where the path is straight.
            lengths = found * (norms if mode == "straight" else np.nan)
            row = {"mode": mode, "kind": kind, **crossing_columns(analysis, found)}
            row |= only(crossing_columns(analysis, lengths, "length"), "length")
            row |= share_columns(real, found, "real_earlier")
            row |= mean_columns(bases_earlier(real, found), "bases_real_earlier")
            row["overlap"] = 1 - ks_statistic(real, found)
            rows.append(row)
    return pd.DataFrame(rows)


def bases_earlier(first: Floats, second: Floats) -> Floats:
    """Whether each base's median crossing is earlier in the first kind, ``(sample,)``.

    1 where it is, 0 where it is not, one half for a tie; NaN where either is undefined.
    """
    one, other = ([ranked_median(row) for row in values] for values in (first, second))
    return earlier_within(one, other)


def feature_table(analysis: Analysis) -> pd.DataFrame:
    """Part 5: decoder rows beside the directions of part 2."""
    rows = []
    for mode in MODES:
        known = {kind: (DIRECTIONS, kind) for kind in (REAL, RANDOM, ISOTROPIC)}
        known = known if analysis.has(DIRECTIONS) else {}
        known |= {kind: (FEATURES, kind) for kind in FEATURE_DIRECTIONS}
        for kind, (part, _) in known.items():
            found = analysis.crossings(part, kind, mode)
            row = {"mode": mode, "kind": kind, **crossing_columns(analysis, found)}
            if analysis.has(DIRECTIONS):
                for other, name in ((RANDOM, "than_random"), (REAL, "than_real")):
                    against = analysis.crossings(DIRECTIONS, other, mode)
                    row |= share_columns(found, against, f"earlier_{name}")
            rows.append(row)
    return pd.DataFrame(rows)


def artificial_table(analysis: Analysis) -> pd.DataFrame:
    """Part 5: plateaus around bases with latents added or removed."""
    distances = analysis.parts[ARTIFICIAL]["moved"]
    rows = [
        {
            "mode": mode,
            "kind": kind,
            **crossing_columns(analysis, analysis.crossings(ARTIFICIAL, kind, mode)),
            "mean_distance": float(np.nanmean(distances.sel({KIND: kind}).values)),
        }
        for mode in MODES
        for kind in ARTIFICIAL_BASES
        if not np.isnan(analysis.crossings(ARTIFICIAL, kind, mode)).all()
    ]
    return pd.DataFrame(rows)


def optimum_shares(analysis: Analysis, kind: str, around: str) -> Floats:
    """Share of each base's families in which the corner is below all its neighbours, ``(sample,)``.

    Args:
        analysis: The run.
        kind: Of corner.
        around: ``inward`` or ``ring``.
    """
    angles = family_angles(analysis, kind)
    places = [str(name) for name in analysis.parts[OPTIMA][NEIGHBOUR].values]
    near = [i for i, name in enumerate(places) if name.startswith(around)]
    corner = angles[..., places.index("corner")]
    around_it = angles[..., near].min(axis=-1)
    # Where even the corner never crosses there is nothing to compare.
    known = np.isfinite(corner) & ~np.isnan(around_it)
    return np.where(known, corner < around_it, np.nan)


def family_angles(analysis: Analysis, kind: str) -> Floats:
    """Crossing angles ``(sample, family, neighbour)``, infinite where KL never crosses."""
    chosen = analysis.parts[OPTIMA].sel({KIND: kind})
    return as_ranked(chosen["crossing"].values, chosen["censored"].values)


def optimum_table(analysis: Analysis) -> pd.DataFrame:
    """Part 4: in how many 2-D families is a corner a local optimum of sensitivity."""
    rows = []
    for kind in CORNERS:
        angles = family_angles(analysis, kind)
        for around, count in (("inward", len(INWARD)), ("ring", len(RING))):
            shares = optimum_shares(analysis, kind, around)
            rows.append(
                {
                    "kind": kind,
                    "neighbours": around,
                    "count": count,
                    "n": int((~np.isnan(shares)).sum()),
                    **mean_columns(shares, "optimum_share"),
                    **only(
                        crossing_columns(analysis, angles[..., 0], "corner_angle"), "corner_angle"
                    ),
                }
            )
    return pd.DataFrame(rows)


def ascent_table(analysis: Analysis) -> pd.DataFrame:
    """Part 4: what directions are before and after climbing the sensitivity."""
    dataset = analysis.parts[ASCENT].load()
    rows = []
    for kind in STARTS:
        for moment in dataset[MOMENT].values:
            chosen = dataset.sel({KIND: kind, MOMENT: moment})
            found = as_ranked(chosen["crossing"].values, chosen["censored"].values)
            row = {"kind": kind, "moment": str(moment), **crossing_columns(analysis, found)}
            for name in ("to_real", "to_decoder", "to_others"):
                row |= mean_columns(chosen[name].values.astype(np.float64), name)
            row["active_latent"] = float(chosen["latent_is_active"].values.mean())
            row["turned"] = float(np.nanmean(chosen["turned"].values)) if moment == "after" else 0.0
            rows.append(row)
    return pd.DataFrame(rows)


def control_table(analysis: Analysis) -> pd.DataFrame:
    """Part 6: both effects in every control, and in the study itself."""
    rows = []
    for mode in MODES:
        if analysis.has(DIRECTIONS, PLATEAUS):
            rows.append(_study_row(analysis, mode))
        for control in CONTROL_SETUPS:
            at = {CONTROL: control, MODE: mode}
            kinds = (REAL, RANDOM, RANDOM_FROM_RANDOM)
            level = analysis.settings.level
            kl = {k: analysis.curve_crossings(CONTROLS, level, **at, **{KIND: k}) for k in kinds}
            half = {k: analysis.half_rises(**at, **{KIND: k}) for k in kinds}
            flat = analysis.curve_crossings(
                CONTROLS, analysis.settings.flat_level, **at, **{KIND: RANDOM}
            )
            rows.append(
                {
                    "mode": mode,
                    "control": control,
                    **crossing_columns(analysis, kl[RANDOM]),
                    **only(crossing_columns(analysis, flat, "flat_until"), "flat_until"),
                    **share_columns(kl[REAL], kl[RANDOM], "real_earlier"),
                    **share_columns(kl[RANDOM_FROM_RANDOM], kl[RANDOM], "base_earlier"),
                    **share_columns(half[REAL], half[RANDOM], "real_half"),
                    **share_columns(half[RANDOM_FROM_RANDOM], half[RANDOM], "base_half"),
                }
            )
    return pd.DataFrame(rows)


def _study_row(analysis: Analysis, mode: str) -> Row:
    level = analysis.settings.level
    real, random = (
        analysis.curve_crossings(DIRECTIONS, level, **{KIND: kind, MODE: mode})
        for kind in (REAL, RANDOM)
    )
    own, other = (
        analysis.curve_crossings(PLATEAUS, level, **{KIND: kind, MODE: mode})
        for kind in ("real", "random")
    )
    flat = analysis.curve_crossings(
        DIRECTIONS, analysis.settings.flat_level, **{KIND: RANDOM, MODE: mode}
    )
    return {
        "mode": mode,
        "control": "none: the study itself",
        **crossing_columns(analysis, random),
        **only(crossing_columns(analysis, flat, "flat_until"), "flat_until"),
        **share_columns(real, random, "real_earlier"),
        **share_columns(other, own, "base_earlier"),
    }


def encoding_table(analysis: Analysis) -> pd.DataFrame:
    """Part 6: how many latents are active, by kind of vector."""
    dataset = analysis.parts[ENCODING]
    published = {"random": (10.0, 30.0, 20_000.0)}
    rows = []
    for kind in ENCODED:
        counts = dataset["l0"].sel({KIND: kind}).values.astype(np.float64)
        low, peak, high = published.get(kind, (np.nan,) * 3)
        rows.append(
            {
                "kind": kind,
                "n": len(counts),
                "dictionary": int(dataset.attrs["d_sae"]),
                "least": float(counts.min()),
                "median": float(np.median(counts)),
                **mean_columns(counts, "mean"),
                "largest": float(counts.max()),
                "published_least": low,
                "published_peak": peak,
                "published_largest": high,
            }
        )
    return pd.DataFrame(rows)


def search_table(analysis: Analysis) -> pd.DataFrame:
    """What bisection saved, and how far it agrees with a scan where both were done."""
    rows = []
    for part, prefix in _searches(analysis):
        dataset = analysis.parts[part]
        counts = dataset[f"{prefix}evaluations"].values.astype(np.float64)
        done = counts > 0
        scan = done.sum() * (analysis.settings.n_points - 1)
        rows.append(
            {
                "part": part,
                "searches": int(done.sum()),
                "points": int(counts.sum()),
                "points_of_scans": int(scan),
                "saving": float(scan / counts.sum()) if counts.sum() else np.nan,
                "scanned": int(dataset[f"{prefix}scanned"].values.sum()),
                **(_agreement(analysis) if part == DIRECTIONS else {}),
            }
        )
    return pd.DataFrame(rows)


def _searches(analysis: Analysis) -> Iterator[tuple[str, str]]:
    known = ((PLATEAUS, "shared_"), (DIRECTIONS, ""), (TRIANGLES, ""), (OPTIMA, ""),
             (FEATURES, ""), (ARTIFICIAL, ""))  # fmt: skip
    return (pair for pair in known if analysis.has(pair[0]))


def _agreement(analysis: Analysis) -> Row:
    """Search against scan, along the first direction of each kind, which was measured whole."""
    apart, compared, differ = 0.0, 0, 0
    for kind in analysis.curve_parts[DIRECTIONS]:
        for mode in MODES:
            labels = {KIND: kind, MODE: mode}
            scan = analysis.curve_crossings(DIRECTIONS, analysis.settings.level, **labels)
            found = analysis.crossings(DIRECTIONS, kind, mode)[:, 0]
            step = float(analysis.parts[DIRECTIONS][f"{mode}_position"][1])
            both = np.isinf(scan) & np.isinf(found)
            gap = np.abs(np.where(both, 0, scan) - np.where(both, 0, found)) / step
            compared += int((~np.isnan(gap)).sum())
            differ += int((gap > 0.01).sum())
            near = gap[gap <= 0.01]
            apart = max(apart, float(near.max(initial=0)))
    return {"compared": compared, "differ": differ, "largest_gap_of_others": apart}
