"""How does a process come to a run folder: alone, for a part of the work, or to help another?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from steppe.core.errors import InputError
from steppe.core.parts import Part
from steppe.store import layout, locks
from steppe.store.config import SAMPLES, read_config
from steppe.store.overwriting import check_removable, remove, remove_run
from steppe.store.record import RunFolder, check_writable, is_run, make_folder


@dataclass(frozen=True)
class Opening:
    """What a process wants of a run folder.

    Attributes:
        path: The folder.
        part: The part of the work that it computes.
        workers: How many processes compute for it.
        role: ``owner`` starts or continues the run and locks its part; ``helper`` joins one that
            an owner has started, and locks nothing.
        overwrite: Whether what is there is removed first.
    """

    path: Path
    part: Part = field(default_factory=Part)
    workers: int = 1
    role: Literal["owner", "helper"] = "owner"
    overwrite: bool = False

    def check(self, settings: Mapping[str, Any]) -> None:
        """Refuse early, before anything that takes long is done; writes nothing.

        Args:
            settings: Those of the ``resolved`` settings that are known; None stands for unknown.

        Raises:
            InputError: The folder is a file, holds something else, a run of other settings, or one
                that another process is at work on.
        """
        if self.role == "helper":
            return
        if self.overwrite:
            check_writable(self.path)
            check_removable(self.path)
        else:
            RunFolder.check_available(self.path, settings)
        locks.refuse_if_busy(self.path, self.part)

    def open(self, config: Mapping[str, Any], provenance: Mapping[str, Any]) -> RunFolder:
        """Start or continue the run (`RunFolder.create_or_resume`), and lock the part.

        Args:
            config: The sections ``asked`` and ``resolved``.
            provenance: What is to be known of this start.

        Raises:
            InputError: The folder cannot be this run's, or another process is at work in it.
            RunFailedError: The disk is full, or cannot be written.
        """
        if self.role == "helper":
            return RunFolder.join(self.path, config)
        self.check(config["resolved"])
        if self.overwrite and not self.part.is_whole:
            raise InputError(
                "--overwrite with --shard",
                got=f"both, for {self.part}",
                expected="one process that starts the run anew, then others on their parts",
                fix="remove --overwrite, or start anew without --shard first",
            )
        make_folder(self.path)
        with locks.whole(self.path):
            # Looked at again: another process may have come first.
            self.check(config["resolved"])
            self._refuse_to_extend_under_others(config)
            if self.overwrite:
                remove_run(self.path)
            folder = RunFolder.create_or_resume(self.path, config)
            if not locks.at_work(self.path):
                _tidy(self.path)
            held = locks.acquire(self.path, self.part, self.workers)
            folder = replace(folder, lock=held)
            try:
                start = {"id": held.holder.id, "part": str(self.part), "workers": self.workers}
                folder.add_provenance({**start, **provenance})
            except BaseException:
                held.release()
                raise
        return folder

    def _refuse_to_extend_under_others(self, config: Mapping[str, Any]) -> None:
        others = locks.at_work(self.path)
        if self.overwrite or not others or not is_run(self.path):
            return
        known = read_config(self.path)["resolved"]
        if known.get(SAMPLES) != config["resolved"].get(SAMPLES):
            raise InputError(
                f"run folder {self.path}",
                got=f"samples: {known.get(SAMPLES)} -> {config['resolved'].get(SAMPLES)}, while "
                f"another process is at work in it: {others[0]}",
                expected="the same number of samples in every process of a run",
                fix="wait for it, then extend the run",
            )


def _tidy(root: Path) -> None:
    """Remove what processes that were killed have left half written."""
    name = f".*{layout.UNFINISHED}"
    for place in ("", f"{layout.DONE}/", f"{layout.DONE}/*/"):
        for path in root.glob(f"{place}{name}"):
            remove(path)
