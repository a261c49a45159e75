"""Names of the study's parts, and of the kinds of base and direction that each compares."""

from __future__ import annotations

from typing import Literal

MODES: tuple[Literal["straight", "sphere"], ...] = ("straight", "sphere")
UNITS = {"straight": "norm of the base", "sphere": "degrees"}

PLATEAUS, DIRECTIONS, EXAMPLES, PLANES = "plateaus", "directions", "examples", "planes"
TRIANGLES, OPTIMA, ASCENT, FEATURES = "triangles", "optima", "ascent", "features"
FURTHER = "further"
ARTIFICIAL, CONTROLS, ENCODING = "artificial", "controls", "encoding"
# In the order they are measured, cheap first: a figure of a plane can be looked at early.
PARTS = (
    PLANES, TRIANGLES, EXAMPLES, PLATEAUS, DIRECTIONS, FURTHER, OPTIMA, FEATURES, ARTIFICIAL,
    CONTROLS, ASCENT, ENCODING,
)  # fmt: skip

# Where a path starts: the prompt's own activation, another prompt's, a normal draw.
BASES = ("real", "real_foreign", "random")
REAL, RANDOM, ISOTROPIC = "real_difference", "cov_random_difference", "isotropic"
# Kinds of direction whose curves are measured, and those of which only crossings are. The mixtures
# are the later paper's (Lee and Heimersheim 2024): they do not hold the base.
CURVE_KIND = "curve_kind"
CURVE_DIRECTIONS = (REAL, RANDOM, ISOTROPIC)
MIXTURE = "cov_random_mixture"
CROSSING_DIRECTIONS = (*CURVE_DIRECTIONS, "real_mixture", MIXTURE)
ACTIVE_FEATURE = "sae_feature_active"
FEATURE_DIRECTIONS = tuple(
    f"sae_feature_{choice}{sense}"
    for choice in ("active", "alive", "any")
    for sense in ("", "_against")
)
CORNERS = ("real", "random")
# In place of the tokens of an activation that is of no prompt.
NO_TOKEN = -1
# Around a corner: towards the other two corners, and all around it in the plane they span.
INWARD = ("inward_second", "inward_third", "inward_both")
RING = tuple(f"ring_{place}" for place in range(8))
NEIGHBOURS = ("corner", *INWARD, *RING)
STARTS = (RANDOM, REAL)
MOMENTS = ("before", "after")

COUNTS = (1, 2, 3, 4, 5)
ADDED, REMOVED, MOVED = "added", "removed", "moved"
UNCHANGED, RANDOM_BASE = "unchanged", "random"
ARTIFICIAL_BASES = (
    UNCHANGED,
    RANDOM_BASE,
    *(f"{change}_{count}" for change in (ADDED, REMOVED, MOVED) for count in COUNTS),
)

LAST_LAYER, UNEMBEDDING, UNTRAINED = "last_layer", "before_unembedding", "random_weights"
CONTROL_SETUPS = (LAST_LAYER, UNEMBEDDING, UNTRAINED)
# What is moved in a control: a real base in both directions, and a random base.
RANDOM_FROM_RANDOM = "random_base"
CONTROL_KINDS = (REAL, RANDOM, RANDOM_FROM_RANDOM)

ENCODED = ("real", "random", "isotropic")
