"""How are paths of one prompt run: whole curves, or only the point where KL crosses a level?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.core.sites import LN_FINAL, Site
from steppe.paths import Family, FamilyMode, family_of
from steppe.propagation import Outputs, Prefix, Suffix
from steppe.readouts import CATALOGUE
from steppe.recipes.heimersheim2024.material import NORMALIZED, Material
from steppe.recipes.heimersheim2024.outputs import MODES, READOUTS
from steppe.recipes.stock import Stock
from steppe.statistics import Crossings, find_crossings
from steppe.subject.half_precision import HALF

# Points per forward pass of a search: what a batch may hold of GPT-2's logits.
_ROWS = 128

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class Found:
    """Crossings of a set of paths, in the unit of their mode.

    Attributes:
        position: Angle in degrees, or length in units of the base's norm; NaN where there is none.
        censored: Whether KL stays below the level all along the path.
        scanned: Whether bisection was not safe.
        evaluations: How many points were computed.
    """

    position: NDArray[np.float64]
    censored: NDArray[np.bool_]
    scanned: NDArray[np.bool_]
    evaluations: NDArray[np.int64]


class Bench:
    """Runs paths that start at a stock's site; a context manager.

    Args:
        material: Gives the settings and the read site.
        stock: The subject and the site.
    """

    def __init__(self, material: Material, stock: Stock) -> None:
        self.settings = material.settings
        self.centered = material.centered
        self.stock = stock
        reads: list[Site] = [material.read, NORMALIZED]
        self._read = material.read.name
        self._suffix = Suffix(stock.subject, stock.site, read=reads, logits=True)

    def __enter__(self) -> Self:
        self._suffix.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._suffix.__exit__(kind, fault, trace)

    def family(self, mode: FamilyMode, base: Tensor, displacement: Tensor) -> Family:
        """Paths of one mode from bases, both ``(path, d_model)``."""
        return family_of(mode, base, displacement, mean_free=self.centered)

    def logits(self, prefix: Prefix, points: Tensor, starts: Tensor | None = None) -> Tensor:
        """Next-token logits of some points, float32 ``(point, vocab)``.

        Args:
            prefix: The prompt.
            points: ``(point, d_model)``.
            starts: Where each point's path starts, ``(point, d_model)``; None: at the prompt's own
                base. In half precision what is rounded is how far a point is from there.
        """
        if self.stock.subject.dtype not in HALF:
            return torch.cat([self._logits(prefix, rows, 1) for rows in torch.split(points, _ROWS)])
        starts = (prefix.base if starts is None else starts).to(points).expand_as(points)
        pairs, at_once = torch.stack([starts, points], dim=1), _ROWS // 2
        while at_once > 1 and not self._suffix.fits(prefix, 2 * at_once):
            at_once //= 2
        groups = torch.split(pairs, at_once)
        return torch.cat([self._logits(prefix, rows.flatten(0, 1), 2)[1::2] for rows in groups])

    def _logits(self, prefix: Prefix, points: Tensor, path_length: int) -> Tensor:
        found = self._suffix(prefix, points, path_length=path_length).logits
        assert found is not None
        return found

    def kl_from(self, prefix: Prefix, references: Tensor, points: Tensor) -> Tensor:
        """KL of every point from each of some references, a block of points at a time.

        Args:
            prefix: The prompt.
            references: ``(reference, d_model)``.
            points: ``(point, d_model)``.

        Returns:
            Nats, on the CPU, ``(reference, point)``.
        """
        outputs = self.logits(prefix, references).log_softmax(-1)
        parts = []
        for rows in torch.split(points, _ROWS):
            logits = self.logits(prefix, rows)
            parts.append(torch.stack([_kl_to(one, logits) for one in outputs]).cpu())
        return torch.cat(parts, dim=1)

    def curves(self, prefix: Prefix, points: Tensor) -> dict[str, NDArray[np.float32]]:
        """Every readout along one path.

        Args:
            prefix: The prompt.
            points: ``(step, d_model)``, the base first.

        Returns:
            By readout, float32 ``(step,)``.
        """
        outputs = self._suffix(prefix, points, path_length=len(points))
        return {name: self._readout(name, outputs) for name in READOUTS}

    def crossings(self, prefix: Prefix, family: Family) -> Found:
        """Where KL to each path's own base first reaches the level.

        All paths of a family are searched together: they share the prompt, and every round of the
        search is one batch of single points.

        Args:
            prefix: The prompt.
            family: Its paths; those without a direction stay undefined.
        """
        defined = family.is_defined
        kept = family.select(defined)
        n_points, positions = self.settings.n_points, family.grid(self.settings.n_points)
        if len(kept):
            found = self._search(prefix, kept, positions)
        else:
            found = find_crossings(lambda c, _: np.empty(len(c)), 0, n_points, 1.0)
        unit = float(positions[1])
        where = defined.numpy()

        def spread(values: NDArray[Any], fill: object) -> NDArray[Any]:
            whole = np.full(len(family), fill, dtype=values.dtype)
            whole[where] = values
            return whole

        return Found(
            position=spread(found.step * unit, np.nan),
            censored=spread(found.censored, False),
            scanned=spread(found.scanned, False),
            evaluations=spread(found.evaluations, 0),
        )

    def _search(self, prefix: Prefix, family: Family, positions: Tensor) -> Crossings:
        bases, which = family.base.unique(dim=0, return_inverse=True)  # type: ignore[no-untyped-call]
        references = self.logits(prefix, bases.float(), bases.float()).log_softmax(-1)

        def evaluate(paths: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.float64]:
            values = []
            rows = [torch.from_numpy(part) for part in (paths, steps)]
            for path, step in zip(*(torch.split(part, _ROWS) for part in rows), strict=True):
                points, starts = family.at(path, positions[step]), family.base[path]
                logits = self.logits(prefix, points, starts)
                values.append(_kl(references, which[path].to(logits.device), logits))
            return torch.cat(values).double().cpu().numpy() if values else np.empty(0)

        return find_crossings(evaluate, len(family), len(positions), self.settings.level)

    def _readout(self, name: str, outputs: Outputs) -> NDArray[np.float32]:
        kind, is_normalized = name.removesuffix("_normalized"), name.endswith("_normalized")
        readout = CATALOGUE[kind]
        source = (
            outputs.logits
            if readout.reads == "logits"
            else outputs.residuals[LN_FINAL if is_normalized else self._read]
        )
        assert source is not None
        values: NDArray[np.float32] = readout.measure(source).float().cpu().numpy()
        return values


def _kl_to(reference: Tensor, logits: Tensor) -> Tensor:
    """KL of each point to one reference, ``(point,)``; by the catalogue's readout."""
    # The readout takes the first row for the reference.
    return CATALOGUE["kl"].measure(torch.cat([reference[None], logits]))[1:]


