"""Up to how many samples a run is measured before it is asked whether more are needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steppe.core.errors import InputError
from steppe.execution.workers import Workers
from steppe.settings.looks import DECIDED, LookSettings
from steppe.store import Opening, layout
from steppe.store.config import SAMPLES
from steppe.store.manifest import read_manifest


def stages_left(settings: Any, opening: Opening) -> Sequence[Any]:
    """The settings of each stage, from the one on that the run's folder has come to.

    A run that goes on was not over at the looks before: a stage is begun only then.
    """
    if not _looks(settings):
        return [settings]
    known = None if opening.overwrite else read_manifest(opening.path, layout.RUN)
    reached = 0 if known is None else known.facts.get(SAMPLES) or 0
    left = [stage for stage in settings.stages if stage.samples >= reached]
    return left or [settings.stages[-1]]


def check_stages(settings: Any, workers: Workers) -> None:
    """Refuse what does not go with looks at a growing run.

    Raises:
        InputError: A process has a part of the work, which shows nothing of the whole; or how many
            samples there are hangs on the model's weights.
    """
    if not _looks(settings):
        return
    if not workers.part.is_whole:
        raise InputError(
            "--until decided with --shard",
            got=f"{workers.part} of the work, which cannot tell what the whole decides",
            expected="one process that sees all samples",
            fix="use --workers ray:<count>, or --until samples",
        )
    if SAMPLES in settings.hang_on_weights:
        raise InputError(
            "--until decided",
            got="no --samples, which the model's weights would choose",
            expected="the most samples that may be measured: looks are planned before anything is",
            fix="give --samples",
        )


def _looks(settings: Any) -> bool:
    return isinstance(settings, LookSettings) and settings.until == DECIDED
