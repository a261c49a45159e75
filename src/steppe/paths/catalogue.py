"""The paths there are: from a base to its target, by name, on an even grid of fractions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.family_modes import END, FamilyMode
from steppe.core.registry import Registry
from steppe.paths.family import family_of


@dataclass(frozen=True, eq=False)
class Ends:
    """What a path is laid between.

    Attributes:
        base: Where it starts, float32 ``(sample, d_model)``.
        target: Where it heads, float32 ``(sample, d_model)``.
        center: The mean of real activations, ``(d_model,)``; None where the path does not need it.
        centered: Whether activations are in centred coordinates.
    """

    base: Tensor
    target: Tensor
    center: Tensor | None = None
    centered: bool = True


Lay = Callable[[Ends, Tensor], Tensor]


@dataclass(frozen=True)
class PathKind:
    """One way to lay a path.

    Attributes:
        name: How it is asked for.
        description: What it is, in one line.
        lay: From ends and fractions ``(step,)``, 0 to 1, to points ``(sample, step, d_model)``.
        unit: What a position on it is counted in.
        end: The position of its last point, in that unit.
        needs: What it cannot be laid without: ``pool`` for the centre.
    """

    name: str
    description: str
    lay: Lay
    unit: str = "fraction of the way"
    end: float = 1.0
    needs: tuple[str, ...] = ()


def linear(ends: Ends, fractions: Tensor) -> Tensor:
    """Along the straight line to the target."""
    part = fractions.float()[:, None]
    return (1 - part) * ends.base[:, None] + part * ends.target[:, None]


def arc(ends: Ends, fractions: Tensor) -> Tensor:
    """Along the straight line, each point put back at the base's distance from the mean.

    ``m + |A - m| (y - m) / |y - m|`` with y on the line from A to the target (Janiak et al. 2024,
    arXiv 2409.17113): the distance from the mean is constant, the angle does not grow evenly.

    Raises:
        InputError: There is no mean.
    """
    if ends.center is None:
        raise InputError(
            "path 'arc'",
            got="no centre",
            expected="the mean of real activations, which the arc is about",
            fix="give Ends(..., center=activations.mean(0))",
        )
    center = ends.center.double()
    offset = linear(Ends(ends.base.double(), ends.target.double()), fractions).double() - center
    radius = (ends.base.double() - center).norm(dim=-1)[:, None, None]
    points: Tensor = center + radius * offset / offset.norm(dim=-1, keepdim=True)
    return points.float()


def slerp(ends: Ends, fractions: Tensor) -> Tensor:
    """Along the great circle about zero to the target's direction, the norm changing evenly.

    Where base and target are parallel the path is the straight line.
    """
    base, target = ends.base.double(), ends.target.double()
    norms = [vectors.norm(dim=-1, keepdim=True) for vectors in (base, target)]
    units = [vectors / norm for vectors, norm in zip((base, target), norms, strict=True)]
    angle = torch.arccos((units[0] * units[1]).sum(-1, keepdim=True).clamp(-1, 1))[:, None]
    part = fractions.double()[:, None]
    sine = torch.sin(angle)
    weights = [torch.sin((1 - part) * angle) / sine, torch.sin(part * angle) / sine]
    turned = weights[0] * units[0][:, None] + weights[1] * units[1][:, None]
    length = (1 - part) * norms[0][:, None] + part * norms[1][:, None]
    straight = linear(Ends(base, target), fractions).double()
    return torch.where(sine < 1e-7, straight, length * turned).float()


def _family(mode: FamilyMode) -> Lay:
    def lay(ends: Ends, fractions: Tensor) -> Tensor:
        family = family_of(mode, ends.base, ends.target - ends.base, mean_free=ends.centered)
        count = len(fractions)
        which = torch.arange(len(family)).repeat_interleave(count)
        positions = (fractions.double() * END[mode]).repeat(len(family))
        return family.at(which, positions).reshape(len(family), count, -1)

    return lay


PATHS: Registry[PathKind] = Registry(
    "path",
    "paths",
    (
        PathKind("linear", "the straight line from base to target", linear),
        PathKind("arc", "at the base's distance from the mean", arc, needs=("pool",)),
        PathKind("slerp", "the great circle, its norm changing evenly", slerp),
        PathKind(
            "straight",
            "towards the target, as far as the base is long",
            _family("straight"),
            "norm of the base",
            END["straight"],
        ),
        PathKind(
            "sphere",
            "at the base's norm, towards the target and on to the antipode",
            _family("sphere"),
            "degrees",
            END["sphere"],
        ),
    ),
)


def lay_path(name: str, ends: Ends, n_points: int) -> Tensor:
    """Lay the paths of one kind.

    Args:
        name: A name in `PATHS`.
        ends: Where they start and head.
        n_points: Points of each, the base and the end included.

    Returns:
        Points, float32 on the CPU, ``(sample, step, d_model)``. The first is the base, bit for bit;
        a path without a direction is NaN after it.

    Raises:
        InputError: There is no such path, it has another shape, or it does not begin at the base.
    """
    kind = PATHS.find(name)
    points = kind.lay(ends, torch.linspace(0, 1, n_points, dtype=torch.float64))
    shape = (len(ends.base), n_points, ends.base.shape[-1])
    if tuple(points.shape) != shape:
        raise InputError(
            f"path {name!r}",
            got=f"shape {tuple(points.shape)}",
            expected=f"(sample, step, d_model) = {shape}",
            fix="return one point per sample and fraction",
        )
    points = points.detach().float().cpu()
    away = (points[:, 0] - ends.base).norm(dim=-1).nan_to_num(0.0)
    if (away > 1e-3 * ends.base.norm(dim=-1)).any():
        raise InputError(
            f"path {name!r}",
            got=f"a first point {float(away.max()):.3g} away from the base",
            expected="the base at fraction 0: every metric is taken against it",
            fix="lay the path so that fraction 0 gives the base",
        )
    return torch.cat([ends.base[:, None], points[:, 1:]], dim=1)
