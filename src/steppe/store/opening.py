"""Open a run folder as the owner of all shards or of a part of them, or as a helper of an owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from steppe.core.errors import InputError
from steppe.core.parts import Part
from steppe.store import layout, locks
from steppe.store.config import SAMPLES, read_config
from steppe.store.folder import RunFolder
from steppe.store.manifest import is_sound
from steppe.store.overwriting import check_removable, remove_run
from steppe.store.places import check_available, check_writable, is_run, make_folder


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
            check_available(self.path, settings)
        locks.refuse_if_busy(self.path, self.part)

    def begun(self) -> dict[str, Any] | None:
        """The configuration of the run that would be gone on with; None where there is none."""
        is_new = self.overwrite or not is_sound(self.path, layout.CONFIG)
        return None if is_new else read_config(self.path)

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
            others = locks.at_work(self.path)
            self._refuse_to_extend(config["resolved"].get(SAMPLES), others)
            if self.overwrite:
                remove_run(self.path)
            folder = RunFolder.create_or_resume(self.path, config)
            if not others:
                # What processes that were killed have left half written.
                for left in (self.path / layout.WORKING).glob(f".*{layout.UNFINISHED}"):
                    left.unlink(missing_ok=True)
            held = locks.acquire(self.path, self.part, self.workers)
            folder = replace(folder, lock=held)
            try:
                start = {"id": held.holder.id, "part": str(self.part), "workers": self.workers}
                folder.add_provenance({**start, **provenance})
            except BaseException:
                held.release()
                raise
        return folder

    def _refuse_to_extend(self, samples: Any, others: list[locks.Holder]) -> None:
        """All processes of a run work on the same number of samples."""
        if self.overwrite or not others or not is_run(self.path):
            return
        known = read_config(self.path)["resolved"].get(SAMPLES)
        if known != samples:
            raise InputError(
                f"run folder {self.path}",
                got=f"samples: {known} -> {samples}, while another process is at work in it: "
                f"{others[0]}",
                expected="the same number of samples in every process of a run",
                fix="wait for it, then extend the run",
            )
