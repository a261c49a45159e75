"""What `steppe check` found of a model, kept as a small file that others can repeat."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from steppe.checks.check_report import CheckReport
from steppe.core.provenance import provenance, shareable
from steppe.core.sites import Site
from steppe.models import Model
from steppe.propagation import self_check

_OF_MODEL = ("name", "source", "revision", "file_sha256", "fingerprint", "layers", "d_model",
             "vocabulary", "dtype", "attention", "coordinates")  # fmt: skip


def errors_by_layer(model: Model, length: int) -> dict[str, float]:
    """Relative error of the suffix against the full forward pass at first, middle and last layer.

    Args:
        model: The model.
        length: Tokens of the longest prompts; short ones are checked as well.

    Returns:
        The largest error by site; NaN where one is.
    """
    layers = dict.fromkeys((0, model.n_layers // 2, model.n_layers - 1))
    found = {}
    for name in (Site(layer, "resid_pre").name for layer in layers):
        # A self-check looks at the middle of the model as well.
        details = self_check(model, name, length).details.items()
        own = [error for case, error in details if re.match(rf"{re.escape(name)}[, ]", case)]
        found[name] = float(np.max(own))
    return found


def record_of(model: Model, report: CheckReport, by_layer: Mapping[str, float]) -> dict[str, Any]:
    """A check as plain data: which model, what computed, and how well the suffix agrees.

    Args:
        model: The model.
        report: Its check.
        by_layer: From `errors_by_layer`.
    """
    check = report.self_check
    record = {
        "model": {
            "family": model.anatomy.family,
            **{name: report.model[name] for name in _OF_MODEL},
        },
        "made_by": provenance("steppe.checks.check_model"),
        "device": str(model.device.type),
        "engine": check.engine,
        "tokens": report.tokens,
        "loss": report.loss,
        "loss_error": report.loss_error,
        "relative_error_by_layer": dict(by_layer),
        "tolerance": check.tolerance,
        "noise_floor": check.noise_floor,
        "passed": check.passed and all(e <= check.tolerance for e in by_layer.values()),
    }
    plain: dict[str, Any] = shareable(record)
    return plain


def write_record(record: Mapping[str, Any], folder: Path) -> Path:
    """Write a record as ``MODEL-DTYPE-DEVICE.json``; an earlier one of that name is replaced."""
    model = record["model"]
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", model["name"].removesuffix(" (local folder)"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{model['dtype']}-{record['device']}.json"
    draft = path.with_name(f".{path.name}-{uuid4().hex}")
    draft.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    draft.rename(path)
    return path


def table_of(records: Sequence[Mapping[str, Any]]) -> str:
    """Records as the Markdown table of docs/models.md, a row each, in order of name."""
    lines = [
        "| model | family | weights | layers × width | number format | suffix against full forward "
        "pass: first, middle, last layer | noise floor | loss (nats per token) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for record in sorted(records, key=lambda one: str(one["model"]["name"])):
        model, errors = record["model"], record["relative_error_by_layer"].values()
        agrees = ", ".join(f"{error:.0e}" for error in errors)
        verdict = "" if record["passed"] else " **disagrees**"
        loss = record["loss"]
        said = "" if np.isnan(loss) else f"{loss:.3f} ± {record['loss_error']:.3f}"
        lines.append(
            f"| {model['name']} | {model['family']} | {model['source']} | {model['layers']} × "
            f"{model['d_model']} | {model['dtype']}, {record['device']}, {record['engine']} | "
            f"{agrees}{verdict} | {record['noise_floor']:.0e} | {said} |"
        )
    return "\n".join(lines)
