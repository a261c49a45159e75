"""Which of the report's claims and predictions hold on this subject? A number for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from steppe.comparisons import censored_median, earlier_share, paired_earlier_share
from steppe.core.axes import CONTROL, KIND, MODE, MOMENT, NEIGHBOUR
from steppe.recipes.deciding import claims_frame, decide
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


@dataclass(frozen=True)
class Claim:
    """A statement, and a number that is positive where it holds.

    Attributes:
        id: ``HM1`` to ``HM9`` are the report's claims, ``HP`` its predictions and our checks.
        statement: In our words; it says no more than the number decides.
        quantity: What the number is.
        needs: Parts of the study that have to be measured.
        values: What it is computed from: by name, ``(sample, ...)``.
        number: Its computation.
    """

    id: str
    statement: str
    quantity: str
    needs: tuple[str, ...]
    values: Callable[[Analysis], Values]
    number: Callable[[Values], float]


def claims_table(analysis: Analysis) -> pd.DataFrame:
    """Decide every claim that what was measured allows.

    Returns:
        The columns of `Decision.row`, and ``quantity``. A claim holds where the whole 95% bootstrap
        interval over base prompts is positive.
    """
    rows = []
    for claim in CLAIMS:
        if not analysis.has(*claim.needs):
            continue
        values = claim.values(analysis)
        drawn = analysis.resamples(claim.id, len(next(iter(values.values()))))
        decision = decide(claim.number, values, drawn)
        rows.append(decision.row(claim.id, claim.statement, quantity=claim.quantity))
    return claims_frame(rows, "quantity")


def _median_above(values: Values, level: float) -> float:
    return censored_median(values["first"]) - level


def _mean_above(values: Values, level: float) -> float:
    return _mean(values["first"]) - level


def _mean_gap(values: Values) -> float:
    return _mean(values["second"]) - _mean(values["first"])


def _earlier(values: Values) -> float:
    return earlier_share(values["first"], values["second"]) - 0.5


def _paired(values: Values) -> float:
    return paired_earlier_share(values["first"], values["second"]) - 0.5


def _not_separated(values: Values) -> float:
    return SEPARATED - earlier_share(values["first"], values["second"])


def _alike(values: Values) -> float:
    return NEAR - abs(earlier_share(values["first"], values["second"]) - 0.5)


def _smaller_gap(values: Values) -> float:
    gaps = [
        abs(earlier_share(values[f"first{at}"], values[f"second{at}"]) - 0.5) for at in ("", "_at")
    ]
    return gaps[0] - gaps[1]


def _symmetric(values: Values) -> float:
    sides = [np.where(np.isinf(side), np.nan, side) for side in values.values()]
    return SYMMETRIC - abs(_mean(sides[1] - sides[0]))


def _usual(values: Values) -> float:
    return 1 - abs(float(np.log10(max(_mean(values["first"]), 1e-9) / USUAL_L0)))


def _wide(values: Values) -> float:
    low, high = np.quantile(np.maximum(values["first"], 0.5), [0.025, 0.975])
    return float(np.log10(high / low)) - 1


def _mean(values: Floats) -> float:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _flat(analysis: Analysis, kind: str) -> Floats:
    level = analysis.settings.flat_level
    return analysis.curve_crossings(PLATEAUS, level, **{KIND: kind, MODE: "sphere"})


def _responses(mode: Mode, readout: str) -> Callable[[Analysis], Values]:
    return lambda analysis: {
        name: analysis.responses(
            PLATEAUS, readout, {KIND: kind, MODE: mode}, analysis.plateau_end(mode)
        )
        for name, kind in (("first", "real"), ("second", "random"))
    }


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


_SHARE = "share of pairs in which {} crosses before {}, minus one half"
_MEAN = "mean {} up to the median crossing of real bases, random minus real bases"

CLAIMS = (
    Claim("HM1a", "Around real bases the output stays flat (KL below a tenth of a nat) until "
          "40 degrees.", "median angle at which KL leaves the flat level, minus 40 degrees "
          "(sphere)", (PLATEAUS,), lambda a: {"first": _flat(a, "real")},
          partial(_median_above, level=FLAT_UNTIL)),
    Claim("HM1b", "Around random bases it does not stay flat as long.",
          "share of prompts whose random base is left before its real one, minus one half (sphere)",
          (PLATEAUS,), lambda a: {"first": _flat(a, "random"), "second": _flat(a, "real")},
          _paired),
    Claim("HM2a", "On their plateaus, real bases change the output less than random ones towards "
          "the same random activations: KL, sphere.",
          _MEAN.format("KL (nats)"), (PLATEAUS,), _responses("sphere", "kl"),
          _mean_gap),
    Claim("HM2b", "So they do by KL, straight.", _MEAN.format("KL (nats)"),
          (PLATEAUS,), _responses("straight", "kl"), _mean_gap),
    Claim("HM2c", "So they do by L2 at the last layer, sphere.",
          _MEAN.format("L2 (activation units)"), (PLATEAUS,),
          _responses("sphere", "l2"), _mean_gap),
    Claim("HM2d", "So they do by L2 at the last layer, straight.",
          _MEAN.format("L2 (activation units)"), (PLATEAUS,),
          _responses("straight", "l2"), _mean_gap),
    Claim("HM2e", "Random bases are left sooner along the same displacements, too (sphere).",
          _SHARE.format("the random base", "the real one"), (PLATEAUS,),
          _crossings((PLATEAUS, "random"), (PLATEAUS, "real"), prefix="shared_"), _paired),
    Claim("HM2f", "On their plateaus they do so by L2 after the final normalisation, sphere.",
          _MEAN.format("normalised L2"), (PLATEAUS,), _responses("sphere", "l2_normalized"),
          _mean_gap),
    Claim("HM2g", "And so they do straight.", _MEAN.format("normalised L2"), (PLATEAUS,),
          _responses("straight", "l2_normalized"), _mean_gap),
    Claim("HM3a", "Towards real activations KL reaches the level at smaller angles than towards "
          "random ones.", _SHARE.format("real-other", "random"), (DIRECTIONS,),
          _crossings(*_PAIR), _earlier),
    Claim("HM3b", "And at smaller lengths.", _SHARE.format("real-other", "random"), (DIRECTIONS,),
          _crossings(*_PAIR, mode="straight"), _earlier),
    Claim("HM3c", "So it is for most base prompts.", "share of prompts whose median angle is "
          "smaller towards real activations, minus one half", (DIRECTIONS,), _bases_won,
          partial(_mean_above, level=0.5)),
    Claim("HM4", "Isotropic directions are less sensitive than covariance-matched ones.",
          _SHARE.format("random", "isotropic"), (DIRECTIONS,),
          _crossings((DIRECTIONS, RANDOM), (DIRECTIONS, ISOTROPIC)), _earlier),
    Claim("HM5", "The crossing tells real-other from random only partially: below a ROC area of "
          f"{SEPARATED}.", f"{SEPARATED} minus the ROC area (sphere)", (DIRECTIONS,),
          _crossings(*_PAIR), _not_separated),
    Claim("HM6a", "The way to a real activation is a local optimum in most triangles with two "
          "random corners.", "share of families in which the corner crosses before its inward "
          "neighbours, minus one half", (OPTIMA,), _optima("real", "inward"),
          partial(_mean_above, level=0.5)),
    Claim("HM6b", "And in most random 2-D families around it.", "share of families in which the "
          "corner crosses before all directions around it, minus one half", (OPTIMA,),
          _optima("real", "ring"), partial(_mean_above, level=0.5)),
    Claim("HM6c", "More often so than the way to a random activation.",
          "share of families with an optimum at the corner, real minus random (ring)", (OPTIMA,),
          _both_corners, _mean_gap),
    Claim("HM6d", "Triangles of random activations are symmetric (a check: their corners are drawn "
          "alike).", "1 degree minus the mean difference between both sides of a random corner",
          (OPTIMA,), _both_sides, _symmetric),
    Claim("HM7", f"Real activations have about {USUAL_L0:g} active latents, within a factor of "
          "ten.", "1 minus the distance of the mean count from 100, in powers of ten", (ENCODING,),
          _counts("real"), _usual),
    Claim("HM8", "Random activations have very different numbers of active latents: over a factor "
          "of ten.", "powers of ten between the 2.5 and 97.5 percentiles, minus 1", (ENCODING,),
          _counts("random"), _wide),
    Claim("HM9a", "Perturbed before the last layer, real-other and random differ less.",
          "distance of the ROC area from one half, study minus last layer (sphere, one direction "
          "per prompt)", (DIRECTIONS, CONTROLS), _study_and_control(LAST_LAYER), _smaller_gap),
    Claim("HM9b", "There they hardly differ.", f"{NEAR} minus the distance of the ROC area from "
          "one half", (CONTROLS,), _in_control(LAST_LAYER), _alike),
    Claim("HP1", "Directions of active SAE latents are more sensitive than random ones.",
          _SHARE.format("a decoder row, along,", "random"), (FEATURES, DIRECTIONS),
          _crossings((FEATURES, "sae_feature_active"), (DIRECTIONS, RANDOM)), _earlier),
    Claim("HP2", "They are more sensitive than real-other directions.",
          _SHARE.format("a decoder row, along,", "real-other"), (FEATURES, DIRECTIONS),
          _crossings((FEATURES, "sae_feature_active"), (DIRECTIONS, REAL)), _earlier),
    Claim("HP3", "Bases with three latents added are left later than random bases.",
          _SHARE.format("the random base", "the artificial one"), (ARTIFICIAL,),
          _crossings((ARTIFICIAL, RANDOM_BASE), (ARTIFICIAL, f"{ADDED}_3")), _paired),
    Claim("HP4", "And later than bases moved as far in a random direction.",
          _SHARE.format("the moved base", "the artificial one"), (ARTIFICIAL,),
          _crossings((ARTIFICIAL, f"{MOVED}_3"), (ARTIFICIAL, f"{ADDED}_3")), _paired),
    Claim("HP5", "Bases with three latents removed are left later than random bases.",
          _SHARE.format("the random base", "the artificial one"), (ARTIFICIAL,),
          _crossings((ARTIFICIAL, RANDOM_BASE), (ARTIFICIAL, f"{REMOVED}_3")), _paired),
    Claim("HP6", "Climbing the sensitivity from random directions leads nearer to real ones.",
          "mean largest cosine to the way to a real activation, after minus before", (ASCENT,),
          _climbed("to_real"), _mean_gap),
    Claim("HP7", "It leads nearer to decoder rows.",
          "mean largest absolute cosine to a decoder row, after minus before", (ASCENT,),
          _climbed("to_decoder"), _mean_gap),
    Claim("HP8", "In an untrained subject real-other and random hardly differ.",
          f"{NEAR} minus the distance of the ROC area of the half rise of L2 from one half",
          (CONTROLS,), _in_control(UNTRAINED, "l2"), _alike),
    Claim("HP9", "Right before the unembedding they hardly differ.",
          f"{NEAR} minus the distance of the ROC area from one half", (CONTROLS,),
          _in_control(UNEMBEDDING), _alike),
)  # fmt: skip
