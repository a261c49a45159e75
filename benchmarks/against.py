"""Is the working tree faster or slower than a commit, and by how much? Both in one run, in turns.

    python benchmarks/against.py COMMIT                             # GPT-2 small's shape, all ways
    python benchmarks/against.py HEAD~5 --model demo --part ways --part growth --rounds 9

The commit is checked out into a temporary worktree. In every round `benchmarks.curve_cost` of
either tree runs once, in a process of its own, the first one first in every other round. A ratio is
the commit's time over the working tree's: above 1 the working tree is faster. Its 95% interval is
Student's, of the logarithms of the rounds' ratios; "!" marks one that leaves out 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t

HERE = Path(__file__).resolve().parents[1]
# Of a figure: part, what was timed, metrics.
Key = tuple[str, str, str]
Seconds = Mapping[Key, float]


@dataclass(frozen=True)
class Ratio:
    """How many times as fast the working tree is.

    Attributes:
        part: Part of the benchmark.
        what: What was timed.
        metrics: What was read.
        milliseconds: The best of the working tree.
        ratio: The commit's time over the working tree's, geometric mean of the rounds.
        low: Lower end of its 95% interval.
        high: Upper end.
    """

    part: str
    what: str
    metrics: str
    milliseconds: float
    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        mark = "" if self.low <= 1 <= self.high else " !"
        return (
            f"{self.part:<28}{self.what:<42}{self.metrics:<14}{self.milliseconds:>9.2f} ms"
            f"{self.ratio:>8.3f} [{self.low:.3f}, {self.high:.3f}]{mark}"
        )


def ratios(commit: Sequence[Seconds], tree: Sequence[Seconds]) -> list[Ratio]:
    """Compare what both measured, round by round; what only one of them has is left out."""
    shared = [key for key in tree[0] if all(key in one for one in (*commit, *tree))]
    found = []
    for key in shared:
        times = np.array([[before[key], after[key]] for before, after in zip(commit, tree)])  # noqa: B905
        logs = np.log(times[:, 0] / times[:, 1])
        reach = t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs))
        ends = np.exp([logs.mean(), logs.mean() - reach, logs.mean() + reach])
        found.append(Ratio(*key, 1e3 * float(times[:, 1].min()), *map(float, ends)))
    return found


def measured(root: Path, words: Sequence[str]) -> Seconds:
    """Run the benchmark of one tree, with its own code."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])}
    command = [sys.executable, "-m", "benchmarks.curve_cost", "--json", *words]
    done = subprocess.run(
        command, cwd=root, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    figures = json.loads(done.stdout)["figures"]
    return {(one["part"], one["what"], one["metrics"]): one["seconds"] for one in figures}


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A commit in a worktree of its own, which is removed afterwards."""
    git = ["git", "-C", str(HERE)]
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "commit"
        subprocess.run(
            [*git, "worktree", "add", "--quiet", "--detach", str(root), commit], check=True
        )
        try:
            yield root
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(root)], check=True)


def main(words: Sequence[str] | None = None) -> None:
    """Measure both trees in turns and print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commit", help="a commit, tag or branch")
    parser.add_argument("--rounds", type=int, default=7, help="at least 2")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked, rest = parser.parse_known_args(words)
    options = rest or ["--part", "ways"]
    if asked.rounds < 2:
        parser.error("--rounds: an interval takes at least 2")
    before: list[Seconds] = []
    after: list[Seconds] = []
    with checked_out(asked.commit) as commit:
        for number in range(asked.rounds):
            turns = [(commit, before), (HERE, after)]
            for root, times in turns if number % 2 == 0 else turns[::-1]:
                times.append(measured(root, options))
    found = ratios(before, after)
    if asked.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return
    print(f"{asked.commit} against the working tree, {asked.rounds} rounds, {' '.join(options)}")
    print("\n".join(map(str, found)) or "nothing that both measured")


if __name__ == "__main__":
    main()
