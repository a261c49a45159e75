"""Whether a run's report is the one that its results and this code would make."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from steppe.core.code_version import code_sha256
from steppe.store import layout
from steppe.store.load import Run
from steppe.store.manifest import Manifest, checksums, damage, digest_of_results, read_manifest

_RESULTS, _INPUTS, _OUTPUTS = "results", "inputs", "outputs"
# What a report is made from beside the results.
_FILES = (layout.CONFIG, layout.DIRECTIONS, layout.TOKENS)
# What it quotes of each start.
_QUOTED = ("sae_fit", "activations", "prompts")


@contextmanager
def reporting(run: Run) -> Iterator[None]:
    """Note, once the report is written, from what it was made and as which files."""
    facts: dict[str, Any] = {_RESULTS: digest_of_results(run.path), _INPUTS: _inputs(run)}
    yield
    written = {path.relative_to(run.path).as_posix(): path.read_bytes() for path in _written(run)}
    facts[_OUTPUTS] = checksums(written)
    Manifest(layout.REPORT, run.identity, facts=facts).write(run.path)


def is_reported(run: Run) -> bool:
    """Whether the report was made from exactly what is finished; times of files do not count."""
    report = read_manifest(run.path, layout.REPORT, run.identity)
    if report is None or not (run.path / layout.SUMMARY).exists():
        return False
    return bool(report.facts[_RESULTS] == digest_of_results(run.path))


def is_current(run: Run) -> bool:
    """Whether to make the report anew would write the files that are there, and no others.

    It is not where results, settings, the code of steppe or a package have changed since, and where
    a file of the report has been changed or removed.
    """
    report = read_manifest(run.path, layout.REPORT, run.identity)
    return (
        report is not None
        and report.facts.get(_INPUTS) == _inputs(run)
        and is_reported(run)
        and not damage(run.path, report.facts[_OUTPUTS])
    )


def _inputs(run: Run) -> str:
    """A hash of all that the report is made from but the results."""
    digest = hashlib.sha256(code_sha256().encode())
    for name in _FILES:
        path = run.path / name
        digest.update(f"\n{name} ".encode() + (path.read_bytes() if path.exists() else b""))
    digest.update(json.dumps(list(_quoted(run)), sort_keys=True).encode())
    return digest.hexdigest()


def _quoted(run: Run) -> Iterator[dict[str, Any]]:
    """What is quoted of the starts, once where several say the same."""
    before = None
    for record in run.provenance:
        now = {name: record.get(name) for name in _QUOTED}
        if now != before:
            yield now
        before = now


def _written(run: Run) -> Iterator[Path]:
    """The files of a report."""
    folders = [sorted((run.path / name).rglob("*")) for name in (layout.TABLES, layout.FIGURES)]
    files = [run.path / layout.SUMMARY, run.path / layout.PAGE, *chain(*folders)]
    return (path for path in files if path.is_file())
