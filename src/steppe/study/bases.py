"""The real activations that samples start from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.core.sites import Site
from steppe.models import Model
from steppe.propagation import Prefix, build_prefix, prompts_together, weights_stay

Arrays = dict[str, NDArray[Any]]
# Some 400 prompts of 10 tokens on GPT-2 small.
_KEPT_BYTES = 2**28


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

    @classmethod
    def of(
        cls,
        samples: range,
        rows: NDArray[np.int64],
        tokens: NDArray[np.int64],
        model: Model,
        site: Site,
    ) -> Bases:
        """Run the samples' prompts, ``tokens`` ``(sample, position)``, as far as a site."""
        together = prompts_together(model, tokens.shape[1])
        with weights_stay():
            parts = torch.split(torch.from_numpy(tokens), together)
            return cls(samples, [build_prefix(model, part, site) for part in parts], rows)

    @cached_property
    def activations(self) -> Tensor:
        """float32 on the CPU, ``(sample, d_model)``."""
        return torch.cat([batch.base.float().cpu() for batch in self.batches])

    @cached_property
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


class KeptBases:
    """Bases that were made, for later parts of the run that start from them.

    The first that fit in the memory meant for them are kept: parts go through all samples in
    order, so that the latest would be gone each time before they are asked for again.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], Bases] = {}
        self._bytes = 0

    def get(self, samples: range, make: Callable[[], Bases]) -> Bases:
        """The bases of some samples, made where they are not kept."""
        key = samples.start, samples.stop
        if key in self._kept:
            return self._kept[key]
        made = make()
        size = sum(batch.nbytes for batch in made.batches)
        if self._bytes + size <= _KEPT_BYTES:
            self._kept[key] = made
            self._bytes += size
        return made
