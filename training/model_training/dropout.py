"""Which parts of what enters the residual stream are left out in training.

Of the hub's GPT-2 configuration's three places: embedding and residual, not attention.

Drawing new random numbers for every element costs a third of the throughput on a CPU. So a bank
of random factors is drawn once, and each batch takes its factors from a random place in it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model_training.language_model import Shape

PLACES = 4
"""How much longer the bank is than what a batch takes; it can begin anywhere in that."""


class Dropout:
    """Factors of 0 (left out) or 1 / (1 - share), the same for the same batch number."""

    def __init__(
        self, share: float, shape: Shape, seed: int, device: str, precision: torch.dtype
    ) -> None:
        """Prepares to draw.

        Args:
            share: of elements that are left out.
            shape: the model's sizes.
            seed: of the bank and of the places in it.
            device: where the factors are used.
            precision: of the factors.
        """
        self.share, self.shape, self.seed = share, shape, seed
        self.device, self.precision = device, precision
        self.bank = torch.empty(0)

    def kept(self, batch: int, inputs: Tensor) -> Tensor | None:
        """Returns a batch's factors, shape (1 + 2 layers, b, t, d), or None to keep everything.

        Args:
            batch: its number in the run.
            inputs: its token ids, shape (b, t).
        """
        if not self.share:
            return None
        sizes = (1 + 2 * self.shape.layers, *inputs.shape, self.shape.width)
        count = torch.Size(sizes).numel()
        if len(self.bank) != count * (1 + PLACES):
            self.bank = self._drawn(count * (1 + PLACES))
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + batch)
        start = int(torch.randint(PLACES * count, (), generator=generator))
        return self.bank[start : start + count].view(sizes)

    def _drawn(self, count: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        bank = torch.empty(count, dtype=self.precision)
        bank.bernoulli_(1 - self.share, generator=generator)
        return bank.div_(1 - self.share).to(self.device)
