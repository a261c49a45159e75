"""Which bases and targets belong to given samples. Each sample's draws depend on it alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations import TargetRequest, draw_real_targets, make_targets
from steppe.propagation import Prefix
from steppe.recipes.giglemiani2024.material import Material


@dataclass(frozen=True, eq=False)
class Draws:
    """Bases and targets of a range of samples.

    Attributes:
        samples: The samples.
        prefixes: One per sample.
        base: Base activations, ``(sample, d_model)``.
        targets: By kind: ``(sample, d_model)``.
        base_rows: Prompt of each base, ``(sample,)``.
        target_rows: Prompt of each real target, ``(sample,)``.
        redraws: How often each real target had to be drawn again, ``(sample,)``.
    """

    samples: range
    prefixes: Sequence[Prefix]
    base: Tensor
    targets: dict[str, Tensor]
    base_rows: NDArray[np.int64]
    target_rows: NDArray[np.int64]
    redraws: NDArray[np.int64]

    def variables(self) -> dict[str, NDArray[np.generic]]:
        """What is stored of the draws themselves: per-sample variables of the dataset."""
        return {
            "base_norm": self.base.norm(dim=1).numpy(),
            "tokens": np.stack([prefix.tokens.cpu().numpy() for prefix in self.prefixes]),
            "base_row": self.base_rows,
            "target_row": self.target_rows,
            "redraws": self.redraws,
        }


def draw(material: Material, samples: range, kinds: Sequence[str]) -> Draws:
    """Draw bases and targets for some samples.

    Args:
        material: What they are drawn from.
        samples: Which samples.
        kinds: Which kinds of target; ``real`` is drawn in any case.
    """
    rows = material.stock.base_rows[samples.start : samples.stop]
    prefixes = material.stock.prefixes(rows)
    base = torch.stack([prefix.base.float().cpu() for prefix in prefixes])
    real = draw_real_targets(base, material.stock.pool, material.generators("real_target", samples))
    request = TargetRequest(
        base=base,
        real=real.targets,
        generators=lambda name: material.generators(name, samples),
        gaussian=material.stock.gaussian,
        sae=material.sae,
        rates=material.rates,
        pool=material.stock.pool,
        reading=material.settings.reading,
        centered=material.subject.coordinates == "centered",
        top_cosine=material.scales.cosine,
    )
    wanted = dict.fromkeys(["real", *kinds])
    return Draws(
        samples=samples,
        prefixes=prefixes,
        base=base,
        targets={kind: make_targets(kind, request) for kind in wanted},
        base_rows=rows,
        target_rows=material.stock.pool_rows[real.indices],
        redraws=real.redraws,
    )
