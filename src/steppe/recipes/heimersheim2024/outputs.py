"""Which parts the study has, and which kinds of base and direction each of them compares."""

from __future__ import annotations

from typing import Literal

Mode = Literal["straight", "sphere"]
MODES: tuple[Mode, ...] = ("straight", "sphere")
# L2 at the last layer, L2 after the final normalisation, cosine at the last layer.
READOUTS = ("kl", "l2", "l2_normalized", "cosine")

PLATEAUS = "plateaus"
DIRECTIONS = "directions"
EXAMPLES = "examples"
PLANES = "planes"
TRIANGLES = "triangles"
OPTIMA = "optima"
ASCENT = "ascent"
FEATURES = "features"
ARTIFICIAL = "artificial"
CONTROLS = "controls"
ENCODING = "encoding"
# In the order they are measured, cheap first: a figure of a plane can be looked at early.
PARTS = (
    PLANES, TRIANGLES, EXAMPLES, PLATEAUS, DIRECTIONS, OPTIMA, FEATURES, ARTIFICIAL, CONTROLS,
    ASCENT, ENCODING,
)  # fmt: skip

# Where a path starts: the prompt's own activation, another prompt's, a normal draw.
BASES = ("real", "real_foreign", "random")
REAL, RANDOM, ISOTROPIC = "real_difference", "cov_random_difference", "isotropic"
# Kinds of direction whose curves are measured, and those of which only crossings are.
CURVE_DIRECTIONS = (REAL, RANDOM, ISOTROPIC)
MIXTURES = ("real_mixture", "cov_random_mixture")
CROSSING_DIRECTIONS = (*CURVE_DIRECTIONS, *MIXTURES)
FEATURE_DIRECTIONS = (
    "sae_feature_active",
    "sae_feature_active_against",
    "sae_feature_alive",
    "sae_feature_alive_against",
    "sae_feature_any",
    "sae_feature_any_against",
)
CORNERS = ("real", "random")
# Around a corner: towards the other two corners, and all around it in the plane they span.
INWARD = ("inward_second", "inward_third", "inward_both")
RING = tuple(f"ring_{place}" for place in range(8))
NEIGHBOURS = ("corner", *INWARD, *RING)
STARTS = (RANDOM, REAL)

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
