"""How the paths of a family begin: straight along a displacement, or turned on the sphere."""

from __future__ import annotations

from typing import Literal

FamilyMode = Literal["straight", "sphere"]
# Where a path ends: a displacement as long as the base, and the base's antipode in degrees.
END: dict[FamilyMode, float] = {"straight": 1.0, "sphere": 180.0}
