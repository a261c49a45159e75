"""The study's tables: one row per kind and mode, with intervals over base prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from steppe.comparisons import (
    Parts,
    as_ranked,
    censored_median,
    censored_median_interval,
    jackknife,
    ks_statistic,
)
from steppe.core.axes import CONTROL, KIND, MODE, MOMENT, SAMPLE
from steppe.studies.heimersheim2024 import names as n
from steppe.studies.heimersheim2024 import quantities as q
from steppe.study import Analysis, Table

Row = dict[str, Any]
Rows = Iterator[Row]
# What the report's footnote says of GPT-2: least, peak and largest number of active latents.
_PUBLISHED_COUNTS = {"random": (10.0, 30.0, 20_000.0)}


def median_columns(a: Analysis, found: q.Floats, name: str) -> Row:
    """Median of crossings with its interval; what never crosses is later than any."""
    low, high = censored_median_interval(found, a.resamples(name, len(found)))
    return {name: censored_median(found), f"{name}_low": low, f"{name}_high": high}


def crossing_columns(a: Analysis, found: q.Floats) -> Row:
    """How many crossings there are, their median, and how many never cross."""
    counted, never = int((~np.isnan(found)).sum()), int(np.isinf(found).sum())
    return {"n": counted, **median_columns(a, found, "crossing"), "never": never}


def mean_columns(values: q.Floats, name: str) -> Row:
    """Mean over samples with its interval; further axes are averaged within a sample."""
    rows = values.reshape(len(values), -1)
    defined = ~np.isnan(rows)
    sums = np.where(defined, rows, 0).sum(axis=1)
    means = np.full(len(sums), np.nan)
    np.divide(sums, defined.sum(axis=1), out=means, where=defined.any(axis=1))
    return _estimated(jackknife(lambda known: known.mean(known["x"]), {"x": means}), name)


def share_columns(first: q.Floats, second: q.Floats, name: str) -> Row:
    """Share of pairs in which the first crosses earlier (ROC area), with its interval."""
    both = {"first": first, "second": second}
    parts = jackknife(lambda known: known.earlier(known["first"], known["second"]), both)
    return _estimated(parts, name, (0.0, 1.0))


def _estimated(parts: Parts, name: str, limits: tuple[float, float] = (-np.inf, np.inf)) -> Row:
    low, high = np.clip(parts.interval(), *limits)
    return {name: parts.number, f"{name}_low": low, f"{name}_high": high}


def plateau_rows(a: Analysis) -> Rows:
    """Part 1: how far from each kind of base the output stays as it was."""
    for mode, base in product(n.MODES, n.BASES):
        at: Row = {MODE: mode, KIND: base}
        row = at | crossing_columns(a, q.reached(n.PLATEAUS, at)(a))
        row |= median_columns(a, q.reached(n.PLATEAUS, at, "flat_level")(a), "flat_until")
        row |= median_columns(a, q.searched(n.PLATEAUS, base, mode, "shared_")(a), "shared")
        for metric in ("kl", "l2", "l2_normalized"):
            row |= mean_columns(q.responses(n.PLATEAUS, metric, at)(a), f"mean_{metric}")
        published = 40.0 if (base, mode) == ("real", "sphere") else np.nan
        yield row | {"published_flat_until": published}


def direction_rows(a: Analysis) -> Rows:
    """Part 2: how soon each kind of direction changes the output."""
    norms = a[f"{n.DIRECTIONS}/base_norm"].values.astype(np.float64)[:, None]
    for mode, kind in product(n.MODES, n.CROSSING_DIRECTIONS):
        real, found = (q.searched(n.DIRECTIONS, one, mode)(a) for one in (n.REAL, kind))
        # A length only where the path is straight.
        lengths = found * (norms if mode == "straight" else np.nan)
        row = {MODE: mode, KIND: kind} | crossing_columns(a, found)
        row |= median_columns(a, lengths, "length") | share_columns(real, found, "real_earlier")
        row |= mean_columns(q.bases_earlier(real, found), "bases_real_earlier")
        yield row | {"overlap": 1 - ks_statistic(real, found)}


def feature_kinds(a: Analysis) -> list[tuple[str, str]]:
    """Decoder rows by part and kind, after the directions of part 2 where there are some."""
    beside = n.CURVE_DIRECTIONS if a.has(n.DIRECTIONS) else ()
    rows = [(n.FEATURES, kind) for kind in n.FEATURE_DIRECTIONS]
    return [*((n.DIRECTIONS, kind) for kind in beside), *rows]


def feature_rows(a: Analysis) -> Rows:
    """Part 5: decoder rows beside the directions of part 2."""
    return _rows_beside(a, feature_kinds(a))


def further_rows(a: Analysis) -> Rows:
    """Kinds of direction that were asked for beside the report's."""
    return _rows_beside(a, [(n.FURTHER, kind) for kind in a.settings.directions])


