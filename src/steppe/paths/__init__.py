"""From a base to somewhere else: grids of steps, the lines they lie on, named directions.

Depends on core and sae, and on activations for how vectors are given.
"""

from steppe.paths.direction_request import DirectionRequest
from steppe.paths.directions import DIRECTIONS, DirectionKind, blended, make_directions
from steppe.paths.grid import STEP_SIZE, Grid, absolute_grid, relative_grid
from steppe.paths.straight import absolute, along, relative, target_distance, target_step

__all__ = [
    "DIRECTIONS",
    "STEP_SIZE",
    "DirectionKind",
    "DirectionRequest",
    "Grid",
    "absolute",
    "absolute_grid",
    "along",
    "blended",
    "make_directions",
    "relative",
    "relative_grid",
    "target_distance",
    "target_step",
]
