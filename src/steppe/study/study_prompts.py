"""The prompts of a study, taken as its settings say, and what a run records of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from steppe.core.bos import BOS_REASON
from steppe.models import Bos, Model, Prompts, choose_bos, load_prompts
from steppe.sae import Sae
from steppe.settings.study_settings import PAPER_PROMPTS, StudySettings


@dataclass(frozen=True, eq=False)
class StudyPrompts:
    """Prompts, and whether BOS was put in front of them.

    Attributes:
        prompts: The prompts.
        bos: Whether those that lacked it got BOS, and why.
    """

    prompts: Prompts
    bos: Bos

    def begin_with(self, bos: int | None) -> bool:
        """Whether all prompts begin with BOS: they got it, or had it."""
        firsts = self.prompts.tokens[:, 0]
        return self.bos.is_added or (bos is not None and bool((firsts == bos).all()))

    def identity(self) -> dict[str, Any]:
        """What a run records of them, as plain data."""
        prompts = self.prompts
        return {
            "source": prompts.source,
            "revision": prompts.revision,
            "sha256": prompts.sha256,
            "count": len(prompts),
            "equal_share": round(prompts.equal_share, 6),
            "rows": prompts.rows,
            "skipped_rows": prompts.skipped,
            BOS_REASON: self.bos.reason,
        }


def take_prompts(settings: StudySettings, model: Model, saes: Sequence[Sae]) -> StudyPrompts:
    """Take the first prompts of the source, at most ``max_prompts``.

    Args:
        settings: What was asked.
        model: The model under study.
        saes: The study's SAEs: ``bos`` may follow them.

    Raises:
        InputError: There are none, or they do not fit the model.
    """
    if settings.bos != "auto":
        bos = choose_bos(settings.bos, model)
    elif settings.BOS_WHERE_THERE_IS_ONE:
        has_one = model.bos_token_id is not None
        reason = "sequences begin with it, as in the paper" if has_one else "the model has none"
        bos = Bos(has_one, reason)
    elif settings.prompts_source == PAPER_PROMPTS:
        bos = Bos(False, "the papers' prompts are read as their authors read them")
    else:
        bos = choose_bos("auto", model, [sae.prepend_bos for sae in saes])
    prompts = load_prompts(
        settings.prompts_source,
        model,
        length=settings.prompt_length,
        limit=settings.max_prompts,
        bos=bos.is_added,
        column=settings.column,
        max_bad_rows=0.0 if settings.strict else settings.max_bad_rows,
        revision=settings.prompts_revision,
    )
    return StudyPrompts(prompts, bos)
