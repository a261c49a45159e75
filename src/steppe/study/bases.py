"""The real activations that samples start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from steppe.propagation import Prefix

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Bases:
    """The real activations that some samples start from.

    Attributes:
        samples: The samples.
        prefixes: One per sample: its prompt, as far as the site.
        activations: float32 on the CPU, ``(sample, d_model)``.
        rows: The prompt of each, ``(sample,)``.
    """

    samples: range
    prefixes: Sequence[Prefix]
    activations: Tensor
    rows: NDArray[np.int64]

    def variables(self) -> Arrays:
        """What is stored of them: ``base_norm``, ``tokens``, ``base_row``."""
        return {
            "base_norm": self.activations.norm(dim=1).numpy(),
            "tokens": np.stack([prefix.tokens.cpu().numpy() for prefix in self.prefixes]),
            "base_row": self.rows,
        }
