"""Do our numbers agree with the published ones? Side by side, with a verdict where it is fair."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from steppe.comparisons.summary import GROUPS
from steppe.core.axes import KIND
from steppe.core.errors import InputError

COLUMNS = ["table", "mode", "kind", "mean", "std", "ks"]
# Above the scatter between the authors' own runs of 1000 samples (up to 0.7 steps in the mean).
TOLERANCES = {"mean": 1.0, "std": 1.0, "ks": 0.05}

REPRODUCED, DIFFERS, NOT_COMPARABLE = "reproduced", "differs", "not comparable"


def read_published(path: str | Path) -> pd.DataFrame:
    """Read published values.

    Args:
        path: CSV file with the columns table, mode (for plateaus: the context), kind, mean, std,
            ks; others are kept.

    Raises:
        InputError: The file cannot be read as CSV, or columns are missing.
    """
    try:
        published = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, " ".join(str(error).split())) from error
    missing = [name for name in COLUMNS if name not in published.columns]
    if missing:
        raise _unreadable(path, f"no column {', '.join(missing)}")
    return published


def beside(
    table: pd.DataFrame, published: pd.DataFrame, name: str, *, comparable: bool = False
) -> pd.DataFrame:
    """Put the published values beside a table of `compare`.

    Args:
        table: One row per kind, and mode or context.
        published: What `read_published` returns.
        name: Which published table the rows belong to.
        comparable: Whether model, SAE and settings are the paper's. Only then is there a
            verdict: ``reproduced`` when every published number of the row is met within
            `TOLERANCES`, else ``differs``; ``not comparable`` for a row that was not published.

    Returns:
        ``table`` with published_mean, published_std and published_ks after its numbers, then
        ``undefined`` and, when comparable, ``verdict``. Rows keep their order.
    """
    theirs = published.loc[published["table"] == name, ["mode", "kind", "mean", "std", "ks"]]
    group = next((g for g in GROUPS if g in table.columns), None)
    keys = [KIND] if group is None else [KIND, group]
    theirs = theirs.rename(
        columns={n: f"published_{n}" for n in TOLERANCES} | {"mode": group or "mode"}
    )
    joined = table.merge(theirs.drop(columns=[] if group else ["mode"]), on=keys, how="left")
    last = ["undefined"] if "undefined" in joined.columns else []
    joined = joined[[c for c in joined.columns if c not in last] + last]
    if comparable:
        joined["verdict"] = [_verdict(row) for _, row in joined.iterrows()]
    return joined


def _verdict(row: pd.Series) -> str:
    published = {n: row[f"published_{n}"] for n in TOLERANCES if pd.notna(row[f"published_{n}"])}
    if not published:
        return NOT_COMPARABLE
    near = all(abs(row[n] - value) <= TOLERANCES[n] for n, value in published.items())
    return REPRODUCED if near else DIFFERS


def _unreadable(path: str | Path, got: str) -> InputError:
    return InputError(
        f"published values {path}",
        got=got,
        expected=f"a CSV file with the columns {', '.join(COLUMNS)}",
        fix="correct the file",
    )
