"""From a base to somewhere else: grids of steps, the lines they lie on, named directions.

Depends on core and sae, and on activations for how vectors are given.
"""

from steppe.core.family_modes import END, FamilyMode
from steppe.paths.catalogue import PATHS, Ends, PathKind, lay_path
from steppe.paths.direction_request import DirectionRequest
from steppe.paths.directions import DIRECTIONS, DirectionKind, blended, make_directions
from steppe.paths.family import Family, family_of
from steppe.paths.grid import Grid, absolute_grid, relative_grid
from steppe.paths.plane import Plane
from steppe.paths.sphere import sphere
from steppe.paths.straight import (
    absolute,
    along,
    relative,
    straight,
    target_distance,
    target_step,
)
from steppe.paths.substitutions import SUBSTITUTIONS, Substitution, make_substitution
from steppe.paths.triangle import barycentric, interpolate

__all__ = [
    "DIRECTIONS",
    "END",
    "PATHS",
    "SUBSTITUTIONS",
    "DirectionKind",
    "DirectionRequest",
    "Ends",
    "Family",
    "FamilyMode",
    "Grid",
    "PathKind",
    "Plane",
    "Substitution",
    "absolute",
    "absolute_grid",
    "along",
    "barycentric",
    "blended",
    "family_of",
    "interpolate",
    "lay_path",
    "make_directions",
    "make_substitution",
    "relative",
    "relative_grid",
    "sphere",
    "straight",
    "target_distance",
    "target_step",
]
