"""What storing, opening, resuming and distributing a run cost."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from transformers import GPT2Config, GPT2LMHeadModel

from faults.tiny import ended, started
from steppe.core.parts import Part
from steppe.core.sites import Site
from steppe.execution.run import run_study
from steppe.execution.workers import Workers, usable_cpus
from steppe.metrics import measure_path
from steppe.propagation import Suffix, build_prefix
from steppe.store import Opening, RunFolder, Template, Variable, open_run
from steppe.store.status import status_of
from steppe.studies.giglemiani2024.settings import Settings

KINDS, MODES, STEPS, SHARD = 8, 2, 100, 20
CURVES_PER_SHARD = KINDS * MODES * SHARD


def _template(samples: int) -> Template:
    dims = ("kind", "mode", "sample", "step")
    pair = ("kind", "sample")
    return Template(
        samples=samples,
        shard_size=SHARD,
        variables={name: Variable(dims, "1", name) for name in ("l2", "kl", "cosine")}
        | {name: Variable(pair, "1", name) for name in ("target_distance", "target_cosine")}
        | {name: Variable(("sample",), "1", name) for name in ("base_norm", "base_row")}
        | {"target_step": Variable(pair, "1", "step", "int64")}
        | {"tokens": Variable(("sample", "position"), "token", "tokens", "int64")},
        fixed=xr.Dataset(
            coords={
                "kind": [f"kind_{index}" for index in range(KINDS)],
                "mode": ["absolute", "relative"],
                "step": np.arange(STEPS),
            }
        ),
        sizes={"position": 10},
    )


def _values(generator: np.random.Generator | None) -> dict[str, Any]:
    shape = (KINDS, MODES, SHARD, STEPS)
    draw = np.zeros(shape, np.float32) if generator is None else None
    curves = {
        name: draw if generator is None else generator.normal(size=shape).astype(np.float32)
        for name in ("l2", "kl", "cosine")
    }
    pair = {
        name: np.ones((KINDS, SHARD), np.float32) for name in ("target_distance", "target_cosine")
    }
    return {
        **curves,
        **pair,
        "base_norm": np.ones(SHARD, np.float32),
        "base_row": np.ones(SHARD, np.float32),
        "target_step": np.ones((KINDS, SHARD), np.int64),
        "tokens": np.ones((SHARD, 10), np.int64),
    }


def _start(path: Path, samples: int) -> RunFolder:
    settings = {"samples": samples, "seed": 0}
    folder = Opening(path).open({"asked": settings, "resolved": settings}, {})
    with folder.alone():
        folder.create_dataset("curves", _template(samples))
    return folder


def storing(work: Path, shards: int) -> dict[str, Any]:
    """Seconds to store one shard of the whole study (random numbers), against computing it."""
    folder = _start(work / "storing", shards * SHARD)
    generator, took = np.random.default_rng(5), []
    for shard in range(shards):
        values = _values(generator)
        begin = time.perf_counter()
        folder.write_shard("curves", shard, values)
        took.append(time.perf_counter() - begin)
    folder.close()
    per_curve = _seconds_per_curve()
    compute = per_curve * CURVES_PER_SHARD
    size = sum(p.stat().st_size for p in (work / "storing").rglob("*") if p.is_file())
    return {
        "seconds_to_store_a_shard": float(np.median(took)),
        "seconds_to_compute_a_shard_gpt2_shape": compute,
        "overhead_percent": 100 * float(np.median(took)) / compute,
        "bytes_per_shard": size // shards,
        "curves_per_shard": CURVES_PER_SHARD,
    }


def overhead(work: Path, samples: int) -> dict[str, Any]:
    """Seconds of a run of the bundled model, whole study, that go to storing and to resuming.

    At most: `Opening.open` checks again, which is counted twice.

    The run is done in two starts: one part of two, then the rest.
    """
    spent = {"seconds_storing": 0.0, "seconds_starting_and_resuming": 0.0}

    def timed(name: str, owner: Any, method: str) -> None:
        real = getattr(owner, method)

        def call(*arguments: Any, **named: Any) -> Any:
            begin = time.perf_counter()
            try:
                return real(*arguments, **named)
            finally:
                spent[name] += time.perf_counter() - begin

        setattr(owner, method, call)

    timed("seconds_storing", RunFolder, "write_shard")
    for method in ("create_dataset", "finished", "close", "write_moments"):
        timed("seconds_starting_and_resuming", RunFolder, method)
    for method in ("check", "open"):
        timed("seconds_starting_and_resuming", Opening, method)
    settings = Settings(samples=samples)
    begin = time.perf_counter()
    run_study(settings, Opening(work / "overhead"), Workers(part=Part(0, 2)))
    run_study(settings, Opening(work / "overhead"), Workers())
    seconds = time.perf_counter() - begin
    return {
        **spent,
        "seconds_in_all": seconds,
        "overhead_percent": 100 * sum(spent.values()) / seconds,
        "shards": sum(progress.shards for progress in status_of(work / "overhead").datasets),
    }


def _seconds_per_curve(curves: int = 3) -> float:
    """On this machine, now: a model of GPT-2 small's shape with random weights."""
    torch.manual_seed(0)
    hf_model = GPT2LMHeadModel(GPT2Config()).eval()
    from steppe.models import load_model

    model = load_model(hf_model)
    site, read = Site(1, "resid_pre"), Site(11, "resid_post")
    prefix = build_prefix(model, torch.arange(10), site)
    points = prefix.base + torch.linspace(0, 1, STEPS)[:, None] * torch.randn(768)
    with Suffix(model, site, read=[read], logits=True) as suffix:
        measure_path(suffix, prefix, points, ["l2", "kl", "cosine"], read)
        begin = time.perf_counter()
        for _ in range(curves):
            measure_path(suffix, prefix, points, ["l2", "kl", "cosine"], read)
        return (time.perf_counter() - begin) / curves


