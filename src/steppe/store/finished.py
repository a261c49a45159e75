"""Whether a run folder holds all that a request asks for: then no model has to be loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

from steppe.store import layout
from steppe.store.config import SAMPLES
from steppe.store.load import Run, open_run
from steppe.store.manifest import damage, digest_of_results, read_manifest

# What the run's manifest says of the request that it answers, with how many samples, and of what it
# is to hold.
REQUEST, DATASETS, TEXTS = "request", "datasets", "texts"


def finished_run(root: Path, request: str) -> Run | None:
    """The run that answers a request, all of it finished; None where something is left to do.

    Sizes of shards are compared, as where a run is continued; checksums of all else.

    Args:
        root: The run folder; it may be missing.
        request: The key of the request (`steppe.settings.request`).

    Raises:
        InputError: The configuration is damaged, or of another format.
    """
    known = read_manifest(root, layout.RUN)
    if known is None or known.facts.get(REQUEST) != [request, known.facts[SAMPLES]]:
        return None
    if damage(root, known.files) or known.facts.get(TEXTS) != texts_of(root):
        return None
    run = open_run(root)
    return run if known.run == run.identity and not unfinished(run) else None


def unfinished(run: Run) -> list[str]:
    """The datasets that a run is to hold and that are not finished yet."""
    known = read_manifest(run.path, layout.RUN)
    names = None if known is None else known.facts.get(DATASETS)
    return [name for name in names or run.datasets() if not _is_finished(run, name)]


def texts_of(root: Path) -> list[str]:
    """From which results the texts of tokens are, and which: only a tokenizer gives them."""
    path = root / layout.TOKENS
    content = path.read_bytes() if path.exists() else b""
    return [digest_of_results(root), hashlib.sha256(content).hexdigest()]


def _is_finished(run: Run, name: str) -> bool:
    dataset = run.stored(name)
    if dataset.faults():
        return False
    samples, size = dataset.size()
    starts = range(0, samples, size)
    finished = {number: facts["stop"] for number, facts in dataset.finished().items()}
    return all(
        finished.get(number) == min(start + size, samples) for number, start in enumerate(starts)
    )