def _rows_beside(a: Analysis, kinds: list[tuple[str, str]]) -> Rows:
    """Kinds by part, and how often they cross earlier than the directions of part 2."""
    others = {"random": n.RANDOM, "real": n.REAL} if a.has(n.DIRECTIONS) else {}
    for mode, (part, kind) in product(n.MODES, kinds):
        found = q.searched(part, kind, mode)(a)
        row = {MODE: mode, KIND: kind} | crossing_columns(a, found)
        for name, other in others.items():
            against = q.searched(n.DIRECTIONS, other, mode)(a)
            row |= share_columns(found, against, f"earlier_than_{name}")
        yield row


def artificial_rows(a: Analysis) -> Rows:
    """Part 5: plateaus around bases with latents added or removed."""
    for mode, kind in product(n.MODES, n.ARTIFICIAL_BASES):
        found = q.searched(n.ARTIFICIAL, kind, mode)(a)
        if not np.isnan(found).all():
            moved = float(np.nanmean(a[f"{n.ARTIFICIAL}/moved"].sel({KIND: kind}).values))
            row = {MODE: mode, KIND: kind} | crossing_columns(a, found)
            yield row | {"mean_distance": moved}


def optimum_rows(a: Analysis) -> Rows:
    """Part 4: in how many 2-D families is a corner a local optimum of sensitivity."""
    for kind, (around, near) in product(n.CORNERS, (("inward", n.INWARD), ("ring", n.RING))):
        shares, corner = q.optima(kind, near)(a), q.family_angles(kind, "corner")(a)
        row: Row = {"kind": kind, "neighbours": around, "count": len(near)}
        row |= {"n": int((~np.isnan(shares)).sum())} | mean_columns(shares, "optimum_share")
        yield row | median_columns(a, corner, "corner_angle")


def ascent_rows(a: Analysis) -> Rows:
    """Part 4: what directions are before and after climbing the sensitivity."""
    dataset = a.datasets[n.ASCENT].load()
    for kind, moment in product(n.STARTS, n.MOMENTS):
        chosen = dataset.sel({KIND: kind, MOMENT: moment})
        found = as_ranked(chosen["crossing"].values, chosen["censored"].values)
        row: Row = {KIND: kind, MOMENT: moment} | crossing_columns(a, found)
        for name in filter(chosen.__contains__, ("to_real", "to_decoder", "to_others")):
            row |= mean_columns(chosen[name].values.astype(np.float64), name)
        if "latent_is_active" in chosen:
            row["active_latent"] = float(chosen["latent_is_active"].values.mean())
        turned = float(np.nanmean(chosen["turned"].values)) if moment == "after" else 0.0
        yield row | {"turned": turned}


