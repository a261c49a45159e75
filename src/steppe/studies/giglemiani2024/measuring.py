"""What is measured: curves towards each kind of target, plateaus around each kind of base, latents.

Directional sensitivity moves real bases towards every kind of target. On plateaus every path heads
for a fresh random target. In the ``foreign`` context, the paper's, a real base is another prompt's
activation placed in this prompt; in the ``native`` context it is the prompt's own. The other kinds
are made for the prompt they are placed in, so both contexts hold the same curves.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from steppe.activations import COSINE_EDGES, RANKS, latent_statistics
from steppe.activations import KINDS as KNOWN
from steppe.core.axes import CONTEXT, KIND, RANK, SAMPLE
from steppe.paths import absolute, relative, relative_grid, target_distance, target_step
from steppe.store import CURVES, LATENTS, PLATEAUS, Variable
from steppe.studies.giglemiani2024.outputs import (
    ABSOLUTE,
    BASE_KINDS,
    CONTEXTS,
    FOREIGN,
    MODES,
    NATIVE,
    READOUTS,
)
from steppe.studies.giglemiani2024.scales import cosines
from steppe.studies.giglemiani2024.settings import Settings
from steppe.studies.giglemiani2024.steps import (
    steps_of_curves,
    steps_of_levels,
    steps_of_plateaus,
)
from steppe.study import Bases, Context, CurvePart, Laid, WholePart, attributes

BIN = "bin"
DRAWN = {
    "target_row": Variable((SAMPLE,), "1", "row of the real target's prompt", "int64"),
    "redraws": Variable((SAMPLE,), "1", "real targets drawn again: equal to the base", "int64"),
}
_COSINE = "cosine of base and target about the SAE's decoder bias"


def parts(settings: Settings) -> list[CurvePart]:
    """The curves, and the plateaus."""
    make = partial(
        CurvePart,
        metrics=READOUTS,
        n_points=relative_grid(settings.reading).n_points,
        further_metrics=settings.metrics,
    )
    own = [kind for kind in settings.kinds if KNOWN.is_own(kind)]
    bases = [kind for kind in BASE_KINDS if kind in settings.kinds]
    return [
        make(
            CURVES,
            settings.kinds,
            MODES,
            lay=lay_curves,
            variables={
                **DRAWN,
                **_ends(KIND),
                "target_cosine": Variable((KIND, SAMPLE), "1", _COSINE),
            },
            read_off=steps_of_curves,
        ),
        make(
            PLATEAUS,
            [*bases, *own],
            CONTEXTS,
            lay=lay_plateaus,
            dims=(CONTEXT, KIND),
            further_needs=frozenset({"moments"}),
            variables={**DRAWN, **_ends(CONTEXT, KIND)},
            read_off=steps_of_plateaus,
            also_read=steps_of_levels,
        ),
    ]


def wholes(settings: Settings) -> list[WholePart]:  # noqa: ARG001
    """Properties of latents (Appendix E)."""
    return [WholePart(LATENTS, measure_latents, frozenset({"pool", "sae"}))]


def _ends(*dims: str) -> dict[str, Variable]:
    return {
        "target_distance": Variable((*dims, SAMPLE), "residual stream", "base to target"),
        "target_step": Variable((*dims, SAMPLE), "step", "absolute step at the target", "int64"),
    }


def lay_curves(context: Context[Settings], bases: Bases, targets: Mapping[str, Tensor]) -> Laid:
    """Both paths from every base to every target."""
    base = bases.activations
    about_bias = {kind: cosines(context, base, target) for kind, target in targets.items()}
    unknown = np.full(len(base), np.nan, np.float32)
    return Laid(
        {
            (kind, mode): _lay(context, mode, base, target)
            for kind, target in targets.items()
            for mode in MODES
        },
        {
            **_drawn(context, bases),
            **_stacked([_reach(context, base, target) for target in targets.values()]),
            "target_cosine": np.stack(
                [unknown if one is None else one.numpy() for one in about_bias.values()]
            ),
        },
    )


def lay_plateaus(context: Context[Settings], bases: Bases, targets: Mapping[str, Tensor]) -> Laid:
    """Absolute paths from every kind of base to a random target of each sample."""
    end = context.gaussian.draw(context.generators("plateau_end", bases.samples))
    paths: dict[tuple[str, ...], Tensor] = {}
    reach: dict[tuple[str, ...], dict[str, Any]] = {}
    for kind, made in targets.items():
        for where in (NATIVE, FOREIGN):
            if where == FOREIGN and kind != "real":
                paths[where, kind], reach[where, kind] = paths[NATIVE, kind], reach[NATIVE, kind]
                continue
            base = bases.activations if (where, kind) == (NATIVE, "real") else made
            paths[where, kind] = _lay(context, ABSOLUTE, base, end)
            reach[where, kind] = _reach(context, base, end)
    by_context = [_stacked([reach[where, kind] for kind in targets]) for where in CONTEXTS]
    return Laid(paths, {**_drawn(context, bases), **_stacked(by_context)})


def _lay(context: Context[Settings], mode: str, base: Tensor, target: Tensor) -> Tensor:
    """The paths of one mode, ``(sample, step, d_model)``."""
    reading = context.settings.reading
    if mode == ABSOLUTE:
        return absolute(base, target, step_size=context.constants["step_size"], reading=reading)
    return relative(base, target, reading=reading)


def _reach(context: Context[Settings], base: Tensor, target: Tensor) -> dict[str, Any]:
    step_size = context.constants["step_size"]
    return {
        "target_distance": target_distance(base, target).astype(np.float32),
        "target_step": target_step(base, target, step_size=step_size),
    }


def _stacked(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: np.stack([one[name] for one in found]) for name in found[0]}


def _drawn(context: Context[Settings], bases: Bases) -> dict[str, Any]:
    real = context.real_targets(bases)
    return {"target_row": context.pool_rows[real.indices], "redraws": real.redraws}


def measure_latents(context: Context[Settings]) -> xr.Dataset:
    """Measure L0, shares by rank and cosines on real activations.

    Returns:
        ``l0 (sample)``, ``share (sample, rank)`` in percent, mean cosines per activation
        ``pair_cosine`` and ``top_cosine (sample)``, counts of all cosines ``pair_count`` and
        ``top_count (bin)``, ``norm (sample)``; the pooled means in ``attrs``.
    """
    activations = context.pool[: context.settings.latent_samples]
    found = latent_statistics(activations, context.sae)
    norms = activations.norm(dim=1).numpy()

    def variable(dims: Any, values: Any, unit: str, name: str) -> tuple[Any, ...]:
        return dims, values, {"unit": unit, "long_name": name}

    return xr.Dataset(
        {
            "l0": variable(SAMPLE, found.l0, "latents", "active latents"),
            "share": variable((SAMPLE, RANK), found.share, "%", "share of the sum"),
            "pair_cosine": variable(SAMPLE, found.pair_cosine, "1", "mean cosine of pairs"),
            "top_cosine": variable(SAMPLE, found.top_cosine, "1", "mean cosine to the top"),
            "norm": variable(SAMPLE, norms, "residual stream", "norm"),
            "pair_count": variable(BIN, found.pairs.counts, "pairs", "pairs per cosine bin"),
            "top_count": variable(BIN, found.tops.counts, "pairs", "pairs with the top per bin"),
        },
        coords={
            RANK: np.arange(1, RANKS + 1),
            "bin_low": variable(BIN, COSINE_EDGES[:-1], "1", "lower edge"),
            "bin_high": variable(BIN, COSINE_EDGES[1:], "1", "upper edge"),
        },
        attrs={
            **attributes(context),
            "pooled_pair_cosine": found.pairs.mean,
            "pooled_top_cosine": found.tops.mean,
            "sae": context.used_sae.identity["source"],
        },
    )
