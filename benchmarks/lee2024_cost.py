"""Duration of `reproduce lee2024` at the paper's size on a model of GPT-2 small's shape.

python benchmarks/lee2024_cost.py            random weights; about two minutes on two cores

Every series that the paper's run has is counted with `make_plan`; a few of them are measured on one
sequence, at three of the twelve layers, and the rest is taken from the nearest by its number of
blocks. Memory is read after one and after several sequences.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import GPT2Config, GPT2LMHeadModel

from random_files import bias_for, unit_rows, write_prompts, write_sae
from steppe.studies.lee2024.measuring import measure_directions, measure_substitutions
from steppe.studies.lee2024.plan import LOCAL, SaeFacts, Series, depth_of, make_plan
from steppe.studies.lee2024.saes import plan_of
from steppe.studies.lee2024.settings import PAPER_SAES, PAPER_SAMPLES, Settings
from steppe.studies.lee2024.study import STUDY
from steppe.study import Context
from steppe.study.running import open_context

MEASURED_LAYERS = (0, 6, 11)


def write_model(folder: Path) -> None:
    """GPT-2 small's architecture with random weights, and token rows."""
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config()).save_pretrained(folder / "model")
    rows = write_prompts(folder / "prompts.jsonl", 120, 128, 50_000, bos=50_256)
    for layer in MEASURED_LAYERS:
        torch.manual_seed(layer)
        decoder = unit_rows(torch.randn(24_576, 768))
        hook_name = f"blocks.{layer}.hook_resid_pre"
        bias = bias_for(folder / "model", rows, decoder, hook_name=hook_name, length=128)
        write_sae(folder / "saes" / f"layer-{layer}", decoder, hook_name=hook_name, bias=bias)


def paper_facts() -> list[SaeFacts]:
    """The paper's SAEs, as far as a plan has to know them."""
    facts = []
    for name in PAPER_SAES:
        release, _, site = name.partition("/")
        family = "e2e" if release.endswith(("sle-ajt", "sce-ajt")) else LOCAL
        family = "e2e_ds" if "fr-ajt" in release else family
        facts.append(SaeFacts(name, site, family, 50.0, 100))
    return facts


def clocks() -> NDArray[np.float64]:
    """Seconds by the wall and of this process's threads together."""
    return np.array([time.perf_counter(), time.process_time()])


def seconds_per_series(
    measure: Callable[[Context[Settings], range], Any], context: Context[Settings], series: int
) -> list[float]:
    """Seconds that one sequence takes, by the wall and of CPU, over the series measured."""
    started = clocks()
    measure(context, range(1))
    return list((clocks() - started) / series)


def prepared(folder: Path, layer: int, parts: list[str]) -> Context[Settings]:
    """What a run with one SAE, at one layer, draws on."""
    return open_context(
        STUDY,
        Settings.model_validate(
            {
                "study": "lee2024",
                "model": str(folder / "model"),
                "saes": [str(folder / "saes" / f"layer-{layer}")],
                "prompts": str(folder / "prompts.jsonl"),
                "site": f"blocks.{layer}.hook_resid_pre",
                "lengths": "paper",
                "scale": 1.0,
                "samples": 8,
                "moments_samples": 1000,
                "only": parts,
            }
        ),
    )


def peak_megabytes() -> float:
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(folder: Path) -> dict[str, Any]:
    """Seconds per series and sequence (wall, CPU) at the measured layers, and memory."""
    found: dict[str, Any] = {"direction": {}, "substitution": {}}
    for layer in MEASURED_LAYERS:
        context = prepared(folder, layer, ["errors", "substitution"])
        plan = context.once(plan_of)
        count, made = len(plan.directions), len(plan.substitutions)
        found["direction"][layer] = seconds_per_series(measure_directions, context, count)
        found["substitution"][layer] = seconds_per_series(measure_substitutions, context, made)
    context = prepared(folder, 6, ["features"])
    count = len(context.once(plan_of).directions)
    found["feature"] = seconds_per_series(measure_directions, context, count)
    found["megabytes"] = [peak_megabytes()]
    few = prepared(folder, 11, ["errors"])
    measure_directions(few, range(6))
    found["megabytes"].append(peak_megabytes())
    return found


def cost_of(series: Series, found: dict[str, Any], kind: str) -> NDArray[np.float64]:
    """Seconds of one series on one sequence, by its number of blocks from the measured layers."""
    if series.kind.startswith("sae_feature"):
        return np.array(found["feature"])
    measured = np.array([found[kind][layer] for layer in MEASURED_LAYERS]).T
    return np.array([np.interp(depth_of(series.site), MEASURED_LAYERS, row) for row in measured])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write what was found to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder)
        found = measured(folder)
    plan = make_plan("blocks.6.hook_resid_pre", paper_facts())
    costs = [cost_of(one, found, "direction") for one in plan.directions]
    costs += [cost_of(one, found, "substitution") for one in plan.substitutions]
    wall, cpu = np.sum(costs, axis=0)
    found |= {
        "directions": len(plan.directions),
        "substitutions": len(plan.substitutions),
        "seconds_per_sequence": wall,
        "cpu_seconds_per_sequence": cpu,
        "days": wall * PAPER_SAMPLES / 86_400,
        "cpu_days": cpu * PAPER_SAMPLES / 86_400,
        "threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
