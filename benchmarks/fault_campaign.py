"""Fault campaign: kills, damage and bad input, and what surviving them costs; a table and JSON.

python benchmarks/fault_campaign.py                     the whole campaign (half an hour)
python benchmarks/fault_campaign.py --quick             a minute's worth
python benchmarks/fault_campaign.py --only kills --json kills.json
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch

from faults import costs, damage, fuzz, kills, tiny

FULL = {"kills": 68, "samples": 1000, "damage": 100, "fuzz": 1000, "curves": 1_000_000,
        "rate": 400, "overhead": 40}  # fmt: skip
QUICK = {"kills": 4, "samples": 100, "damage": 8, "fuzz": 40, "curves": 20_000, "rate": 0,
         "overhead": 20}  # fmt: skip


def parts(sizes: dict[str, int], model: tiny.Tiny, work: Path) -> dict[str, Callable[[], Any]]:
    """Each part of the campaign by name."""
    return {
        "kills": lambda: kills.kill_campaign(model, work, sizes["kills"], sizes["samples"]),
        "damage": lambda: damage.damage_campaign(model, work, sizes["damage"], 60),
        "configs": lambda: fuzz.fuzz_configs(model, work, sizes["fuzz"]),
        "saes": lambda: fuzz.fuzz_saes(model, work, sizes["fuzz"]),
        "storing": lambda: costs.storing(work, 20),
        "opening": lambda: costs.opening(work, sizes["curves"]),
        "ray": lambda: costs.ray_against_serial(work, sizes["rate"]),
        "plan": lambda: costs.plan(31_250, 64),
        "overhead": lambda: costs.overhead(work, sizes["overhead"]),
    }


def main() -> int:
    """Run the campaign; the exit status is 1 when something did not survive."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sizes = QUICK if options.quick else FULL
    work = Path(tempfile.mkdtemp(prefix="steppe-faults-", dir="/tmp"))
    found: dict[str, Any] = {}
    try:
        model = tiny.build(work)
        for name, part in parts(sizes, model, work).items():
            if (options.only and name not in options.only) or (name == "ray" and not sizes["rate"]):
                continue
            begin = time.perf_counter()
            found[name] = {**part(), "seconds": round(time.perf_counter() - begin, 1)}
            print(f"{name}: {json.dumps(found[name])}", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    failures = list(unsurvived(found))
    print(table(found))
    print("failed: " + "; ".join(failures) if failures else "everything survived")
    if options.json:
        options.json.write_text(json.dumps({**found, "failures": failures}, indent=2))
    return int(bool(failures))


def unsurvived(found: dict[str, Any]) -> list[str]:
    """What did not go as promised."""
    failures = []
    if part := found.get("kills"):
        same = part["arrays_hash"] == part["arrays_hash_undisturbed"]
        failures += ["another hash after kills"] * (not same)
        failures += ["too few kills"] * (sum(part["kills"].values()) < part["kills_wanted"])
        failures += ["finished shards lost"] * bool(part["finished_shards_lost"])
        failures += ["more than a shard lost"] * (part["most_shards_of_work_lost_by_one_kill"] > 1)
        failures += part["wrong_exit_statuses"]
        failures += ["tracebacks"] * bool(part["tracebacks"])
        failures += ["no end"] * (part["exit_statuses"] != [0, 0])
    if part := found.get("damage"):
        failures += part["missed"]
        failures += ["not mended"] * (part["arrays_hash"] != part["arrays_hash_before"])
    for name in ("configs", "saes"):
        if part := found.get(name):
            failures += part["faults"] + part["written_elsewhere"]
    if part := found.get("plan"):
        failures += ["parts do not cover the plan once"] * bool(part["left_out"] + part["twice"])
    return failures


def table(found: dict[str, Any]) -> str:
    """One line per number, for reading."""
    lines = []
    for name, part in found.items():
        for key, value in part.items():
            shown = f"{value:.4g}" if isinstance(value, float) else json.dumps(value)
            lines.append(f"{name:<9}{key:<40}{shown}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