def control_rows(a: Analysis) -> Rows:
    """Part 6: both effects in every control, and in the study itself."""
    own = ("",) if a.has(n.DIRECTIONS, n.PLATEAUS) else ()
    for mode, control in product(n.MODES, (*own, *n.CONTROL_SETUPS)):
        at = {MODE: mode} | ({CONTROL: control} if control else {})
        ways, bases = (n.CONTROLS, n.CONTROLS) if control else (n.DIRECTIONS, n.PLATEAUS)
        of_bases = (n.RANDOM_FROM_RANDOM, n.RANDOM) if control else ("random", "real")
        pairs = {"real": (ways, n.REAL, n.RANDOM), "base": (bases, *of_bases)}
        random = at | {KIND: n.RANDOM}
        row: Row = {MODE: mode, CONTROL: control or "none: the study itself"}
        row |= crossing_columns(a, q.reached(ways, random)(a))
        row |= median_columns(a, q.reached(ways, random, "flat_level")(a), "flat_until")
        for name, (part, *kinds) in pairs.items():
            first, second = (q.reached(part, at | {KIND: kind})(a) for kind in kinds)
            row |= share_columns(first, second, f"{name}_earlier")
        for name, (_, *kinds) in pairs.items() if control else ():
            first, second = (q.half_rises(at | {KIND: kind})(a) for kind in kinds)
            row |= share_columns(first, second, f"{name}_half")
        yield row


def encoding_rows(a: Analysis) -> Rows:
    """Part 6: how many latents are active, by kind of vector."""
    dictionary = int(a.datasets[n.ENCODING].attrs["d_sae"])
    for kind in n.ENCODED:
        counts = a[f"{n.ENCODING}/l0"].sel({KIND: kind}).values.astype(np.float64)
        least, peak, largest = _PUBLISHED_COUNTS.get(kind, (np.nan,) * 3)
        row: Row = {KIND: kind, "n": len(counts), "dictionary": dictionary}
        row |= {"least": float(counts.min()), "median": float(np.median(counts))}
        row |= mean_columns(counts, "mean") | {"largest": float(counts.max())}
        row |= {"published_least": least, "published_peak": peak}
        yield row | {"published_largest": largest}


def search_rows(a: Analysis) -> Rows:
    """What bisection saved, and how far it agrees with a scan where both were done."""
    parts = (n.PLATEAUS, n.DIRECTIONS, n.TRIANGLES, n.OPTIMA, n.FEATURES, n.ARTIFICIAL)
    for part in filter(a.has, parts):
        prefix = "shared_" if part == n.PLATEAUS else ""
        counts = a[f"{part}/{prefix}evaluations"].values
        searches, points = int((counts > 0).sum()), int(counts.sum())
        scan = searches * (a.settings.n_points - 1)
        row: Row = {"part": part, "searches": searches, "points": points, "points_of_scans": scan}
        row |= {"saving": scan / points if points else np.nan}
        row |= {"scanned": int(a[f"{part}/{prefix}scanned"].values.sum())}
        yield row | (_agreement(a) if part == n.DIRECTIONS else {})


def _agreement(a: Analysis) -> Row:
    """Search against scan, along the first direction of each kind, which was measured whole."""
    gaps = []
    for kind, mode in product(n.CURVE_DIRECTIONS, n.MODES):
        scan = q.reached(n.DIRECTIONS, {KIND: kind, MODE: mode})(a)
        found = q.searched(n.DIRECTIONS, kind, mode)(a)[:, 0]
        never = np.isinf(scan) & np.isinf(found)
        apart = np.abs(np.where(never, 0, scan) - np.where(never, 0, found))
        gaps.append(apart / float(q.positions(a, n.DIRECTIONS, mode)[1]))
    gap = np.concatenate(gaps)
    others = float(gap[gap <= 0.01].max(initial=0))
    compared, differ = int((~np.isnan(gap)).sum()), int((gap > 0.01).sum())
    return {"compared": compared, "differ": differ, "largest_gap_of_others": others}


def levels(a: Analysis) -> str:
    """What every caption says of the levels."""
    return f"KL is crossed at {a.settings.level:g} nats, flat below {a.settings.flat_level:g}."


