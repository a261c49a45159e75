"""Directions that move a later residual most, at a given angle or length: found by gradient ascent.

Mack and Turner 2024 (MELBO), with the move of Ferreira da Silva and Heimersheim 2026
(arXiv 2606.24964): the activation is turned by an angle at its own norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.progress import progress
from steppe.core.seeds import stream
from steppe.core.sites import Site
from steppe.directions.anchors import Anchor, anchors_of, orthonormal
from steppe.directions.direction_set import DirectionSet
from steppe.directions.pools import numbered
from steppe.models import Model
from steppe.propagation.propagate import LAST


@dataclass(frozen=True)
class Ascent:
    """How directions are sought.

    Attributes:
        angle: By how many degrees activations are turned at their own norm; unless ``length``.
        length: How far they are moved instead, in units of the residual stream.
        restarts: Random directions that the ascent starts from; the best end is taken.
        steps: Steps of Adam.
        rate: Its learning rate, for a vector of length 1.
        orthogonal: Whether each direction is at right angles to those found before.
        read: The later residual.
        seed: Seed of the streams that starts are drawn from.
    """

    angle: float = 10.0
    length: float | None = None
    restarts: int = 3
    steps: int = 100
    rate: float = 0.01
    orthogonal: bool = True
    read: Site | str = LAST
    seed: int = 0

    def check(self) -> None:
        """Refuse settings with which nothing moves.

        Raises:
            InputError: The first of them.
        """
        rules: tuple[tuple[str, bool, str], ...] = (
            ("angle", 0 < self.angle < 180, "between 0 and 180 degrees"),
            ("length", self.length is None or 0 < self.length < float("inf"), "above 0"),
            ("restarts", self.restarts >= 1, "at least 1"),
            ("steps", self.steps >= 1, "at least 1"),
            ("rate", 0 < self.rate < 1, "between 0 and 1"),
        )
        for name, holds, expected in rules:
            if not holds:
                raise InputError(
                    f"melbo, {name}",
                    got=str(getattr(self, name)),
                    expected=expected,
                    fix="the default is " + str(getattr(Ascent(), name)),
                )


def melbo(
    model: Model,
    tokens: Any,
    site: Site | str,
    count: int = 1,
    *,
    ascent: Ascent | None = None,
) -> DirectionSet:
    """Directions along which activations move a later residual most.

    What is maximised is `response`, the mean L2 distance over the prompts given: one prompt gives
    that prompt's own direction, several a shared one.

    Args:
        model: The model.
        tokens: Token ids of the prompts, ``(prompt, position)``; the last position is moved.
        site: Where activations are moved.
        count: How many directions, one after the other. With ``orthogonal`` they are at right
            angles, so that the first ones do not depend on how many follow; without, they are the
            ends of ascents from different starts, and may be alike.
        ascent: How they are sought.

    Returns:
        ``melbo:1`` ..., each with its ``response`` and that of the start, ``response_at_start``.

    Raises:
        InputError: Settings, sites or tokens that do not fit.
    """
    how = ascent or Ascent()
    how.check()
    if not 1 <= count <= model.d_model - 1:
        raise InputError(
            "directions melbo",
            got=str(count),
            expected=f"1 to d_model - 1 = {model.d_model - 1}",
            fix="ask for fewer",
        )
    anchors = anchors_of(model, tokens, site, how.read)
    found: list[Tensor] = []
    facts = []
    for number in progress(range(1, count + 1), "melbo directions", total=count):
        drawn = stream(how.seed, "melbo", number).standard_normal((how.restarts, model.d_model))
        allowed = _Allowed(model, found if how.orthogonal else [])
        start = allowed(torch.from_numpy(drawn))
        ends, values, first = _climb(anchors, start, allowed, how)
        best = int(values.argmax())
        found.append(ends[best])
        facts.append(
            {
                "response": float(f"{float(values[best]):.6g}"),
                "response_at_start": float(f"{float(first[best]):.6g}"),
                "moved_by": f"{how.angle:g} degrees" if how.length is None else f"{how.length:g}",
                "prompts": len(anchors),
            }
        )
    return DirectionSet.of(numbered("melbo", count), torch.stack(found), "directions melbo", facts)


def response(
    model: Model,
    tokens: Any,
    site: Site | str,
    directions: Tensor,
    *,
    ascent: Ascent | None = None,
) -> Tensor:
    """How far directions move a later residual: L2, the mean over prompts.

    Args:
        model: The model.
        tokens: Token ids of the prompts, ``(prompt, position)``.
        site: Where activations are moved.
        directions: Unit vectors, ``(direction, d_model)``.
        ascent: Angle or length, and the later residual.

    Returns:
        ``(direction,)``, in units of the later residual; NaN along a base itself.
    """
    how = ascent or Ascent()
    how.check()
    with torch.no_grad():
        total = sum(
            _distance(anchor, directions.to(anchor.base), how)
            for anchor in anchors_of(model, tokens, site, how.read)
        )
    assert isinstance(total, Tensor)
    return (total / len(tokens)).cpu()


def moved(base: Tensor, units: Tensor, how: Ascent) -> Tensor:
    """An activation moved along directions, ``(direction, d_model)``; gradients flow back.

    By an angle: on the great circle through the base and the direction, as on ``sphere`` paths.
    """
    if how.length is not None:
        return base + how.length * units
    norm = base.norm()
    ahead = base / norm
    beside = units - (units @ ahead)[:, None] * ahead
    beside = beside / beside.norm(dim=1, keepdim=True)
    turn = torch.deg2rad(torch.tensor(how.angle, dtype=base.dtype, device=base.device))
    point: Tensor = norm * (torch.cos(turn) * ahead + torch.sin(turn) * beside)
    return point


def _distance(anchor: Anchor, units: Tensor, how: Ascent) -> Tensor:
    with torch.no_grad():
        rest = anchor.outputs(anchor.base[None])
    distance: Tensor = (anchor.outputs(moved(anchor.base, units, how)) - rest).norm(dim=1)
    return distance


class _Allowed:
    """Brings vectors into the model's coordinates, beside directions found before; length 1."""

    def __init__(self, model: Model, found: Sequence[Tensor]) -> None:
        self._model = model
        self._found = orthonormal(torch.stack(list(found))) if found else None

    def __call__(self, vectors: Tensor) -> Tensor:
        kept = self._model.to_coordinates(vectors)
        if self._found is not None:
            basis = self._found.to(kept)
            kept = kept - (kept @ basis.T) @ basis
        unit: Tensor = kept / kept.norm(dim=1, keepdim=True)
        return unit


def _climb(
    anchors: Sequence[Anchor], start: Tensor, allowed: Any, how: Ascent
) -> tuple[Tensor, Tensor, Tensor]:
    """Ends ``(restart, d_model)``, the best on the way, their responses and those of the starts."""
    variable = start.to(anchors[0].base).clone().requires_grad_()
    climber = torch.optim.Adam([variable], lr=how.rate)
    best, ends, first = None, start, None
    for step in range(how.steps + 1):
        climber.zero_grad()
        values = torch.zeros(len(start), device=variable.device)
        for anchor in anchors:
            with torch.enable_grad():
                distance = _distance(anchor, allowed(variable), how) / len(anchors)
                (-distance.sum()).backward()  # type: ignore[no-untyped-call]
            values += distance.detach()
        if best is None or first is None:
            best, first, ends = values.clone(), values.clone(), allowed(variable.detach())
        better = values > best
        best = torch.where(better, values, best)
        ends = torch.where(better[:, None], allowed(variable.detach()), ends)
        if step < how.steps:
            climber.step()
    assert best is not None
    assert first is not None
    return ends.double().cpu(), best.cpu(), first.cpu()
