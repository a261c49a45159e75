"""Which of the report's claims and predictions hold on this model: a number for each.

``HM1`` to ``HM9`` are the report's claims, ``HP`` its predictions and our checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from steppe.comparisons import Sampled, earlier_within, jackknife
from steppe.core.axes import CONTROL, KIND, MODE, MOMENT
from steppe.core.family_modes import END, FamilyMode
from steppe.studies.heimersheim2024 import names as n
from steppe.studies.heimersheim2024 import numbers
from steppe.studies.heimersheim2024 import quantities as q
from steppe.studies.heimersheim2024.numbers import FLAT_UNTIL, NEAR, SEPARATED, SYMMETRIC, USUAL_L0
from steppe.study import Analysis, Claim, Need
from steppe.study.verdicts import Decision

Values = Mapping[str, q.Floats]


def _claim(
    id_: str,
    statement: str,
    quantity: str,
    needs: Sequence[str | Need],
    number: Callable[[Sampled], q.Floats] | None,
    **values: q.Get,
) -> Claim:
    """A claim from its values by name.

    Without a number it is on the share of base prompts whose one value, ``first``, is 1.
    """

    def decide(found: Values) -> Decision:
        if number is None:
            return Decision.of_share(found["first"])
        return Decision.of_parts(jackknife(number, found))

    def get(analysis: Analysis) -> Values:
        return {name: one(analysis) for name, one in values.items()}

    return Claim(id_, statement, quantity, decide, needs, values=get)


def _both_ways(get: Callable[[str], q.Get], suffix: str = "") -> dict[str, q.Get]:
    """Values towards real and towards random activations."""
    return {f"first{suffix}": get(n.REAL), f"second{suffix}": get(n.RANDOM)}


def _in_control(control: str, suffix: str = "") -> dict[str, q.Get]:
    at = {MODE: "sphere", CONTROL: control}
    return _both_ways(lambda kind: q.reached(n.CONTROLS, {**at, KIND: kind}), suffix)


def _flat(kind: str) -> q.Get:
    return q.reached(n.PLATEAUS, {MODE: "sphere", KIND: kind}, "flat_level")


def _flat_beyond(a: Analysis) -> q.Floats:
    left = _flat("real")(a)
    return np.where(np.isnan(left), np.nan, left > FLAT_UNTIL)


def _climbed(name: str) -> dict[str, q.Get]:
    def at(moment: str) -> q.Get:
        chosen = {KIND: n.RANDOM, MOMENT: moment}
        return lambda a: a[f"{n.ASCENT}/{name}"].sel(chosen).values.astype(np.float64)

    return {"first": at("before"), "second": at("after")}


def _counts(kind: str) -> q.Get:
    return lambda a: a[f"{n.ENCODING}/l0"].sel({KIND: kind}).values.astype(np.float64)


def _on_plateau(id_: str, mode: FamilyMode, metric: str, what: str, unit: str) -> Claim:
    at = {name: {KIND: kind, MODE: mode} for name, kind in _BASES.items()}
    return _claim(
        id_,
        f"On plateaus, {what} grows less from real bases than from random ones towards the same "
        f"random activations ({mode}).",
        f"mean {what} ({unit}) up to the mean crossing of all bases, random minus real bases",
        (n.PLATEAUS,),
        partial(numbers.plateau_gap, end=END[mode]),
        **{name: q.curves(n.PLATEAUS, metric, one) for name, one in at.items()},
        **{f"{name}_crossing": q.reached(n.PLATEAUS, one) for name, one in at.items()},
    )


def _optimum(id_: str, statement: str, before: str, near: tuple[str, ...]) -> Claim:
    quantity = f"share of families in which the corner crosses before {before}, minus one half"
    return _claim(
        id_, statement, quantity, (n.OPTIMA,), numbers.more_than_half, first=q.optima("real", near)
    )


_BASES = {"first": "real", "second": "random"}
_SHARE = "share of pairs in which {} crosses before {}, minus one half"
_BEFORE_IT = _SHARE.format("the random base", "the artificial one")
_NEAR = f"{NEAR} minus the distance of the ROC area from one half"
_L2, _L2_NORMALIZED = "L2 at the last layer", "L2 after the final normalisation"
_RANDOM, _REAL = q.searched(n.DIRECTIONS, n.RANDOM), q.searched(n.DIRECTIONS, n.REAL)
_RANDOM_BASE = q.searched(n.ARTIFICIAL, n.RANDOM_BASE)
_FEATURE, _THREE = (
    q.searched(n.FEATURES, n.ACTIVE_FEATURE),
    q.searched(n.ARTIFICIAL, f"{n.ADDED}_3"),
)

CLAIMS = (
    _claim("HM1a", "Around most real bases the output stays flat (KL below a tenth of a nat) until "
           "40 degrees.", "share of real bases whose KL leaves the flat level beyond 40 degrees, "
           "minus one half (sphere)", (n.PLATEAUS,), None, first=_flat_beyond),
    _claim("HM1b", "Around random bases the output stays flat (KL below a tenth of a nat) for a "
           "smaller angle than around real ones.", "share of prompts whose random base is left "
           "before its real one, minus one half (sphere)", (n.PLATEAUS,), None,
           first=lambda a: earlier_within(_flat("random")(a), _flat("real")(a))),
    _on_plateau("HM2a", "sphere", "kl", "KL", "nats"),
    _on_plateau("HM2b", "straight", "kl", "KL", "nats"),
    _on_plateau("HM2c", "sphere", "l2", _L2, "activation units"),
    _on_plateau("HM2d", "straight", "l2", _L2, "activation units"),
    _claim("HM2e", "Along the same displacements random bases are left sooner than real ones "
           "(sphere).", _SHARE.format("the random base", "the real one"), (n.PLATEAUS,),
           numbers.paired, first=q.searched(n.PLATEAUS, "random", prefix="shared_"),
           second=q.searched(n.PLATEAUS, "real", prefix="shared_")),
    _on_plateau("HM2f", "sphere", "l2_normalized", _L2_NORMALIZED, "normalised units"),
    _on_plateau("HM2g", "straight", "l2_normalized", _L2_NORMALIZED, "normalised units"),
    _claim("HM3a", "KL reaches the level at smaller angles towards other real activations than "
           "towards random ones.", _SHARE.format("real-other", "random"), (n.DIRECTIONS,),
           numbers.earlier, first=_REAL, second=_RANDOM),
    _claim("HM3b", "KL reaches the level at smaller lengths towards other real activations than "
           "towards random ones.", _SHARE.format("real-other", "random"), (n.DIRECTIONS,),
           numbers.earlier, **_both_ways(lambda kind: q.searched(n.DIRECTIONS, kind, "straight"))),
    _claim("HM3c", "From most base prompts the median crossing angle is smaller towards other real "
           "activations than towards random ones.", "share of prompts whose median angle is "
           "smaller towards real activations, minus one half", (n.DIRECTIONS,), None,
           first=lambda a: q.bases_earlier(_REAL(a), _RANDOM(a))),
    _claim("HM4", "Isotropic directions are less sensitive than covariance-matched ones.",
           _SHARE.format("random", "isotropic"), (n.DIRECTIONS,), numbers.earlier, first=_RANDOM,
           second=q.searched(n.DIRECTIONS, n.ISOTROPIC)),
    _claim("HM5", "The crossing tells real-other from random directions only partially: below a "
           f"ROC area of {SEPARATED}.", "ln of the share of pairs in which random crosses before "
           f"real-other, over {1 - SEPARATED:.2g} (sphere)", (n.DIRECTIONS,),
           numbers.not_separated, first=_REAL, second=_RANDOM),
    _optimum("HM6a", "The way to a real activation is a local optimum of sensitivity in most "
             "triangles with two random corners.", "its inward neighbours", n.INWARD),
    _optimum("HM6b", "The way to a real activation is a local optimum of sensitivity in most "
             "random 2-D families around it.", "all directions around it", n.RING),
    _claim("HM6c", "The way to a real activation is more often a local optimum in random 2-D "
           "families than the way to a random activation.", "share of families with an optimum at "
           "the corner, real minus random (ring)", (n.OPTIMA,), numbers.mean_gap,
           first=q.optima("random", n.RING),
           second=q.optima("real", n.RING)),
    _claim("HM6d", "Triangles of random activations are symmetric: both sides of a corner cross "
           f"within {SYMMETRIC:g} degree of each other on average (a check: their corners are "
           f"drawn alike).", f"{SYMMETRIC:g} degree minus the distance from zero of the mean "
           "difference between both sides of a random corner (never: taken as 180 degrees)",
           (n.OPTIMA,), partial(numbers.symmetric, end=END["sphere"]),
           first=q.family_angles("random", "inward_second"),
           second=q.family_angles("random", "inward_third")),
    _claim("HM7", f"Real activations have about {USUAL_L0:g} active latents on average, within a "
           "factor of ten.", "1 minus the distance of the mean count from 100, in powers of ten",
           (n.ENCODING,), numbers.usual, first=_counts("real")),
    _claim("HM8", "Random activations have very different numbers of active latents: the middle "
           "95% of them, taken as log-normal, span more than a factor of ten.", "ln of 3.92 "
           "standard deviations of log10 of the count", (n.ENCODING,), numbers.wide,
           first=_counts("random")),
    _claim("HM9a", "Real-other directions lead random ones at the study's site by more than the "
           "two differ, either way, before the last layer.", "ROC area minus one half, study, "
           "minus its distance from one half, last layer (sphere, one direction per prompt)",
           (n.DIRECTIONS, n.CONTROLS), numbers.leads_by_more,
           **_both_ways(lambda kind: q.reached(n.DIRECTIONS, {MODE: "sphere", KIND: kind})),
           **_in_control(n.LAST_LAYER, "_at")),
    _claim("HM9b", "Before the last layer real-other and random directions hardly differ: a ROC "
           f"area within {NEAR} of one half.", _NEAR, (n.CONTROLS,), numbers.alike,
           **_in_control(n.LAST_LAYER)),
    _claim("HP1", "Directions of active SAE latents are more sensitive than random ones.",
           _SHARE.format("a decoder row, along,", "random"), (n.FEATURES, n.DIRECTIONS),
           numbers.earlier, first=_FEATURE, second=_RANDOM),
    _claim("HP2", "Directions of active SAE latents are more sensitive than real-other ones.",
           _SHARE.format("a decoder row, along,", "real-other"), (n.FEATURES, n.DIRECTIONS),
           numbers.earlier, first=_FEATURE, second=_REAL),
    _claim("HP3", "Bases with three latents added are left later than random bases.", _BEFORE_IT,
           (n.ARTIFICIAL,), numbers.paired, first=_RANDOM_BASE, second=_THREE),
    _claim("HP4", "Bases with three latents added are left later than bases moved as far in a "
           "random direction (a share of pairs within 0.1 of one half cannot be decided with 120 "
           "prompts).", _SHARE.format("the moved base", "the artificial one"), (n.ARTIFICIAL,),
           numbers.paired, first=q.searched(n.ARTIFICIAL, f"{n.MOVED}_3"), second=_THREE),
    _claim("HP5", "Bases with three latents removed are left later than random bases.",
           _BEFORE_IT, (n.ARTIFICIAL,), numbers.paired, first=_RANDOM_BASE,
           second=q.searched(n.ARTIFICIAL, f"{n.REMOVED}_3")),
    _claim("HP6", "Climbing the sensitivity from random directions leads nearer to the ways to "
           "real activations.", "mean largest cosine to the way to a real activation, after minus "
           "before", (n.ASCENT,), numbers.mean_gap, **_climbed("to_real")),
    _claim("HP7", "Climbing the sensitivity from random directions leads nearer to decoder rows.",
           "mean largest absolute cosine to a decoder row, after minus before",
           (Need(n.ASCENT, metrics=("to_decoder",)),),
           numbers.mean_gap, **_climbed("to_decoder")),
    _claim("HP8", "In an untrained model real-other and random directions hardly differ: a ROC "
           f"area within {NEAR} of one half.", f"{_NEAR} (half rise of L2)", (n.CONTROLS,),
           numbers.alike, **_both_ways(
               lambda kind: q.half_rises({MODE: "sphere", KIND: kind, CONTROL: n.UNTRAINED}))),
    _claim("HP9", "Right before the unembedding real-other and random directions hardly differ: a "
           f"ROC area within {NEAR} of one half.", _NEAR, (n.CONTROLS,), numbers.alike,
           **_in_control(n.UNEMBEDDING)),
)  # fmt: skip
