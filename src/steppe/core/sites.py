"""Addresses in the residual stream: which layer, which point, which token position."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from steppe.core.errors import InputError

Point = Literal["resid_pre", "resid_post", "ln_final"]
Position = int | Literal["all"]

LN_FINAL = "ln_final.hook_normalized"
_LONG = re.compile(r"blocks\.(\d+|last)\.hook_(resid_pre|resid_post)")
_SHORT = re.compile(r"(resid_pre|resid_post):(\d+|last)")
_LAST = -1


@dataclass(frozen=True)
class Site:
    """An address in the residual stream.

    Attributes:
        layer: Index of the block, from 0; -1 is the last block (see `resolve`). 0 for ``ln_final``.
        point: Before the block (``resid_pre``), after it (``resid_post``), or the output of the
            final normalisation before its gain and bias (``ln_final``).
        position: Token position, negative from the end, or ``"all"``.
    """

    layer: int
    point: Point
    position: Position = -1

    @classmethod
    def parse(cls, text: str, position: Position = -1) -> Site:
        """Read a site as the field writes it.

        Args:
            text: ``blocks.1.hook_resid_pre``, ``blocks.last.hook_resid_post``, ``resid_pre:1`` or
                ``ln_final.hook_normalized``.
            position: Token position of the site.

        Raises:
            InputError: The text names no site.
        """
        if text == LN_FINAL:
            return cls(0, "ln_final", position)
        if match := _LONG.fullmatch(text):
            layer, point = match.groups()
        elif match := _SHORT.fullmatch(text):
            point, layer = match.groups()
        else:
            raise InputError(
                "site",
                got=repr(text),
                expected="blocks.<layer>.hook_resid_pre, blocks.<layer>.hook_resid_post, "
                f"{LN_FINAL}",
                fix="name a layer and one of these points, for instance blocks.1.hook_resid_pre",
            )
        number = _LAST if layer == "last" else int(layer)
        return cls(number, "resid_pre" if point == "resid_pre" else "resid_post", position)

    @property
    def name(self) -> str:
        """The canonical name, without the position."""
        if self.point == "ln_final":
            return LN_FINAL
        return f"blocks.{'last' if self.layer == _LAST else self.layer}.hook_{self.point}"

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
        """How many blocks have run when the residual stream reaches this site."""
        if self.point == "ln_final":
            return n_layers
        layer = self.resolve(n_layers).layer
        return layer if self.point == "resid_pre" else layer + 1

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