def opening(work: Path, curves: int) -> dict[str, Any]:
    """Seconds to open, to ask after, and to resume a run of ``curves`` curves."""
    samples = curves // (KINDS * MODES)
    samples -= samples % SHARD
    path = work / "large"
    folder = _start(path, samples)
    values = _values(None)
    for shard in range(samples // SHARD):
        folder.write_shard("curves", shard, values)
    folder.close()
    begin = time.perf_counter()
    opened = open_run(path).dataset("curves")
    seconds = time.perf_counter() - begin
    begin = time.perf_counter()
    status_of(path)
    asked = time.perf_counter() - begin
    begin = time.perf_counter()
    folder = _start(path, samples)
    left = samples // SHARD - len(folder.finished("curves"))
    resumed = time.perf_counter() - begin
    folder.close()
    return {
        "curves": int(np.prod([opened.sizes[name] for name in ("kind", "mode", "sample")])),
        "shards": samples // SHARD,
        "seconds_to_open": seconds,
        "seconds_for_status": asked,
        "seconds_to_resume_beyond_loading": resumed,
        "left": left,
    }


def ray_against_serial(work: Path, samples: int) -> dict[str, Any]:
    """Shards per second on the bundled model: two Ray workers, and this process alone.

    The workers have one CPU thread each; the process alone has one, or as many as there are CPUs.
    """
    rates = {}
    ways = {
        "ray:2": ["--workers", "ray:2", "--threads", "1"],
        "serial, 1 thread": ["--threads", "1"],
    }
    if usable_cpus() > 1:
        ways[f"serial, {usable_cpus()} threads"] = ["--threads", str(usable_cpus())]
    for name, more in ways.items():
        run = work / f"rate-{len(rates)}"
        study = ["reproduce", "giglemiani2024", "--samples", str(samples), "--only", "table_1"]
        status = ended(started([*study, "--out", str(run), *more], work / "rates.log"), 600.0)
        times = sorted(
            json.loads(path.read_text())["facts"]["finished"]
            for path in run.glob("done/curves/[0-9]*.json")
        )
        # The first shards are left out: they wait for workers to load the study.
        late = times[len(times) // 4 :]
        rates[name] = (len(late) - 1) / (late[-1] - late[0]) if status == 0 else float("nan")
    serial = [rate for name, rate in rates.items() if name != "ray:2"]
    return {"shards_per_second": rates, "ratio_to_the_faster_serial": rates["ray:2"] / max(serial)}


def plan(shards: int, workers: int) -> dict[str, Any]:
    """Whether parts cover a plan once."""
    parts = [Part(index, workers).of(range(shards)) for index in range(workers)]
    counts = np.bincount(np.concatenate(parts).astype(int), minlength=shards)
    return {
        "shards": shards,
        "workers": workers,
        "left_out": int((counts == 0).sum()),
        "twice": int((counts > 1).sum()),
        "most_and_fewest": [max(map(len, parts)), min(map(len, parts))],
    }
