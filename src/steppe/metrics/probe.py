"""One metric at single points of a prompt, each compared with an output of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.metrics.catalogue import Metric
from steppe.metrics.measure import source_of, values_of
from steppe.models.half_precision import HALF
from steppe.propagation.prefix import Prefix
from steppe.propagation.suffix import Suffix

# Points per forward pass: what a batch may hold of GPT-2's logits.
ROWS = 128


@dataclass(frozen=True)
class Probe:
    """A metric at single points.

    Attributes:
        suffix: Open; it returns what the metric reads.
        metric: The metric.
        read: The site that it looks at, if it names none.
    """

    suffix: Suffix
    metric: Metric
    read: Site

    def __post_init__(self) -> None:
        if self.metric.divisor is not None or self.metric.whole:
            raise InputError(
                f"metric {self.metric.name!r} at single points",
                got="a metric of whole paths",
                expected="a metric that is 0 at the base and grows, such as kl, js, l2",
                fix="measure whole curves",
            )

    @cached_property
    def _metric(self) -> Metric:
        return self.metric.of(self.suffix.model)

    def outputs(self, prefix: Prefix, points: Tensor, starts: Tensor | None = None) -> Tensor:
        """What the metric reads at some points, float32 ``(point, width)``.

        Args:
            prefix: The prompt.
            points: ``(point, d_model)``.
            starts: Where each point's path starts, ``(point, d_model)``; None: at the prompt's own
                base. In half precision what is rounded is how far a point is from there.
        """
        if self.suffix.model.dtype not in HALF:
            return self._joined(prefix, torch.split(points, ROWS), 1)
        starts = (prefix.base if starts is None else starts).to(points).expand_as(points)
        at_once = ROWS // 2
        while at_once > 1 and not self.suffix.fits(prefix, 2 * at_once):
            at_once //= 2
        pairs = torch.split(torch.stack([starts, points], dim=1), at_once)
        return self._joined(prefix, [rows.flatten(0, 1) for rows in pairs], 2)[1::2]

    def values(self, references: Tensor, which: Tensor, outputs: Tensor) -> Tensor:
        """The metric of each point, from the output that it is compared with, ``(point,)``.

        Args:
            references: Outputs, ``(reference, width)``.
            which: The reference of each point, int64 ``(point,)``.
            outputs: ``(point, width)``.
        """
        found = torch.empty(len(outputs), device=outputs.device)
        which = which.to(outputs.device)
        for index in sorted(set(which.tolist())):
            mine = which == index
            both = torch.cat([references[index][None], outputs[mine]])
            found[mine] = values_of(self._metric, both)[1:]
        return found

    def _joined(self, prefix: Prefix, batches: Sequence[Tensor], path_length: int) -> Tensor:
        found = [self.suffix(prefix, rows, path_length=path_length) for rows in batches]
        return torch.cat([source_of(self._metric, outputs, self.read) for outputs in found])
