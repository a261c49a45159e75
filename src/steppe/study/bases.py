"""The real activations that samples start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.propagation import Prefix

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Bases:
    """The real activations that some samples start from.

    Attributes:
        samples: The samples.
        batches: The samples' prompts as far as the site, in order; those that run together are one.
        rows: The prompt of each, ``(sample,)``.
    """

    samples: range
    batches: Sequence[Prefix]
    rows: NDArray[np.int64]

    @cached_property
    def activations(self) -> Tensor:
        """float32 on the CPU, ``(sample, d_model)``."""
        return torch.cat([batch.base.float().cpu() for batch in self.batches])

    @property
    def prefixes(self) -> list[Prefix]:
        """Those of the samples one by one."""
        return [batch[prompt] for batch in self.batches for prompt in range(batch.prompts)]

    def variables(self) -> Arrays:
        """What is stored of them: ``base_norm``, ``tokens``, ``base_row``."""
        return {
            "base_norm": self.activations.norm(dim=1).numpy(),
            "tokens": np.concatenate([batch.tokens.cpu().numpy() for batch in self.batches]),
            "base_row": self.rows,
        }
