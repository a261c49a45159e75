"""How is a run removed so that another can start in its folder? Only what steppe wrote goes."""

from __future__ import annotations

import shutil
from pathlib import Path

from steppe.core.errors import InputError
from steppe.store import layout
from steppe.store.config import read_config
from steppe.store.record import is_run
from steppe.store.writing import writing

_OWN = {
    layout.DONE,
    layout.SUMMARY,
    layout.TABLES,
    layout.FIGURES,
    layout.MOMENTS,
    layout.PROVENANCE,
    f"{layout.PROVENANCE}{layout.DAMAGED}",
    layout.WORKING,
    layout.CONFIG,
}


def check_removable(root: Path) -> None:
    """Check that removing the run in ``root`` would remove nothing else.

    Raises:
        InputError: It is no run of steppe, or holds files that steppe did not write.
    """
    if not is_run(root):
        return
    read_config(root)
    foreign = sorted(path.name for path in root.iterdir() if not _is_own(path))
    if foreign:
        raise InputError(
            f"run folder {root}",
            got=f"files that steppe did not write: {', '.join(foreign[:3])}",
            expected="nothing but a run, to start it anew",
            fix="move them elsewhere, or choose another folder with --out",
        )


def holds_finished_work(root: Path) -> bool:
    """Whether any shard of a run, or its summary, is finished."""
    done = any((root / layout.DONE).glob("*/*.json"))
    return done or (root / layout.SUMMARY).exists()


def remove_run(root: Path) -> None:
    """Remove the run in ``root``; the folder itself, and who is at work in it, stay.

    Raises:
        RunFailedError: Something could not be removed.
    """
    if not is_run(root):
        return
    with writing(root):
        # What vouches for the data goes first, what makes the folder a run last.
        remove(root / layout.DONE)
        for path in root.iterdir():
            if path.name not in {layout.CONFIG, layout.WORKING} and _is_own(path):
                remove(path)
        remove(root / layout.CONFIG)


def remove(path: Path) -> None:
    """Remove a file or a folder; what is gone already is no fault."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_own(path: Path) -> bool:
    return path.name in _OWN or path.suffix == ".zarr" or path.name.endswith(layout.UNFINISHED)
