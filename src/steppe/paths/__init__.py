"""From a base to somewhere else: grids of steps, and the lines they lie on.

Depends on core, and on activations for how vectors are given.
"""

from steppe.paths.grid import STEP_SIZE, Grid, absolute_grid, relative_grid
from steppe.paths.straight import absolute, along, relative, target_distance, target_step

__all__ = [
    "STEP_SIZE",
    "Grid",
    "absolute",
    "absolute_grid",
    "along",
    "relative",
    "relative_grid",
    "target_distance",
    "target_step",
]