def _table(
    part: str, rows: Callable[[Analysis], Rows], what: str, over: str = "base prompts"
) -> Table:
    def caption(a: Analysis) -> str:
        counted = f"n = {a.datasets[part].sizes[SAMPLE]} {over}; brackets: 95% intervals over them."
        return f"{what} {levels(a)} {counted} Model: {a.model}, moved at {a.constants['site']}."

    return Table(part, caption, lambda a: pd.DataFrame(list(rows(a))), (part,))


_POSITION = (
    "Crossings are angles in degrees (sphere mode) or lengths in units of the base's norm "
    "(straight mode); never: paths on which KL stays below the level, which medians count as later "
    "than any."
)
TABLES = (
    _table(n.PLATEAUS, plateau_rows,
           "Part 1. How far from real and random bases the output stays: median crossing of KL, "
           "where KL leaves the flat level, crossing along displacements shared by all bases, and "
           "mean KL (nats), L2 (activation units) and L2 after the final normalisation up to 90 "
           f"degrees or the base's norm. {_POSITION}"),
    _table(n.DIRECTIONS, direction_rows,
           "Part 2. How soon directions change the output: median crossing of KL, for straight "
           "paths also as a length in activation units; the share of pairs in which the real-other "
           "direction crosses earlier (the area under the ROC curve), of base prompts whose median "
           f"does, and the overlap of both distributions (1 minus KS). {_POSITION}"),
    _table(n.FURTHER, further_rows,
           "Directions that were asked for beside the report's: median crossing of KL, and shares "
           "of pairs in which they cross earlier than directions towards random and towards real "
           f"activations. {_POSITION}"),
    _table(n.OPTIMA, optimum_rows,
           "Part 4. In which share of random 2-D families of directions a corner crosses before "
           "all of its neighbours: inward ones, mixed with the other two corners, or all around it "
           "(ring); median crossing angle of the corner in degrees."),
    _table(n.ASCENT, ascent_rows,
           "Part 4. Directions before and after climbing the sensitivity: median crossing angle in "
           "degrees, mean largest cosine to the way to a real activation, mean largest absolute "
           "cosine to an SAE decoder row, mean cosine to the base's other directions, share whose "
           "nearest latent is active at the base, and mean angle turned in degrees."),
    _table(n.FEATURES, feature_rows,
           "Part 5. How soon SAE decoder rows change the output, along and against, of latents "
           "active at the base, of silent ones, and of any, beside the directions of part 2; "
           "shares of pairs in which they cross earlier than towards random and towards real "
           f"activations. {_POSITION}"),
    _table(n.ARTIFICIAL, artificial_rows,
           "Part 5. How far the output stays around artificial bases: real ones with latents added "
           "or removed, or moved as far as added latents move them in a random direction; mean "
           f"distance from the real base in activation units. {_POSITION}"),
    _table(n.CONTROLS, control_rows,
           "Part 6. Both effects in the controls: share of pairs in which the real-other direction "
           "crosses before the random one, and the random base is left before the real one (0.5: "
           "no difference), by the crossing of KL and by where L2 after the final normalisation "
           "reaches half of its largest value. Median crossing, and where KL leaves the flat "
           f"level, are those of real bases in random directions. {_POSITION}"),
    _table(n.ENCODING, encoding_rows,
           "Part 6. Active latents of real activations, of random ones with their mean and "
           "covariance, and of isotropic vectors as long as real ones, and all latents of the SAE "
           "(dictionary); beside the report's footnote on GPT-2.", "vectors of each kind"),
    Table("search",
          "How crossings were found: points computed by bisection, and by a scan of every grid "
          "point where a curve does not rise steadily, against scans of all. Compared: paths that "
          "were also measured whole; differ: searches that found another crossing (by more than a "
          "hundredth of a grid step); largest gap of the others in grid steps.",
          lambda a: pd.DataFrame(list(search_rows(a)))),
)  # fmt: skip
