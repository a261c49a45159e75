"""What did a run of lee2024 find? Prints the findings section of docs/lee2024.md from its tables.

steppe reproduce lee2024
python benchmarks/lee2024_findings.py runs/lee2024-demo
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import steppe
from steppe.report import to_markdown

KINDS = ("isotropic", "cov_random_difference", "real_difference", "cov_random_mixture",
         "real_mixture", "towards_zero")  # fmt: skip


def section(path: Path) -> str:
    """The section's tables, as Markdown."""
    run = steppe.open_run(path)
    tables, resolved = run.tables, run.config["resolved"]
    claims = tables["claims"]
    verdicts = claims["verdict"].value_counts()
    said = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    parts = [
        f"*{resolved['samples']} sequences of {resolved['prompt_length']} tokens, seed "
        f"{resolved['seed']}, weights {resolved['subject_identity']['sha256'][:12]}, lengths "
        f"{', '.join(f'{x:g}' for x in resolved['paper_lengths'][1:])} in GPT-2's units, times "
        f"{resolved['scale']:.3g}. Brackets: 95% bootstrap intervals over sequences.*",
        f"Claims ({said}; numbers are differences of ln KL, positive where a claim holds; "
        "`tables/claims.csv`):",
        _claims(claims),
        "Directions that need no SAE (`table_1`; KL in nats per token at lengths in GPT-2's units; "
        "ratio over all lengths to the cov-random mixture):",
        to_markdown(_kinds(tables["table_1"])),
    ]
    if "table_2" in tables:
        parts += [
            "SAE errors by layer (`table_2`):",
            to_markdown(tables["table_2"].drop(columns="site")),
        ]
    if "table_4" in tables:
        parts += [
            "End-to-end features over local ones at like L0 (`table_4`):",
            to_markdown(tables["table_4"]),
        ]
    if "table_7" in tables:
        wanted = ["sae", "l0", "explained_variance", "dead", "effective_dimension_alive",
                  "variance_along_alive"]  # fmt: skip
        features = [c for c in tables["table_7"].columns if c.startswith("sae_feature_alive")]
        parts += [
            "Decoders (`table_7`; effective dimension 1: isotropic):",
            to_markdown(tables["table_7"][[*wanted, *features]]),
        ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _claims(claims: pd.DataFrame) -> str:
    rows = [
        f"| {row.id} | {row.statement} | {row.number:.2f} [{row.low:.2f}, {row.high:.2f}] | "
        f"{row.verdict} | {'' if pd.isna(row.published) else f'{row.published:.2f}'} |"
        for row in claims.itertuples()
    ]
    head = ["| | claim | number | verdict | GPT-2, published |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _kinds(table: pd.DataFrame) -> pd.DataFrame:
    chosen = table[table["kind"].isin(KINDS)]
    dropped = [c for c in table.columns if c.startswith(("kl_with_first", "loss"))]
    return chosen.drop(columns=dropped)


def main() -> None:
    """Print the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    print(section(parser.parse_args().run), end="")


if __name__ == "__main__":
    main()
