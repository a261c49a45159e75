"""Addresses in a model: which layer, which point of its block, which token position."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, cast

from steppe.core.errors import InputError
from steppe.core.notebook import facts_html

Point = Literal[
    "resid_pre", "attn_out", "resid_mid", "mlp_post", "mlp_out", "resid_post", "ln_final"
]
Position = int | Literal["all"]

LN_FINAL = "ln_final.hook_normalized"
# In the order in which a block computes them, but for blocks whose parts run side by side.
_IN_BLOCK: tuple[Point, ...] = ("resid_pre", "attn_out", "resid_mid", "mlp_post", "mlp_out")
# The stream itself, which a block takes in or hands on whole.
STREAM: tuple[Point, ...] = ("resid_pre", "resid_mid", "resid_post")
# TransformerLens' name of each, inside of a block.
_HOOKS: dict[Point, str] = {
    point: "mlp.hook_post" if point == "mlp_post" else f"hook_{point}"
    for point in (*_IN_BLOCK, "resid_post")
}
_POINTS = {hook: point for point, hook in _HOOKS.items()}
_LONG = re.compile(rf"blocks\.(\d+|last)\.({'|'.join(map(re.escape, _POINTS))})")
_SHORT = re.compile(rf"({'|'.join(_HOOKS)}):(\d+|last)")
_LAST = -1


@dataclass(frozen=True)
class Site:
    """An address in a model.

    Attributes:
        layer: Index of the block, from 0; -1 is the last block (see `resolve`). 0 for ``ln_final``.
        point: The residual stream before the block (``resid_pre``), between attention and MLP
            (``resid_mid``) or after the block (``resid_post``); what attention (``attn_out``) or
            the MLP (``mlp_out``) adds to it; the MLP's neurons after their nonlinearity
            (``mlp_post``); or the output of the final normalisation before its gain and bias
            (``ln_final``).
        position: Token position, negative from the end, or ``"all"``.
    """

    layer: int
    point: Point
    position: Position = -1

    @classmethod
    def parse(cls, text: str, position: Position = -1) -> Site:
        """Read a site as the field writes it.

        Args:
            text: ``blocks.1.hook_resid_pre``, ``blocks.last.hook_resid_post``,
                ``blocks.1.mlp.hook_post``, ``resid_pre:1`` or ``ln_final.hook_normalized``.
            position: Token position of the site.

        Raises:
            InputError: The text names no site.
        """
        if text == LN_FINAL:
            return cls(0, "ln_final", position)
        if match := _LONG.fullmatch(text):
            layer, point = match[1], _POINTS[match[2]]
        elif match := _SHORT.fullmatch(text):
            layer, point = match[2], cast(Point, match[1])
        else:
            raise InputError(
                "site",
                got=repr(text),
                expected=", ".join(f"blocks.<layer>.{hook}" for hook in _POINTS) + f", {LN_FINAL}",
                fix="name a layer and one of these points, for instance blocks.1.hook_resid_pre",
            )
        return cls(_LAST if layer == "last" else int(layer), point, position)

    def _repr_html_(self) -> str:
        """The site in a notebook."""
        return facts_html(self.name, {"token position": self.position})

    @property
    def name(self) -> str:
        """The canonical name, without the position."""
        if self.point == "ln_final":
            return LN_FINAL
        return f"blocks.{'last' if self.layer == _LAST else self.layer}.{_HOOKS[self.point]}"

    @property
    def is_stream(self) -> bool:
        """Whether it holds the whole residual stream, so that activations can be moved there."""
        return self.point in STREAM

    @property
    def is_inside(self) -> bool:
        """Whether it lies inside of a block."""
        return self.point not in ("resid_pre", "resid_post", "ln_final")

    def resolve(self, n_layers: int) -> Site:
        """Return this site with its layer counted from 0.

        Raises:
            InputError: A model of ``n_layers`` blocks has no such layer.
        """
        if self.point == "ln_final":
            return self
        if self.layer >= n_layers or self.layer < _LAST:
            raise InputError(
                f"site {self.name}",
                got=f"layer {self.layer}",
                expected=f"0 to {n_layers - 1} (the model has {n_layers} blocks)",
                fix=f"choose a layer below {n_layers}, or 'last'",
            )
        return replace(self, layer=n_layers - 1) if self.layer == _LAST else self

    def blocks_before(self, n_layers: int) -> int:
        """How many whole blocks have run when this site is reached."""
        return self.place(n_layers)[0]

    def place(self, n_layers: int) -> tuple[int, int]:
        """Where it lies on the way through a model of so many blocks, to compare sites by.

        Two names of one place, such as after one block and before the next, are equal.
        """
        if self.point == "ln_final":
            return n_layers, 0
        layer = self.resolve(n_layers).layer
        if self.point == "resid_post":
            return layer + 1, 0
        return layer, _IN_BLOCK.index(self.point)

    def __str__(self) -> str:
        return self.name


def as_site(site: Site | str) -> Site:
    """Return a site that is given as such, or as text (`Site.parse`).

    Raises:
        InputError: The text names no site, or it is neither.
    """
    if isinstance(site, Site):
        return site
    if isinstance(site, str):
        return Site.parse(site)
    raise InputError(
        "site",
        got=f"{site!r} ({type(site).__name__})",
        expected="a Site, or text such as 'blocks.1.hook_resid_pre'",
        fix="give one site",
    )


def part_at(index: int) -> Point:
    """The part of a block that the second number of `Site.place` stands for."""
    return _IN_BLOCK[index]


def require_stream(site: Site) -> None:
    """Refuse a site at which activations cannot be moved: one that does not hold the whole stream.

    Raises:
        InputError: It can only be read.
    """
    if not site.is_stream:
        raise InputError(
            f"site {site.name}",
            got="a site at which activations shall be moved",
            expected=", ".join(f"blocks.<layer>.{_HOOKS[point]}" for point in STREAM),
            fix="move them at one of these sites; this one can only be read",
        )
