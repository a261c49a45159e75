"""Sets the claims of runs on several models beside each other, in docs/beyond_gpt2.md.

    python -m benchmarks.beyond_gpt2 runs/giglemiani2024-demo runs/giglemiani2024-smollm2 ...

The rows are kept in docs/beyond_gpt2/claims.csv, of which the page's tables are made.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from steppe.store import Run, open_run

PAGE = Path(__file__).resolve().parents[1] / "docs" / "beyond_gpt2.md"
CLAIMS = PAGE.parent / "beyond_gpt2" / "claims.csv"
BEGIN, END = "<!-- claims: begin (benchmarks/beyond_gpt2.py) -->", "<!-- claims: end -->"
_SIGNS = {"holds": "yes", "does not hold": "no", "undecided": "?", "undefined": "-"}


def claims_of(run: Run) -> pd.DataFrame:
    """The claims of a run, with its study, model, weights and samples in every row."""
    resolved = run.config["resolved"]
    identity = resolved["model_identity"]
    claims = pd.read_csv(run.path / "tables" / "claims.csv")
    return claims.assign(
        study=resolved["study"],
        model=identity["name"],
        weights=identity["source"],
        site=resolved["site"],
        samples=resolved["samples"],
        seed=resolved["seed"],
    )


def tables_of(claims: pd.DataFrame) -> str:
    """One Markdown table a study: a row a claim, a column a model."""
    parts = []
    for study, rows in claims.groupby("study"):
        models = list(dict.fromkeys(zip(rows.model, rows.samples, strict=True)))
        heads = " | ".join(f"{model}, n = {samples}" for model, samples in models)
        parts += [
            f"### {study}",
            f"| | claim | GPT-2, published | {heads} |\n|---|---|---:|{'---|' * len(models)}",
        ]
        lines = []
        for claim, of_it in rows.groupby("id", sort=False):
            first, cells = of_it.iloc[0], []
            for model, _ in models:
                own = of_it[of_it.model == model]
                cells.append(_cell(own.iloc[0]) if len(own) else "")
            published = "" if pd.isna(first.published) else f"{first.published:.3g}"
            lines.append(f"| {claim} | {first.statement} | {published} | {' | '.join(cells)} |")
        parts[-1] += "\n" + "\n".join(lines)
    return "\n\n".join(parts)


def _cell(row: pd.Series) -> str:
    """Verdict, number and interval; a verdict that Holm's correction leaves stands in bold."""
    sign = _SIGNS[row.verdict]
    shown = f"**{sign}**" if row.verdict_holm == row.verdict != "undecided" else sign
    return f"{shown} {row.number:.3g} [{row.low:.3g}, {row.high:.3g}]"


def page_tables() -> str:
    """The tables as the page shows them."""
    return tables_of(pd.read_csv(CLAIMS))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the rows and the page's tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    runs = [open_run(path) for path in parser.parse_args(arguments).runs]
    CLAIMS.parent.mkdir(exist_ok=True)
    pd.concat([claims_of(run) for run in runs]).to_csv(CLAIMS, index=False)
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{page_tables()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
