"""What comes out of a suffix."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Outputs:
    """What came out, for every point.

    Attributes:
        residuals: By the name of each site asked for: float32 ``(..., step, d_model)`` in the
            model's coordinates; ``(..., step, position, d_model)`` when points were placed at all
            positions. Neurons (``mlp_post``) have a width of their own, and no coordinates.
        logits: float32 ``(..., step, vocab)`` at the last position, with a position axis before
            ``vocab`` when points were placed at all positions; None when not asked for.
    """

    residuals: dict[str, Tensor]
    logits: Tensor | None

    def after(self, steps: slice) -> Outputs:
        """These outputs of a batch without the reference row, where it is not one of its steps."""
        if steps.start == 0:
            return self
        residuals = {name: rows[1:] for name, rows in self.residuals.items()}
        return Outputs(residuals, None if self.logits is None else self.logits[1:])


def joined(parts: list[Outputs]) -> Outputs:
    """The outputs of several batches as those of one."""
    names = parts[0].residuals
    residuals = {name: torch.cat([part.residuals[name] for part in parts]) for name in names}
    logits = [part.logits for part in parts if part.logits is not None]
    return Outputs(residuals, torch.cat(logits) if logits else None)
