"""Which of the report's claims and predictions hold on this subject: a number for each.

A number is a mean, a share or an area under an ROC curve, tested by leaving out one base prompt at
a time (`steppe.comparisons.jackknife`). An equivalence is tested by two one-sided bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from steppe.comparisons import Sampled, both_sides, earlier_within, jackknife
from steppe.core.axes import CONTROL, KIND, MODE, MOMENT, NEIGHBOUR
from steppe.paths import END
from steppe.recipes.deciding import Decision, claims_frame
from steppe.recipes.heimersheim2024.analysis import Analysis
from steppe.recipes.heimersheim2024.outputs import (
    ADDED,
    ARTIFICIAL,
    ASCENT,
    CONTROLS,
    DIRECTIONS,
    ENCODING,
    FEATURES,
    ISOTROPIC,
    LAST_LAYER,
    MOVED,
    OPTIMA,
    PLATEAUS,
    RANDOM,
    RANDOM_BASE,
    REAL,
    REMOVED,
    UNEMBEDDING,
    UNTRAINED,
    Mode,
)
from steppe.recipes.heimersheim2024.tables import bases_earlier, family_angles, optimum_shares

_PAIR = ((DIRECTIONS, REAL), (DIRECTIONS, RANDOM))

Floats = NDArray[np.float64]
Values = Mapping[str, Floats]

# The report's own numbers, and what counts as near to nothing.
FLAT_UNTIL = 40.0
USUAL_L0 = 100.0
SEPARATED = 0.95
NEAR = 0.1
SYMMETRIC = 1.0
_NORMAL_97_5 = 1.96


@dataclass(frozen=True)
class Claim:
    """A statement, and a number that is positive where it holds.

    Attributes:
        id: ``HM1`` to ``HM9`` are the report's claims, ``HP`` its predictions and our checks.
        statement: In our words; it says no more than the number decides.
        quantity: What the number is.
        needs: Parts of the study that have to be measured.
        values: What it is computed from: by name, ``(sample, ...)``.
        number: Its computation: one number, or a column of numbers that all have to be positive.
            None where it is the share of base prompts whose one value, ``first``, is 1, minus one
            half: that is tested exactly.
    """

    id: str
    statement: str
    quantity: str
    needs: tuple[str, ...]
    values: Callable[[Analysis], Values]
    number: Callable[[Sampled], Floats] | None = None

    def decide(self, values: Values) -> Decision:
        """Whether it holds, from its values."""
        if self.number is None:
            return Decision.of_share(values["first"])
        return Decision.of_parts(jackknife(self.number, values))


def claims_table(analysis: Analysis) -> pd.DataFrame:
    """Decide every claim that what was measured allows.

    Returns:
        The table of `claims_frame`, and ``quantity``. A claim holds where the whole 95% interval
        over base prompts is positive.
    """
    rows = [
        claim.decide(claim.values(analysis)).row(claim.id, claim.statement, quantity=claim.quantity)
        for claim in CLAIMS
        if analysis.has(*claim.needs)
    ]
    return claims_frame(rows, "quantity")


def _mean_above(values: Sampled, level: float) -> Floats:
    return values.mean(values["first"]) - level


def _mean_gap(values: Sampled) -> Floats:
    return values.mean(values["second"]) - values.mean(values["first"])


def _plateau_gap(values: Sampled, end: float) -> Floats:
    """Mean response of the second bases less that of the first, as far as plateaus reach.

    That is the mean crossing of both together, which prefers neither; what never crosses counts as
    the path's end. A mean, since a median of two groups jumps as a base is left out.
    """
    crossed = np.stack([values["first_crossing"], values["second_crossing"]], axis=1)
    reach = values.mean(np.minimum(crossed, end))
    gaps = values.means(values["second"] - values["first"])
    steps = gaps.shape[-1] - 1
    areas = np.cumsum((gaps[..., 1:] + gaps[..., :-1]) / 2, axis=-1)
    areas = np.concatenate([np.zeros((*gaps.shape[:-1], 1)), areas], axis=-1)
    place = np.nan_to_num(reach / end * steps)
    before = np.minimum(place.astype(int), steps - 1)
    ends = [np.take_along_axis(areas, at[..., None], -1)[..., 0] for at in (before, before + 1)]
    area: Floats = ends[0] + (place - before) * (ends[1] - ends[0])
    return np.where(np.isnan(reach), np.nan, area / place)


def _earlier(values: Sampled) -> Floats:
    return values.earlier(values["first"], values["second"]) - 0.5


def _paired(values: Sampled) -> Floats:
    return values.mean(earlier_within(values["first"], values["second"])) - 0.5


def _not_separated(values: Sampled) -> Floats:
    # In logarithms: so near to its end a share is not symmetric about its mean.
    share = values.earlier(values["second"], values["first"])
    logarithm: Floats = np.log(np.maximum(share, 1e-9) / (1 - SEPARATED))
    return logarithm


def _alike(values: Sampled) -> Floats:
    return both_sides(NEAR, _earlier(values))


def _leads_by_more(values: Sampled) -> Floats:
    there = values.earlier(values["first_at"], values["second_at"]) - 0.5
    return both_sides(_earlier(values), there)


def _symmetric(values: Sampled, end: float) -> Floats:
    gaps = np.minimum(values["second"], end) - np.minimum(values["first"], end)
    return both_sides(SYMMETRIC, values.mean(gaps))


def _usual(values: Sampled) -> Floats:
    mean = np.maximum(values.mean(values["first"]), 1e-9)
    return both_sides(1, np.log10(mean / USUAL_L0))


def _wide(values: Sampled) -> Floats:
    logs = np.log10(np.maximum(values["first"], 0.5))
    variance = values.mean(logs**2) - values.mean(logs) ** 2
    # In logarithms: a spread is not symmetric about its mean.
    span: Floats = np.log(2 * _NORMAL_97_5 * np.sqrt(np.maximum(variance, 1e-12)))
    return span


def _flat(analysis: Analysis, kind: str) -> Floats:
    level = analysis.settings.flat_level
    return analysis.curve_crossings(PLATEAUS, level, **{KIND: kind, MODE: "sphere"})


def _flat_beyond(analysis: Analysis) -> Values:
    left = _flat(analysis, "real")
    return {"first": np.where(np.isnan(left), np.nan, left > FLAT_UNTIL)}


def _random_left_first(analysis: Analysis) -> Values:
    return {"first": earlier_within(_flat(analysis, "random"), _flat(analysis, "real"))}


def _responses(mode: Mode, readout: str) -> Callable[[Analysis], Values]:
    """Curves from real and random bases, and where KL along them crosses the level."""

    def values(analysis: Analysis) -> Values:
        found = {}
        for name, kind in (("first", "real"), ("second", "random")):
            labels = {KIND: kind, MODE: mode}
            found[name] = analysis.curves(PLATEAUS, readout, **labels)[1]
            level = analysis.settings.level
            found[f"{name}_crossing"] = analysis.curve_crossings(PLATEAUS, level, **labels)
        return found

    return values


def _crossings(
    first: tuple[str, str], second: tuple[str, str], mode: Mode = "sphere", prefix: str = ""
) -> Callable[[Analysis], Values]:
    """Searched crossings of two (part, kind)."""
    return lambda analysis: {
        "first": analysis.crossings(*first, mode, prefix),
        "second": analysis.crossings(*second, mode, prefix),
    }


def _bases_won(analysis: Analysis) -> Values:
    pair = _crossings(*_PAIR)(analysis)
    return {"first": bases_earlier(pair["first"], pair["second"])}


def _in_control(control: str, readout: str = "kl") -> Callable[[Analysis], Values]:
    """Crossings towards real and towards random activations in a control, along curves."""

    def values(analysis: Analysis) -> Values:
        found = {}
        for name, kind in (("first", REAL), ("second", RANDOM)):
            labels = {KIND: kind, MODE: "sphere", CONTROL: control}
            level = analysis.settings.level
            found[name] = (
                analysis.curve_crossings(CONTROLS, level, **labels)
                if readout == "kl"
                else analysis.half_rises(**labels)
            )
        return found

    return values


def _study_and_control(control: str) -> Callable[[Analysis], Values]:
    def values(analysis: Analysis) -> Values:
        level = analysis.settings.level
        own = {
            name: analysis.curve_crossings(DIRECTIONS, level, **{KIND: kind, MODE: "sphere"})
            for name, kind in (("first", REAL), ("second", RANDOM))
        }
        there = _in_control(control)(analysis)
        return {**own, **{f"{name}_at": array for name, array in there.items()}}

    return values


def _optima(kind: str, around: str) -> Callable[[Analysis], Values]:
    return lambda analysis: {"first": optimum_shares(analysis, kind, around)}


def _both_corners(analysis: Analysis) -> Values:
    return {
        "first": optimum_shares(analysis, "random", "ring"),
        "second": optimum_shares(analysis, "real", "ring"),
    }


def _both_sides(analysis: Analysis) -> Values:
    angles = family_angles(analysis, "random")
    places = [str(name) for name in analysis.parts[OPTIMA][NEIGHBOUR].values]
    return {
        name: angles[..., places.index(f"inward_{side}")]
        for name, side in (("first", "second"), ("second", "third"))
    }


def _climbed(name: str) -> Callable[[Analysis], Values]:
    def values(analysis: Analysis) -> Values:
        chosen = analysis.parts[ASCENT][name].sel({KIND: RANDOM})
        return {
            key: chosen.sel({MOMENT: moment}).values.astype(np.float64)
            for key, moment in (("first", "before"), ("second", "after"))
        }

    return values


def _counts(kind: str) -> Callable[[Analysis], Values]:
    return lambda analysis: {
        "first": analysis.parts[ENCODING]["l0"].sel({KIND: kind}).values.astype(np.float64)
    }


def _on_plateau(id_: str, mode: Mode, readout: str, what: str, unit: str) -> Claim:
    return Claim(
        id_,
        f"On plateaus, {what} grows less from real bases than from random ones towards the same "
        f"random activations ({mode}).",
        f"mean {what} ({unit}) up to the mean crossing of all bases, random minus real bases",
        (PLATEAUS,),
        _responses(mode, readout),
        partial(_plateau_gap, end=END[mode]),
    )


_SHARE = "share of pairs in which {} crosses before {}, minus one half"
_NEAR = f"{NEAR} minus the distance of the ROC area from one half"
_L2, _L2_NORMALIZED = "L2 at the last layer", "L2 after the final normalisation"

CLAIMS = (
    Claim("HM1a", "Around most real bases the output stays flat (KL below a tenth of a nat) until "
          "40 degrees.", "share of real bases whose KL leaves the flat level beyond 40 degrees, "
          "minus one half (sphere)", (PLATEAUS,), _flat_beyond),
    Claim("HM1b", "Around random bases the output stays flat (KL below a tenth of a nat) for a "
          "smaller angle than around real ones.", "share of prompts whose random base is left "
          "before its real one, minus one half (sphere)", (PLATEAUS,), _random_left_first),
    _on_plateau("HM2a", "sphere", "kl", "KL", "nats"),
    _on_plateau("HM2b", "straight", "kl", "KL", "nats"),
    _on_plateau("HM2c", "sphere", "l2", _L2, "activation units"),
    _on_plateau("HM2d", "straight", "l2", _L2, "activation units"),
    Claim("HM2e", "Along the same displacements random bases are left sooner than real ones "
          "(sphere).", _SHARE.format("the random base", "the real one"), (PLATEAUS,),
          _crossings((PLATEAUS, "random"), (PLATEAUS, "real"), prefix="shared_"), _paired),
    _on_plateau("HM2f", "sphere", "l2_normalized", _L2_NORMALIZED, "normalised units"),
    _on_plateau("HM2g", "straight", "l2_normalized", _L2_NORMALIZED, "normalised units"),
    Claim("HM3a", "KL reaches the level at smaller angles towards other real activations than "
          "towards random ones.", _SHARE.format("real-other", "random"), (DIRECTIONS,),
          _crossings(*_PAIR), _earlier),
    Claim("HM3b", "KL reaches the level at smaller lengths towards other real activations than "
          "towards random ones.", _SHARE.format("real-other", "random"), (DIRECTIONS,),
          _crossings(*_PAIR, mode="straight"), _earlier),
    Claim("HM3c", "From most base prompts the median crossing angle is smaller towards other real "
          "activations than towards random ones.", "share of prompts whose median angle is "
          "smaller towards real activations, minus one half", (DIRECTIONS,), _bases_won),
    Claim("HM4", "Isotropic directions are less sensitive than covariance-matched ones.",
          _SHARE.format("random", "isotropic"), (DIRECTIONS,),
          _crossings((DIRECTIONS, RANDOM), (DIRECTIONS, ISOTROPIC)), _earlier),
    Claim("HM5", "The crossing tells real-other from random directions only partially: below a ROC "
          f"area of {SEPARATED}.", "ln of the share of pairs in which random crosses before "
          f"real-other, over {1 - SEPARATED:.2g} (sphere)", (DIRECTIONS,),
          _crossings(*_PAIR), _not_separated),
    Claim("HM6a", "The way to a real activation is a local optimum of sensitivity in most "
          "triangles with two random corners.", "share of families in which the corner crosses "
          "before its inward neighbours, minus one half", (OPTIMA,), _optima("real", "inward"),
          partial(_mean_above, level=0.5)),
    Claim("HM6b", "The way to a real activation is a local optimum of sensitivity in most random "
          "2-D families around it.", "share of families in which the corner crosses before all "
          "directions around it, minus one half", (OPTIMA,), _optima("real", "ring"),
          partial(_mean_above, level=0.5)),
    Claim("HM6c", "The way to a real activation is more often a local optimum in random 2-D "
          "families than the way to a random activation.", "share of families with an optimum at "
          "the corner, real minus random (ring)", (OPTIMA,), _both_corners, _mean_gap),
    Claim("HM6d", "Triangles of random activations are symmetric: both sides of a corner cross "
          f"within {SYMMETRIC:g} degree of each other on average (a check: their corners are drawn "
          "alike).", f"{SYMMETRIC:g} degree minus the distance from zero of the mean difference "
          "between both sides of a random corner (never: taken as 180 degrees)", (OPTIMA,),
          _both_sides, partial(_symmetric, end=END["sphere"])),
    Claim("HM7", f"Real activations have about {USUAL_L0:g} active latents on average, within a "
          "factor of ten.", "1 minus the distance of the mean count from 100, in powers of ten",
          (ENCODING,), _counts("real"), _usual),
    Claim("HM8", "Random activations have very different numbers of active latents: the middle 95% "
          "of them, taken as log-normal, span more than a factor of ten.", "ln of 3.92 "
          "standard deviations of log10 of the count", (ENCODING,), _counts("random"), _wide),
    Claim("HM9a", "Real-other directions lead random ones at the study's site by more than the two "
          "differ, either way, before the last layer.", "ROC area minus one half, study, minus "
          "its distance from one half, last layer (sphere, one direction per prompt)",
          (DIRECTIONS, CONTROLS), _study_and_control(LAST_LAYER), _leads_by_more),
    Claim("HM9b", "Before the last layer real-other and random directions hardly differ: a ROC "
          f"area within {NEAR} of one half.", _NEAR, (CONTROLS,), _in_control(LAST_LAYER), _alike),
    Claim("HP1", "Directions of active SAE latents are more sensitive than random ones.",
          _SHARE.format("a decoder row, along,", "random"), (FEATURES, DIRECTIONS),
          _crossings((FEATURES, "sae_feature_active"), (DIRECTIONS, RANDOM)), _earlier),
    Claim("HP2", "Directions of active SAE latents are more sensitive than real-other ones.",
          _SHARE.format("a decoder row, along,", "real-other"), (FEATURES, DIRECTIONS),
          _crossings((FEATURES, "sae_feature_active"), (DIRECTIONS, REAL)), _earlier),
    Claim("HP3", "Bases with three latents added are left later than random bases.",
          _SHARE.format("the random base", "the artificial one"), (ARTIFICIAL,),
          _crossings((ARTIFICIAL, RANDOM_BASE), (ARTIFICIAL, f"{ADDED}_3")), _paired),
    Claim("HP4", "Bases with three latents added are left later than bases moved as far in a "
          "random direction (a share of pairs within 0.1 of one half cannot be decided with 120 "
          "prompts).", _SHARE.format("the moved base", "the artificial one"), (ARTIFICIAL,),
          _crossings((ARTIFICIAL, f"{MOVED}_3"), (ARTIFICIAL, f"{ADDED}_3")), _paired),
    Claim("HP5", "Bases with three latents removed are left later than random bases.",
          _SHARE.format("the random base", "the artificial one"), (ARTIFICIAL,),
          _crossings((ARTIFICIAL, RANDOM_BASE), (ARTIFICIAL, f"{REMOVED}_3")), _paired),
    Claim("HP6", "Climbing the sensitivity from random directions leads nearer to the ways to real "
          "activations.", "mean largest cosine to the way to a real activation, after minus before",
          (ASCENT,), _climbed("to_real"), _mean_gap),
    Claim("HP7", "Climbing the sensitivity from random directions leads nearer to decoder rows.",
          "mean largest absolute cosine to a decoder row, after minus before", (ASCENT,),
          _climbed("to_decoder"), _mean_gap),
    Claim("HP8", "In an untrained subject real-other and random directions hardly differ: a ROC "
          f"area within {NEAR} of one half.", f"{_NEAR} (half rise of L2)", (CONTROLS,),
          _in_control(UNTRAINED, "l2"), _alike),
    Claim("HP9", "Right before the unembedding real-other and random directions hardly differ: a "
          f"ROC area within {NEAR} of one half.", _NEAR, (CONTROLS,), _in_control(UNEMBEDDING),
          _alike),
)  # fmt: skip
