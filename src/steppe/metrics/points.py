"""Some points of a prompt's paths instead of all, each compared with its path's first point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.metrics.catalogue import Metric
from steppe.metrics.measure import rows_at_once, source_of, values_of
from steppe.models.half_precision import HALF
from steppe.models.model import Model
from steppe.propagation.prefix import Prefix
from steppe.propagation.suffix import Suffix


def check_single_points(model: Model, metrics: Sequence[Metric]) -> None:
    """Check that single points of a path give the numbers that the whole path gives.

    Raises:
        InputError: A metric needs whole paths, or the model is in half precision, in which the
            steps between neighbouring points are multiplied.
    """
    whole = [one.name for one in metrics if one.whole or one.divisor is not None]
    if whole or model.dtype in HALF:
        raise InputError(
            "single points of paths",
            got=f"metrics of whole paths: {', '.join(whole)}" if whole else f"{model.dtype}",
            expected="metrics of single points" if whole else "float32 or float64",
            fix="measure all points: --points full",
        )


@dataclass(frozen=True)
class PointMetrics:
    """Metrics at some points of paths.

    Attributes:
        suffix: Open; it returns what the metrics read.
        metrics: The metrics; see `check_single_points`.
        read: The site that they look at, if they name none.
    """

    suffix: Suffix
    metrics: Sequence[Metric]
    read: Site

    def __post_init__(self) -> None:
        check_single_points(self.suffix.model, self.metrics)

    @cached_property
    def _metrics(self) -> list[Metric]:
        return [one.of(self.suffix.model) for one in self.metrics]

    def __call__(
        self, prefix: Prefix, paths: Tensor, wanted: NDArray[np.bool_]
    ) -> dict[str, NDArray[np.float32]]:
        """Run some points of a prompt's paths and reduce each to one number.

        Each batch begins with the first points of the paths, which the others are compared with.
        What shares a batch depends on the prompt's own paths alone.

        Args:
            prefix: One prompt.
            paths: ``(path, step, d_model)``.
            wanted: Which points, ``(path, step)``.

        Returns:
            By metric: float32 ``(path, step)``, NaN where nothing was wanted.
        """
        found = {one.name: np.full(wanted.shape, np.nan, np.float32) for one in self.metrics}
        if not wanted.any():
            return found
        firsts, own = paths[:, 0].unique(dim=0, return_inverse=True)  # type: ignore[no-untyped-call]
        # A path's first point heads every batch anyway.
        later = torch.from_numpy(wanted.copy())
        later[:, 0] = False
        at_once = max(1, rows_at_once(self.suffix) // prefix.positions - len(firsts))
        for some in torch.split(later.nonzero(), at_once):
            path, step = some.T
            outputs = self.suffix(prefix, torch.cat([firsts, paths[path, step]]))
            for metric in self._metrics:
                source = source_of(metric, outputs, self.read)
                curves = found[metric.name]
                for index in range(len(firsts)):
                    mine = (own[path] == index).nonzero()[:, 0]
                    rows = torch.cat([torch.tensor([index]), len(firsts) + mine])
                    values = values_of(metric, source[rows.to(source.device)]).cpu().numpy()
                    curves[path[mine].numpy(), step[mine].numpy()] = values[1:]
                    curves[(own == index).numpy(), 0] = values[0]
        for values in found.values():
            values[~wanted] = np.nan
        return found
