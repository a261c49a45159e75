"""What was simulated, as the Markdown tables of docs/statistics.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from benchmarks.calibration.ks import Cell, text_of
from benchmarks.calibration.rates import Rates, Study

from steppe.study.verdicts import FAILS, HOLDS

NO_DATA = "–"


def coverage_table(found: Mapping[str, Mapping[str, float]], cells: Iterable[Cell]) -> str:
    """A row for each true distance (or two), a column for each number of samples.

    An entry is the share of all intervals of its cells (correlations, whole numbers or not) that
    hold the truth, then the least and the largest of a cell; of distances, how many are bounds.
    """
    rows: dict[str, dict[int, list[Mapping[str, float]]]] = {}
    for cell in cells:
        if text_of(cell) in found:
            row = rows.setdefault(text_of(cell).split(", n =")[0], {})
            row.setdefault(cell.samples, []).append(found[text_of(cell)])
    sizes = sorted({size for row in rows.values() for size in row})
    lines = [[name, *(_entry(row.get(size, [])) for size in sizes)] for name, row in rows.items()]
    return _markdown(["true distance", *(f"n = {size}" for size in sizes)], lines)


def rates_table(study: Study, found: Mapping[tuple[str, int], Rates]) -> str:
    """A row a claim: false verdicts where it is null, right ones where it is true, in percent.

    Of several worlds in which a claim is null, the larger rate of each verdict is shown.

    Args:
        study: The study.
        found: Rates by the world's name and the number of samples.
    """
    sizes = [n for n in study.sizes.values() if any(n == size for _, size in found)]
    lines = []
    for id_ in study.claims:
        nulls = [world.name for world in study.worlds if id_ in world.null]
        effects = [world.name for world in study.worlds if id_ in world.effect]
        lines.append(
            [
                id_,
                *(_rates(found, nulls, id_, n, (HOLDS, FAILS)) for n in sizes),
                *(_rates(found, effects, id_, n, (HOLDS,)) for n in sizes),
                ", ".join(effects),
            ]
        )
    head = [f"{what}, n = {n}" for what in ("false", "seen") for n in sizes]
    return _markdown(["claim", *head, "effect"], lines)


def together_table(study: Study, found: Mapping[tuple[str, int], Rates]) -> str:
    """A row a null world and size: the share of all its verdicts that are false, in percent."""
    lines = []
    for world in study.worlds:
        for n in study.sizes.values():
            if world.null and (world.name, n) in found:
                per_verdict = 100 / len(world.null)
                mean, error = (per_verdict * x for x in found[world.name, n].false_of_a_run())
                entry = f"{mean:.2f} ± {error:.2f}"
                lines.append([world.name, str(n), str(len(world.null)), entry])
    return _markdown(["world", "n", "claims", "false"], lines)


def _rates(
    found: Mapping[tuple[str, int], Rates],
    worlds: list[str],
    id_: str,
    n: int,
    verdicts: tuple[str, ...],
) -> str:
    counted = [found[world, n] for world in worlds if (world, n) in found]
    if not counted:
        return NO_DATA
    largest = [max(100 * one.share(id_, verdict) for one in counted) for verdict in verdicts]
    return " / ".join(f"{rate:.1f}" for rate in largest)


def _entry(results: list[Mapping[str, float]]) -> str:
    if not results:
        return NO_DATA
    runs = sum(result["runs"] for result in results)
    missed = sum(result["above"] + result["below"] for result in results)
    covered = [100 * result["covered"] for result in results]
    bounds = sum(result["bounds"] for result in results) / runs
    shown = f"{100 * (1 - missed / runs):.1f} ({min(covered):.0f} to {max(covered):.0f})"
    return f"{shown}; {100 * bounds:.0f}% bounds" if bounds else shown


def _markdown(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---", *["---:"] * (len(head) - 1)], *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
