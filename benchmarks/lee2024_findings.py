"""What did a run of lee2024 find? Puts its tables and figures into the findings of its page.

steppe reproduce lee2024
python benchmarks/lee2024_findings.py runs/lee2024-demo
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import steppe
from findings_page import Page, seconds, verdicts
from steppe.reports import label_of, to_markdown
from steppe.reports.tables import for_reading

PAGE = Page("lee2024", ("figure_1", "figure_2", "figure_4", "figure_5"))
KINDS = ("isotropic", "cov_random_difference", "real_difference", "cov_random_mixture",
         "real_mixture", "towards_zero")  # fmt: skip
FAMILIES = {"local": "local", "e2e": "e2e", "e2e_ds": "e2e+ds"}


def section(path: Path) -> str:
    """The section as Markdown."""
    run = steppe.open_run(path)
    tables, resolved = run.tables, run.config["resolved"]
    parts = [
        f"*{resolved['samples']} sequences of {resolved['prompt_length']} tokens, seed "
        f"{resolved['seed']}, weights {resolved['model_identity']['sha256'][:12]}, lengths "
        f"{', '.join(f'{x:g}' for x in resolved['paper_lengths'][1:])} in GPT-2's units, times "
        f"{resolved['scale']:.3g}; {seconds(run)}. Brackets: 95% intervals over "
        "sequences.*",
        f"Claims ({verdicts(tables['claims'])}; numbers are differences of ln KL, positive where a "
        "claim holds, mean over lengths and at one length alone; `tables/claims.csv`):",
        to_markdown(_claims(tables["claims"])),
        *PAGE.pictures(path),
    ]
    for name, title, made in (
        ("table_1", "Directions that need no SAE: KL in nats per token at lengths in GPT-2's "
         "units; ratio over all lengths to the cov-random mixture", _baselines),
        ("table_6", "From difference (proportion 0) to mixture (1): ratio over all lengths to the "
         "mixture of the same source", _blends),
        ("table_2", "SAE errors by layer", lambda table: table.drop(columns="site")),
        ("table_3", "Directions of SAEs: ratio over all lengths to the cov-random mixture",
         _features),
        ("table_4", "End-to-end features over local ones at like L0", lambda table: table),
        ("table_5", "Substitutions by SAEs of the study's own site: KL in nats per token",
         _substitutions),
        ("table_7", "Decoders; effective dimension 1: isotropic", _decoders),
        ("table_8", "What the mean hides", _shapes),
    ):  # fmt: skip
        if name in tables:
            parts += [f"{title} (`{name}`):", to_markdown(made(tables[name]))]
        if name == "table_5" and name in tables:
            parts.append(_ablations(tables[name]))
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _claims(table: pd.DataFrame) -> pd.DataFrame:
    named = table.rename(columns={"low": "number_low", "high": "number_high"})
    return named.drop(columns="quantity")


def _baselines(table: pd.DataFrame) -> pd.DataFrame:
    chosen = table[table["kind"].isin(KINDS)]
    dropped = [c for c in table.columns if c.startswith(("kl_with_first", "loss"))]
    return chosen.drop(columns=dropped)


def _blends(table: pd.DataFrame) -> pd.DataFrame:
    columns = [f"{share:g}" for share in table["proportion"]]
    return _crossed(table, "source", columns, "ratio_to_mixture")


def _features(table: pd.DataFrame) -> pd.DataFrame:
    table = _local_first(table)
    return _crossed(table, "kind", _saes(table), "ratio_to_mixture")


def _substitutions(table: pd.DataFrame) -> pd.DataFrame:
    own = _local_first(table[(table["site"] == _main_site(table)) & table["sae"].notna()])
    return _crossed(own, "kind", _saes(own), "kl")


def _ablations(table: pd.DataFrame) -> str:
    own = table[(table["site"] == _main_site(table)) & table["sae"].isna()]
    names = [label_of(kind).lower() for kind in own["kind"]]
    cells = [f"{name} {kl}" for name, kl in zip(names, _brackets(own, "kl"), strict=True)]
    return f"And by no SAE: {', '.join(cells)}."


def _main_site(table: pd.DataFrame) -> str:
    """The site that most SAEs are of."""
    return str(table["site"].value_counts().index[0])


def _decoders(table: pd.DataFrame) -> pd.DataFrame:
    wanted = ["sae", "l0", "explained_variance", "dead", "effective_dimension_alive",
              "variance_along_alive"]  # fmt: skip
    features = [c for c in table.columns if c.startswith("sae_feature_alive")]
    return table[[*wanted, *features]]


def _shapes(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=[c for c in ("sae", "family", "l0") if c in table])


def _local_first(table: pd.DataFrame) -> pd.DataFrame:
    """Local SAEs first, the sparser before the denser."""
    families = table["family"].map(list(FAMILIES).index)
    order = pd.DataFrame({"family": families, "l0": table["l0"]}).sort_values(["family", "l0"])
    return table.loc[order.index]


def _saes(table: pd.DataFrame) -> list[str]:
    return [
        f"{FAMILIES[family]}, L0 {l0:.0f}"
        for family, l0 in zip(table["family"], table["l0"], strict=True)
    ]


def _crossed(table: pd.DataFrame, row: str, columns: list[str], value: str) -> pd.DataFrame:
    """One row a kind, one column for each of ``columns``, with brackets in the cells."""
    made = pd.DataFrame({row: table[row], "column": columns, "cell": _brackets(table, value)})
    wide = made.pivot_table(index=row, columns="column", values="cell", aggfunc="first", sort=False)
    return wide.reset_index().rename_axis(columns=None)


def _brackets(table: pd.DataFrame, value: str) -> list[str]:
    """One column with its intervals, for reading."""
    return list(for_reading(table[[value, f"{value}_low", f"{value}_high"]]).iloc[:, 0])


def main() -> None:
    """Replace what stands between the page's findings marks."""
    PAGE.write(section)


if __name__ == "__main__":
    main()
