"""Files of a finished run, damaged one at a time: each is to be found, named and mended."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from faults.tiny import Tiny, arrays_hash, ended, started
from steppe.store.verify import verify

# After so many the run's own command has to mend it.
ROUND = 10
MANIFESTS = ("run.json", "report.json", "layout.json")
WAYS = ("truncated", "flipped", "missing", "foreign")


def damage_campaign(tiny: Tiny, work: Path, count: int, samples: int) -> dict[str, Any]:
    """Damage ``count`` files, one at a time, and let the run be mended after every ten."""
    generator = np.random.default_rng(2)
    run, log = work / "damaged", work / "damage.log"
    ended(started(tiny.command(run, samples), log), 600.0)
    sound = arrays_hash(run)
    tally, named, mended, rounds = Counter[str](), 0, 0, 0
    missed, strangers, touched = [], [], set[str]()
    for number in range(count):
        way = WAYS[number % len(WAYS)]
        path = _damage(run, way, generator, touched)
        name = path.relative_to(run).as_posix()
        tally[way] += 1
        strangers += [path] * (way == "foreign")
        faults = [item.fault for item in verify(run, withdraw=False).damage]
        if any(name.split(".zarr/")[-1] in fault for fault in faults):
            named += 1
        else:
            missed.append(f"{way}: {name}")
        # Files that vouch for others are mended at once: without them others cannot be named.
        if number % ROUND == ROUND - 1 or number == count - 1 or path.name in MANIFESTS:
            verify(run)
            for stranger in strangers:
                stranger.unlink()
            status = ended(started(tiny.command(run, samples), log), 600.0)
            sane = status == 0 and not verify(run).damage
            mended += sane and arrays_hash(run) == sound
            rounds += 1
            strangers, touched = [], set()
    return {
        "damaged": dict(tally),
        "found_and_named": named,
        "missed": missed,
        "rounds_mended_by_the_next_run": f"{mended} of {rounds}",
        "arrays_hash": arrays_hash(run),
        "arrays_hash_before": sound,
    }


def _damage(run: Path, way: str, generator: np.random.Generator, touched: set[str]) -> Path:
    """Damage one random file that was not damaged in this round."""
    markers = run / "done"
    files = [p for p in sorted(run.glob("*.zarr/**/*")) if p.is_file()]
    manifests = [p for p in sorted(markers.rglob("*.json")) if p.is_file()]
    # Without its manifest a shard is not finished, which is no damage.
    files += [p for p in manifests if way != "missing" or not p.stem.isdigit()]
    files = [path for path in files if str(path) not in touched]
    path = files[int(generator.integers(len(files)))]
    touched.add(str(path))
    content = bytearray(path.read_bytes())
    if way == "foreign":
        path = path.with_name(f"{path.stem}-copy{path.suffix}")
        path.write_bytes(content)
    elif way == "missing":
        path.unlink()
    elif way == "truncated":
        path.write_bytes(content[: int(generator.integers(len(content)))])
    else:
        content[int(generator.integers(len(content)))] ^= 1 << int(generator.integers(8))
        path.write_bytes(content)
    touched.add(str(path))
    return path
