"""Paths of several kinds from a prompt: whole curves, and where KL along them reaches a level.

Paths are given by kind: where they start and where they head, ``(sample, draw, d_model)`` each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations import draw_real_targets
from steppe.core.axes import KIND, MODE, SAMPLE, STEP
from steppe.core.sites import LN_FINAL, Site
from steppe.metrics import CATALOGUE, measure_path, read_sites
from steppe.metrics.probe import Probe
from steppe.paths import END, Family, family_of
from steppe.propagation import Prefix
from steppe.statistics import EVALUATIONS, Crossings
from steppe.store import Template, Variable
from steppe.studies.heimersheim2024.names import MODES, UNITS
from steppe.studies.heimersheim2024.settings import Settings
from steppe.study import Bases, Context, dataset_spec
from steppe.study.context import Arrays
from steppe.study.crossings import Search

Study = Context[Settings]
Paths = Mapping[str, tuple[Tensor, Tensor]]

_L2 = CATALOGUE["l2"]
_AFTER = f"{_L2.long_name} after the final normalisation"
_L2_NORMALIZED = replace(_L2, name="l2_normalized", long_name=_AFTER, read=Site.parse(LN_FINAL))
METRICS = (CATALOGUE["kl"], _L2, _L2_NORMALIZED, CATALOGUE["cosine"])
# A sample takes many paths.
SHARD_SIZE = 10
KIND_MODE = (KIND, MODE, SAMPLE)


def _kl(logits: Tensor) -> Tensor:
    # The last bits of every crossing hang on a reference that is normalised before it is compared.
    return CATALOGUE["kl"].measure(torch.cat([logits[:1].log_softmax(-1), logits[1:]]))


KL = replace(CATALOGUE["kl"], measure=_kl)


def curve_variables(*dims: str) -> dict[str, Variable]:
    """Every metric along a path."""
    return {one.name: Variable(dims, one.unit, one.long_name) for one in METRICS}


def crossing_variables(*dims: str, prefix: str = "") -> dict[str, Variable]:
    """What `search` gives."""
    unit = "norm of the base (straight), degrees (sphere)"
    what = "where KL first reaches the level; NaN where it never does, or there is no direction"
    below = "whether KL stays below the level all along the path"
    return {
        f"{prefix}crossing": Variable(dims, unit, what),
        f"{prefix}censored": Variable(dims, "1", below, "bool"),
        f"{prefix}scanned": Variable(dims, "1", "whether bisection was not safe", "bool"),
        f"{prefix}evaluations": Variable(dims, "points", "points that were computed", "int64"),
    }


@dataclass(frozen=True)
class Grid:
    """How a dataset is laid out; where it has steps, with the place of each in every mode.

    Attributes:
        variables: What is filled shard by shard.
        labels: Names along the dimensions that have some.
        sizes: Lengths of others, or the settings that give them.
        at_most: The setting that gives how many samples it has at most; they are shared out one by
            one. Empty: all.
    """

    variables: Mapping[str, Variable]
    labels: Mapping[str, Sequence[str]]
    sizes: Mapping[str, int | str] = field(default_factory=dict)
    at_most: str = ""

    def __call__(self, study: Study) -> Template:
        """Lay it out."""
        settings, coordinates = study.settings, {}
        sizes = self._sizes(settings)
        if any(STEP in variable.dims for variable in self.variables.values()):
            sizes[STEP] = settings.n_points
            for mode in MODES:
                about = {"unit": UNITS[mode], "long_name": f"where a step of a {mode} path lies"}
                places = np.linspace(0, END[mode], settings.n_points)
                coordinates[f"{mode}_position"] = (STEP, places, about)
        made = dataset_spec(
            study,
            self.variables,
            labels=self.labels,
            sizes=sizes,
            coordinates=coordinates,
            at_most=getattr(settings, self.at_most) if self.at_most else None,
        )
        made.fixed.attrs["level"] = settings.level
        return made if self.at_most else replace(made, shard_size=SHARD_SIZE)

    def _sizes(self, settings: Settings) -> dict[str, int]:
        return {
            dim: getattr(settings, size) if isinstance(size, str) else size
            for dim, size in self.sizes.items()
        }

    def points_of(self, settings: Settings) -> int:
        """Points of its curves, and those that its searches are likely to take."""
        most = getattr(settings, self.at_most) if self.at_most else settings.samples
        sizes = {SAMPLE: min(settings.samples, most), STEP: settings.n_points}
        sizes |= {dim: len(names) for dim, names in self.labels.items()} | self._sizes(settings)
        paths = {name: prod(sizes[dim] for dim in one.dims) for name, one in self.variables.items()}
        curves = [paths[name] for name, one in self.variables.items() if STEP in one.dims]
        searched = [paths[name] for name in paths if name.endswith("evaluations")]
        return int(max(curves, default=0) + EVALUATIONS * sum(searched))


def drawn(study: Study, bases: Bases, stream: str, draws: int = 1, *, real: bool = False) -> Tensor:
    """Normal draws with the moments of real activations, or real ones of other prompts.

    Returns:
        float32 on the CPU, ``(sample, draw, d_model)``.
    """
    if real:
        return drawn_real(study, bases, stream, draws)[0]
    found = study.gaussian.draw(_streams(study, bases, stream, draws))
    return found.reshape(len(bases.samples), draws, -1)


def drawn_real(
    study: Study, bases: Bases, stream: str, draws: int
) -> tuple[Tensor, NDArray[np.int64]]:
    """Real activations of other prompts, and the tokens of these prompts.

    Returns:
        float32 on the CPU, ``(sample, draw, d_model)``, and ``(sample, draw, position)``.
    """
    repeated = bases.activations.repeat_interleave(draws, dim=0)
    found = draw_real_targets(repeated, study.pool, _streams(study, bases, stream, draws))
    tokens = study.prompts.tokens[study.pool_rows[found.indices]]
    shape = (len(bases.samples), draws, -1)
    return found.targets.reshape(shape), tokens.reshape(shape)


def _streams(study: Study, bases: Bases, name: str, draws: int) -> list[np.random.Generator]:
    """One for each sample, asked ``draws`` times."""
    return [g for g in study.generators(name, bases.samples) for _ in range(draws)]


def from_bases(
    study: Study, bases: Bases, kinds: Sequence[str], draws: int = 1
) -> dict[str, tuple[Tensor, Tensor]]:
    """Paths from real bases in directions of several kinds."""
    ways = {kind: study.directions(bases, kind, draws) for kind in kinds}
    return {kind: (bases.activations[:, None].expand_as(way), way) for kind, way in ways.items()}


def curves(study: Study, bases: Bases, paths: Paths) -> Arrays:
    """Every metric along every path, float32 ``(kind, mode, sample, draw, step)``."""
    n_points = study.settings.n_points
    samples, draws, width = next(iter(paths.values()))[0].shape
    shape = (len(paths), len(MODES), samples, draws, n_points)
    found = {one.name: np.empty(shape, np.float32) for one in METRICS}
    with study.suffix(read=read_sites(METRICS, study.read), logits=True) as suffix:
        for (i, ends), (j, mode) in product(enumerate(paths.values()), enumerate(MODES)):
            rows = (one.reshape(-1, width) for one in ends)
            family = family_of(mode, *rows, mean_free=study.centered)
            for row in range(samples * draws):
                points = family.select(slice(row, row + 1)).points(n_points)[0]
                prefix = bases.prefixes[row // draws]
                measured = measure_path(suffix, prefix, points, METRICS, study.read)
                for name, values in measured.items():
                    found[name][i, j, row // draws, row % draws] = values
    return dict(found)


@contextmanager
def searching(study: Study) -> Iterator[Search]:
    """A search of the level that the study asks for."""
    with study.suffix(read=[], logits=True) as suffix:
        yield Search(Probe(suffix, KL, study.read), study.settings.level)


def positions(found: Crossings, family: Family, n_points: int) -> np.ndarray:
    """Where crossings lie, in the unit of the paths' mode."""
    return np.asarray(found.step * float(family.grid(n_points)[1]))