def _kl(references: Tensor, which: Tensor, logits: Tensor) -> Tensor:
    """KL of each point to the reference it belongs to, ``(point,)``."""
    values = torch.empty(len(logits), device=logits.device)
    for index in sorted(set(which.tolist())):
        mine = which == index
        values[mine] = _kl_to(references[index], logits[mine])
    return values


def measure_curves(
    bench: Bench,
    prefixes: Sequence[Prefix],
    starts: Mapping[str, Tensor],
    displacements: Mapping[str, Tensor],
) -> Arrays:
    """Every readout along one path per kind, mode and sample.

    Args:
        bench: Open.
        prefixes: One per sample.
        starts: By kind: where paths start, ``(sample, d_model)``.
        displacements: By the same kinds: where they head, ``(sample, d_model)``.

    Returns:
        By readout: ``(kind, mode, sample, step)``.
    """
    n_points = bench.settings.n_points
    shape = (len(starts), len(MODES), len(prefixes), n_points)
    curves = {name: np.full(shape, np.nan, np.float32) for name in READOUTS}
    for i, (kind, start) in enumerate(starts.items()):
        for j, mode in enumerate(MODES):
            family = bench.family(mode, start, displacements[kind])
            for s, prompt in enumerate(prefixes):
                points = family.select(slice(s, s + 1)).points(n_points)[0]
                for name, values in bench.curves(prompt, points).items():
                    curves[name][i, j, s] = values
    return dict(curves)


def search(
    bench: Bench,
    prefixes: Sequence[Prefix],
    starts: Mapping[str, Tensor],
    displacements: Mapping[str, Tensor],
    prefix: str = "",
) -> Arrays:
    """Crossings of several kinds of path, in every mode.

    The paths of one prompt and mode are searched together, so that a point more costs little.

    Args:
        bench: Open.
        prefixes: One per sample.
        starts: By kind: where paths start, ``(sample, draw, d_model)``.
        displacements: By the same kinds: where they head, ``(sample, draw, d_model)``.
        prefix: Begins the variables' names.

    Returns:
        The variables of `Found`, ``(kind, mode, sample, draw)`` each.
    """
    kinds = list(starts)
    draws = starts[kinds[0]].shape[1]
    found = []
    for mode in MODES:
        for sample, prompt in enumerate(prefixes):
            start = torch.cat([starts[kind][sample] for kind in kinds])
            beside = torch.cat([displacements[kind][sample] for kind in kinds])
            found.append(bench.crossings(prompt, bench.family(mode, start, beside)))

    def arranged(values: Sequence[NDArray[np.generic]]) -> NDArray[np.generic]:
        whole = np.stack(values).reshape(len(MODES), len(prefixes), len(kinds), draws)
        return np.ascontiguousarray(whole.transpose(2, 0, 1, 3))

    return {f"{prefix}{name}": arranged(values) for name, values in variables_of(found).items()}


def variables_of(found: Sequence[Found]) -> dict[str, list[NDArray[np.generic]]]:
    """What is stored of searches, by variable, one entry a search."""
    return {
        "crossing": [one.position.astype(np.float32) for one in found],
        "censored": [one.censored for one in found],
        "scanned": [one.scanned for one in found],
        "evaluations": [one.evaluations for one in found],
    }
