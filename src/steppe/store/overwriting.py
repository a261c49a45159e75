"""Remove a run so that another can start in its folder: nothing but what steppe wrote."""

from __future__ import annotations

import shutil
from pathlib import Path

from steppe.core.errors import InputError
from steppe.store import layout
from steppe.store.config import read_config
from steppe.store.places import is_run
from steppe.store.writing import writing

# In this order: first the manifests, last what makes the folder a run.
_OWN = (
    layout.DONE,
    layout.SUMMARY,
    layout.PAGE,
    layout.TOKENS,
    layout.TABLES,
    layout.FIGURES,
    layout.MOMENTS,
    layout.DIRECTIONS,
    layout.PROVENANCE,
    f"{layout.PROVENANCE}{layout.DAMAGED}",
    layout.CONFIG,
)


def check_removable(root: Path) -> None:
    """Check that removing the run in ``root`` would remove nothing else.

    Raises:
        InputError: It is no run of steppe, or holds files that steppe did not write.
    """
    if not is_run(root):
        return
    read_config(root)
    own = {*_OWN, layout.WORKING, *(path.name for path in root.glob("*.zarr"))}
    foreign = sorted(path.name for path in root.iterdir() if path.name not in own)
    if foreign:
        raise InputError(
            f"run folder {root}",
            got=f"files that steppe did not write: {', '.join(foreign[:3])}",
            expected="nothing but a run, to start it anew",
            fix="move them elsewhere, or choose another folder with --out",
        )


def holds_finished_work(root: Path) -> bool:
    """Whether any shard of a run, or its summary, is finished."""
    return any((root / layout.DONE).glob("*/[0-9]*.json")) or (root / layout.SUMMARY).exists()


def remove_run(root: Path) -> None:
    """Remove the run in ``root``; the folder itself and the locks stay.

    Raises:
        RunFailedError: Something could not be removed.
    """
    if not is_run(root):
        return
    with writing(root):
        for path in (root / layout.DONE, *root.glob("*.zarr"), *(root / name for name in _OWN[1:])):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
