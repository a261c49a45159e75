"""The units of a run: the paper's constants, carried over to another model by measurement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steppe.activations import without_latents
from steppe.core.seeds import stream
from steppe.metrics import measure_path
from steppe.propagation import build_prefix
from steppe.studies.giglemiani2024.settings import (
    MIN_SLOPE,
    SETUP,
    THRESHOLD,
    Settings,
    has_papers_sae,
)
from steppe.study import Context, is_published
from steppe.study.published import four_digits

STEP_SIZE = 0.5  # section 4.1
COSINE = 0.42  # section 4.2
TARGET_DISTANCE = 40.0  # section 4.2
# Read off Figure 1: the level that the mean curve towards real targets reaches at the mean target.
OUTPUT_DISTANCE = 237.0
SWEEP = (10.0, 20.0, 30.0, 40.0)
PAIRS = 200


def prepare(context: Context[Settings]) -> dict[str, Any]:
    """The constants of a run: ``step_size``, ``threshold``, ``top_cosine`` and all ``scales``."""
    # Where no SAE is needed the paper's lengths are still those of its model and site.
    is_papers_sae = "sae" not in context.needs or has_papers_sae(context.used_sae.identity)
    is_paper = is_papers_sae and is_published(context.settings, SETUP)
    scales = choose(context.settings, typical(context), is_paper=is_paper)
    constants = {"step_size": scales["step_size"], "threshold": scales["threshold"]}
    if scales["cosine"] is not None:
        constants["top_cosine"] = scales["cosine"]
    return {**constants, "scales": scales}


def typical(context: Context[Settings]) -> dict[str, Any]:
    """What distances are typical, over pairs that are the same for every seed and sample count.

    Returns:
        ``pairs``, their number; mean L2 distances between both activations of a pair at the site
        (``target_distance``) and between what the model makes of them where L2 is read
        (``output_distance``); their mean ``cosine`` about the SAE's bias, None without an SAE.
    """
    prompts = context.prompts
    order = stream(0, "calibration_prompts").permutation(len(prompts))
    pairs = min(PAIRS, len(order) // 2)
    ends = context.activations_of(order[: 2 * pairs])
    base, target = ends[:pairs], ends[pairs:]
    moved = []
    with context.suffix(read=[context.read], logits=False) as suffix:
        for row, points in zip(order[:pairs], torch.stack([base, target], dim=1), strict=True):
            tokens = torch.from_numpy(prompts.tokens[row])
            prefix = build_prefix(context.model, tokens, context.site)
            found = measure_path(suffix, prefix, points, ["l2"], context.read)
            moved.append(found["l2"][1])
    cosine = cosines(context, base, target)
    return {
        "pairs": pairs,
        "target_distance": four_digits(float((target - base).norm(dim=1).mean())),
        "output_distance": four_digits(float(np.mean(moved))),
        "cosine": None if cosine is None else four_digits(float(cosine.mean())),
    }


def cosines(context: Context[Settings], base: Tensor, target: Tensor) -> Tensor | None:
    """Cosines of bases and targets about what the SAE makes of no latents; None without an SAE."""
    if "sae" not in context.needs:
        return None
    center = without_latents(context.sae, base.shape[1])
    return torch.cosine_similarity(base - center, target - center, dim=1)


def choose(settings: Settings, typical: Mapping[str, Any], *, is_paper: bool) -> dict[str, Any]:
    """Decide a run's constants: the paper's on its own model, else scaled by what is typical.

    Returns:
        In the model's own units: ``step_size`` of absolute paths; plateau ``threshold`` on L2 and
        the thresholds of the ``sweep``; ``min_slope``, the smallest L2 rise in one step that counts
        as a slope (``code`` reading); ``output_ratio``, L2 at the output per unit of GPT-2's;
        ``cosine`` that the structured top latent should have with the base's, None without an SAE;
        ``origin``, where
        all came from, in words; ``typical``.
    """
    input_ratio, output_ratio, cosine = 1.0, 1.0, typical["cosine"]
    origin = "the paper's constants"
    if is_paper:
        cosine = None if cosine is None else COSINE
    else:
        input_ratio = typical["target_distance"] / TARGET_DISTANCE
        output_ratio = typical["output_distance"] / OUTPUT_DISTANCE
        origin += (
            f", scaled to this model: lengths at the site by {input_ratio:.3g} (mean "
            f"base-to-target distance {typical['target_distance']:.3g} for {TARGET_DISTANCE:g}), "
            f"L2 at the output by {output_ratio:.3g} (mean distance at the target "
            f"{typical['output_distance']:.3g} for {OUTPUT_DISTANCE:g})"
        )
        if cosine is not None:
            origin += f", cosine of the structured top latent {cosine:.2f} for {COSINE}"
    asked = {"step size": settings.step_size, "threshold": settings.threshold}
    given = [f"{name} {value:g} as asked" for name, value in asked.items() if value is not None]
    threshold = settings.threshold or THRESHOLD * output_ratio
    return {
        "step_size": settings.step_size or STEP_SIZE * input_ratio,
        "threshold": threshold,
        "sweep": [level / THRESHOLD * threshold for level in SWEEP],
        "output_ratio": output_ratio,
        "min_slope": MIN_SLOPE * output_ratio,
        "cosine": cosine,
        "origin": "; ".join([origin, *given]),
        "typical": {**typical},
    }
