"""From a base to somewhere else: grids of steps, the lines they lie on, named directions.

Depends on core and sae, and on activations for how vectors are given.
"""

from steppe.paths.direction_request import DirectionRequest
from steppe.paths.directions import DIRECTIONS, DirectionKind, blended, make_directions
from steppe.paths.grid import STEP_SIZE, Grid, absolute_grid, relative_grid
from steppe.paths.straight import absolute, along, relative, target_distance, target_step
from steppe.paths.substitutions import SUBSTITUTIONS, Substitution, make_substitution

__all__ = [
    "DIRECTIONS",
    "STEP_SIZE",
    "SUBSTITUTIONS",
    "DirectionKind",
    "DirectionRequest",
    "Grid",
    "Substitution",
    "absolute",
    "absolute_grid",
    "along",
    "blended",
    "make_directions",
    "make_substitution",
    "relative",
    "relative_grid",
    "target_distance",
    "target_step",
]
