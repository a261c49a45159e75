"""What the model would say along the paths of some samples: the likeliest next tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steppe.core.axes import RANK, SAMPLE
from steppe.metrics.measure import path_outputs, paths_at_once
from steppe.propagation import Prefix, Suffix
from steppe.reports.page.next_tokens import (
    NEXT_TOKENS,
    PLACE,
    PROBABILITY,
    STEP_OF_PLACE,
    TOKEN,
)
from steppe.store import Template, Variable
from steppe.study.context import Arrays, Context
from steppe.study.curve_part import CurvePart
from steppe.study.needs import Need
from steppe.study.part import SHARD_SIZE, dataset_spec

# Places along a path, both ends included, and tokens at each.
PLACES, TOP = 21, 10


@dataclass(frozen=True)
class NextTokens:
    """The likeliest next tokens along the paths of a part's first samples, for the run's page.

    Samples are drawn at random by the run's seed, so that the first of them are as good as any, and
    stay the same where a run is extended. Their paths are run once more, at a fifth of the points.

    Attributes:
        of: The part whose paths these are; it reads logits.
        samples: Of how many samples.
    """

    of: CurvePart
    samples: int

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return f"{self.of.name}{NEXT_TOKENS}"

    @property
    def needs(self) -> frozenset[str]:
        """What the part cannot be measured without."""
        return self.of.needs

    @property
    def definition(self) -> dict[str, Any]:
        """How many samples, places and tokens; the paths are the part's own."""
        return {"of": self.of.name, "samples": self.samples, "places": PLACES, "tokens": TOP}

    def points_of(self, settings: Any) -> int:
        """How many points it runs, at most."""
        samples = min(self.samples, int(settings.samples))
        return samples * len(self.of.kinds) * len(self.of.paths) * len(self.steps)

    @property
    def steps(self) -> list[int]:
        """The steps of its places."""
        last = self.of.n_points - 1
        places = np.linspace(0, last, min(PLACES, last + 1)).round()
        return [int(step) for step in dict.fromkeys(places)]

    def without_sae(self) -> NextTokens | None:
        """Those of what is left of the part."""
        kept = self.of.without_sae()
        return None if kept is None else replace(self, of=kept)

    def only(self, needs: Sequence[Need]) -> NextTokens:
        """Those of what the outputs need of the part."""
        return replace(self, of=self.of.only(needs))

    def spec(self, context: Context[Any]) -> Template:
        """Token and probability by label, place and rank."""
        dims = (*self.of.dims, SAMPLE, PLACE, RANK)
        made = dataset_spec(
            context,
            {
                TOKEN: Variable(dims, "token", "likeliest next tokens", "int32"),
                PROBABILITY: Variable(dims, "1", "their probabilities"),
            },
            labels=self.of.labels,
            sizes={RANK: TOP},
            coordinates={STEP_OF_PLACE: (PLACE, np.array(self.steps))},
            at_most=self.samples,
        )
        return replace(made, shard_size=SHARD_SIZE)

    def measure(self, context: Context[Any], samples: range) -> Arrays:
        """Run the paths of some samples at the places, and keep the likeliest tokens."""
        bases = context.bases(samples)
        paths, places = self.of.distinct(self.of.laid(context, bases))
        found = []
        with context.suffix(read=[], logits=True) as suffix:
            for row, prefix in enumerate(bases.prefixes):
                points = torch.stack([path[row][self.steps] for path in paths])
                found.append(_likeliest(suffix, prefix, points))
        # From (sample, path, place, rank) to the dataset's order.
        tokens, probabilities = (
            self.of.arranged(places.spread(torch.stack(part).swapaxes(0, 1).numpy()))
            for part in zip(*found, strict=True)
        )
        return {
            TOKEN: tokens.astype(np.int32),
            PROBABILITY: probabilities,
            **bases.variables(),
        }


def _likeliest(suffix: Suffix, prefix: Prefix, points: Tensor) -> tuple[Tensor, Tensor]:
    """Ids and probabilities, ``(path, place, rank)``, of ``(path, place, d_model)`` points."""
    tokens, probabilities = [], []
    for group in torch.split(points, paths_at_once(suffix, prefix, points.shape[1])):
        for first, outputs in path_outputs(suffix, prefix, group):
            assert outputs.logits is not None
            top = outputs.logits[first:].float().softmax(-1).topk(TOP)
            tokens.append(top.indices.cpu())
            probabilities.append(top.values.cpu())
    shape = (*points.shape[:2], TOP)
    return torch.cat(tokens).reshape(shape), torch.cat(probabilities).reshape(shape)