def search(
    study: Study,
    paths: Iterable[tuple[Prefix, Family]],
    shape: Sequence[int],
    order: Sequence[int],
    prefix: str = "",
) -> Arrays:
    """Where KL reaches the level; the paths of one family are searched together.

    Args:
        study: The model.
        paths: Prompts, and paths that stand in them.
        shape: Of all these paths, one after the other.
        order: Of its axes in what is returned.
        prefix: Begins the variables' names.
    """
    arrays: dict[str, list[np.ndarray]] = {}
    with searching(study) as searched:
        for prompt, family in paths:
            found = searched(prompt, family, study.settings.n_points)
            place = positions(found, family, study.settings.n_points).astype(np.float32)
            flags = {name: getattr(found, name) for name in ("censored", "scanned", "evaluations")}
            for name, values in {"crossing": place, **flags}.items():
                arrays.setdefault(f"{prefix}{name}", []).append(values)
    return {
        name: np.ascontiguousarray(np.stack(values).reshape(shape).transpose(order))
        for name, values in arrays.items()
    }


def crossings(study: Study, bases: Bases, paths: Paths, prefix: str = "") -> Arrays:
    """Crossings of several kinds of path in every mode, ``(kind, mode, sample, draw)`` each."""
    samples, draws, _ = next(iter(paths.values()))[0].shape

    def families() -> Iterator[tuple[Prefix, Family]]:
        for mode, sample in product(MODES, range(samples)):
            ends = (torch.cat([one[end][sample] for one in paths.values()]) for end in (0, 1))
            yield bases.prefixes[sample], family_of(mode, *ends, mean_free=study.centered)

    shape = (len(MODES), samples, len(paths), draws)
    return search(study, families(), shape, (2, 0, 1, 3), prefix)
