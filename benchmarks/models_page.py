"""Puts the records of `steppe check --record`, and families of random weights, into docs/models.md.

steppe check smollm2 --prompts text.txt --record docs/models
python -m benchmarks.models_page --families
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from steppe.checks.records import errors_by_layer, table_of
from steppe.core.sites import Site
from steppe.models import load_model
from steppe.propagation import self_check

PAGE = Path(__file__).resolve().parents[1] / "docs" / "models.md"
RECORDS = PAGE.parent / "models"
FAMILIES = RECORDS / "families" / "float32-cpu.json"
BEGIN, END = "<!-- {}: begin (benchmarks/models_page.py) -->", "<!-- {}: end -->"


def measured_families(length: int) -> dict[str, dict[str, object]]:
    """Check a tiny model of random weights of every family that the tests build."""
    # Imported here: only who measures anew needs the tests beside the benchmarks.
    from tests.propagation.conftest import FAMILIES as BUILT
    from tests.propagation.conftest import make_model

    found: dict[str, dict[str, object]] = {}
    for name, family in sorted(BUILT.items()):
        model = load_model(make_model(*family), device="cpu")
        check = self_check(model, Site(min(1, model.n_layers - 1), "resid_pre"), length)
        found[name] = {
            "engine": check.engine,
            "relative_error_by_layer": errors_by_layer(model, length),
            "tolerance": check.tolerance,
            "noise_floor": check.noise_floor,
        }
    return found


def families_table() -> str:
    """The families as a Markdown table."""
    lines = [
        "| family | engine | suffix against full forward pass: first, middle, last layer | noise "
        "floor |",
        "|---|---|---|---|",
    ]
    for name, one in json.loads(FAMILIES.read_text(encoding="utf-8")).items():
        errors = ", ".join(f"{error:.0e}" for error in one["relative_error_by_layer"].values())
        lines.append(f"| {name} | {one['engine']} | {errors} | {one['noise_floor']:.0e} |")
    return "\n".join(lines)


def models_table() -> str:
    """The records as a Markdown table."""
    files = sorted(RECORDS.glob("*.json"))
    return table_of([json.loads(file.read_text(encoding="utf-8")) for file in files])


def between(text: str, name: str) -> str:
    """What stands between a page's marks."""
    return text.partition(BEGIN.format(name))[2].partition(END.format(name))[0].strip()


def main() -> None:
    """Write the tables into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", action="store_true", help="check the families anew")
    if parser.parse_args().families:
        FAMILIES.parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps(measured_families(32), indent=2) + "\n"
        FAMILIES.write_text(content, encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    for name, table in (("models", models_table()), ("families", families_table())):
        text = text.replace(between(text, name), table)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
