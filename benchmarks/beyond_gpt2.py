"""Sets the claims of runs on several models, and sweeps over layers, in docs/beyond_gpt2.md.

    python -m benchmarks.beyond_gpt2 runs/giglemiani2024-demo runs/giglemiani2024-smollm2 ...
    python -m benchmarks.beyond_gpt2 --layers runs/layers-smollm2/* ...

The rows are kept in docs/beyond_gpt2/claims.csv and layers.csv, of which the page's tables are
made; rows of a run take the place of those of the same study, model and, of a sweep, layer.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from steppe.core.sites import Site
from steppe.store import Run, open_run

PAGE = Path(__file__).resolve().parents[1] / "docs" / "beyond_gpt2.md"
CLAIMS = PAGE.parent / "beyond_gpt2" / "claims.csv"
LAYERS = PAGE.parent / "beyond_gpt2" / "layers.csv"
BEGIN, END = "<!-- claims: begin (benchmarks/beyond_gpt2.py) -->", "<!-- claims: end -->"
BEGIN_LAYERS, END_LAYERS = BEGIN.replace("claims", "layers"), END.replace("claims", "layers")
# The paper's plateau threshold, in GPT-2's units.
PLATEAU = 20
HEADS = {
    "outliers": "variance of outliers",
    "ks": "KS of random to real",
    "plateau real": "plateau, real",
    "plateau random": "plateau, random",
    "sharpness": "sharpness",
    "untrained_sharpness": "sharpness, random weights",
}
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
    return f"{shown} {_interval(row)}"


def _interval(row: pd.Series) -> str:
    return f"{row.number:.3g} [{row.low:.3g}, {row.high:.3g}]"


def layer_of(run: Run) -> pd.DataFrame:
    """One run of a sweep over layers, as numbers with their intervals, one a row."""
    resolved, tables = run.config["resolved"], run.path / "tables"
    how = ", moments without outliers" if resolved.get("ordinary_moments") else ""
    own = {
        "study": resolved["study"],
        "model": resolved["model_identity"]["name"] + how,
        "layer": Site.parse(resolved["site"]).layer,
    }
    numbers: dict[str, tuple[Any, ...]] = {}
    if own["study"] == "janiak2024":
        for name in ("sharpness", "untrained_sharpness"):
            rows = pd.read_csv(tables / f"{name}.csv").set_index(["kind", "mode"])
            found = rows.loc[("next_prompt", "linear")]
            numbers[name] = (found["mean"], found.mean_low, found.mean_high, found.n)
    else:
        found = pd.read_csv(tables / "table_1.csv").set_index(["kind", "mode"])
        random = found.loc[("random", "absolute")]
        numbers["ks"] = (random.ks, random.ks_low, random.ks_high, random.n)
        plateaus = pd.read_csv(tables / "figure_3.csv")
        plateaus = plateaus[plateaus.paper_threshold == PLATEAU]
        for _, row in plateaus[plateaus.context == "native"].iterrows():
            numbers[f"plateau {row.kind}"] = (row["mean"], row.mean_low, row.mean_high, row.n)
        share = run.provenance[-1]["activations"]["outliers_share_of_variance"]
        numbers["outliers"] = (share, None, None, None)
    return pd.DataFrame(
        [
            {**own, "what": what, "number": number, "low": low, "high": high, "n": n}
            for what, (number, low, high, n) in numbers.items()
        ]
    )


def layers_tables(rows: pd.DataFrame) -> str:
    """One Markdown table a model: a row a layer, a column a number."""
    parts = []
    for model, of_it in rows.groupby("model", sort=False):
        there = [what for what in HEADS if what in set(of_it.what)]
        lines = [
            f"### {model}, layer by layer",
            f"| layer | {' | '.join(HEADS[what] for what in there)} |\n|---:|{'---|' * len(there)}",
        ]
        for layer, of_layer in of_it.groupby("layer"):
            cells = of_layer.set_index("what")
            shown = [_number(cells.loc[what]) if what in cells.index else "" for what in there]
            lines.append(f"| {layer} | {' | '.join(shown)} |")
        parts += [lines[0], "\n".join(lines[1:])]
    return "\n\n".join(parts)


def _number(row: pd.Series) -> str:
    if pd.isna(row.low):
        return f"{100 * row.number:.0f}%"
    return _interval(row)


def page_tables() -> str:
    """The tables of claims as the page shows them."""
    return tables_of(pd.read_csv(CLAIMS))


def page_layers() -> str:
    """The tables of layers as the page shows them."""
    return layers_tables(pd.read_csv(LAYERS))


def _joined(kept: Path, rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """What was kept, but for what came anew, and that."""
    if not kept.exists():
        return rows
    old = pd.read_csv(kept)
    anew = set(map(tuple, rows[by].to_numpy()))
    return pd.concat([old[[key not in anew for key in map(tuple, old[by].to_numpy())]], rows])


def _write_between(text: str, begin: str, end: str, tables: str) -> str:
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{tables}\n{end}{rest.partition(end)[2]}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the rows and the page's tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--layers", action="store_true", help="the runs are cells of sweeps")
    asked = parser.parse_args(arguments)
    runs = [open_run(path) for path in asked.runs]
    CLAIMS.parent.mkdir(exist_ok=True)
    text = PAGE.read_text(encoding="utf-8")
    if asked.layers:
        rows = pd.concat([layer_of(run) for run in runs])
        rows = _joined(LAYERS, rows, ["study", "model", "layer"])
        rows = rows.sort_values(["model", "layer", "study"], kind="stable")
        rows.to_csv(LAYERS, index=False)
        text = _write_between(text, BEGIN_LAYERS, END_LAYERS, page_layers())
    else:
        rows = pd.concat([claims_of(run) for run in runs])
        _joined(CLAIMS, rows, ["study", "model"]).to_csv(CLAIMS, index=False)
        text = _write_between(text, BEGIN, END, page_tables())
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
