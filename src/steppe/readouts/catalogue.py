"""Which readouts there are, what each reads and in which unit it answers: one line per readout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from steppe.core.errors import InputError
from steppe.readouts.distance import cosine, l2
from steppe.readouts.divergence import js, kl

Reads = Literal["residual", "logits"]


@dataclass(frozen=True)
class Readout:
    """One number per point of a path.

    Attributes:
        name: What it is called.
        unit: Its unit; ``"1"`` when it has none.
        long_name: What it says, for axes and captions.
        reads: Whether it looks at the residual stream or at the logits.
        measure: From ``(step, ...)`` outputs of one path to one number per step; the reference is
            step 0 of the same batch. Axes between step and the last one are kept.
    """

    name: str
    unit: str
    long_name: str
    reads: Reads
    measure: Callable[[Tensor], Tensor]


CATALOGUE: dict[str, Readout] = {
    readout.name: readout
    for readout in (
        Readout("l2", "activation units", "L2 distance to the base", "residual", l2),
        Readout("cosine", "1", "cosine to the base", "residual", cosine),
        Readout("kl", "nats", "KL(base || perturbed)", "logits", kl),
        Readout("js", "bits", "Jensen-Shannon divergence from the base", "logits", js),
    )
}


def find_readouts(names: Sequence[str]) -> list[Readout]:
    """Return the readouts called ``names``.

    Raises:
        InputError: An unknown name, or none at all.
    """
    unknown = [name for name in names if name not in CATALOGUE]
    if unknown or not names:
        raise InputError(
            "readouts",
            got=repr(unknown[0]) if unknown else "none",
            expected="one or more of " + ", ".join(CATALOGUE),
            fix="name at least one readout, for instance 'l2'",
        )
    return [CATALOGUE[name] for name in names]
