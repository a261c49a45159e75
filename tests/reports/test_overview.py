"""A run in one screen: lines that fit, verdicts by their signs, text of others without effect."""

from __future__ import annotations

import pandas as pd

from steppe.reports.overview import WIDTH, overview, sentence

CLAIMS = pd.DataFrame(
    {
        "id": ["A1", "B12n", "C"],
        "statement": ["It grows " + "and grows " * 20, "It falls.", "It \x1b[2Jstays."],
        "verdict": ["holds", "does not hold", "undecided"],
        "verdict_holm": ["undecided", "does not hold", "undecided"],
    }
)
RESOLVED = {"study": "s", "model_identity": {"name": "m" * 70}, "samples": 5, "seed": 0}


def test_every_line_fits_and_every_verdict_is_there() -> None:
    tables = {name: CLAIMS for name in ("claims", *(f"table_{i}" for i in range(30)))}
    lines = overview(RESOLVED, tables, "runs/x").splitlines()
    assert max(map(len, lines)) <= WIDTH
    claims = [line for line in lines if line[:2] in ("+ ", "-*", "? ")]
    assert claims[0].startswith("+  A1    It grows and grows")
    assert claims[0].endswith(" ...")
    assert claims[1] == "-* B12n  It falls."
    assert claims[2] == r"?  C     It \x1b[2Jstays."
    assert "+ holds 1, - does not hold 1, ? undecided 1; *: also after Holm's correction" in lines
    assert "table_29" in " ".join(lines)


def test_a_run_without_claims_or_much_else_is_shown() -> None:
    shown = overview({}, {"table_1": CLAIMS}, "'my run'")
    assert shown.startswith("a run on a model that is not recorded.")
    assert "steppe show 'my run' --table table_1" in shown
    assert sentence({**RESOLVED, "model_identity": {"name": "demo"}}) == (
        "s on demo: 5 samples, seed 0."
    )
