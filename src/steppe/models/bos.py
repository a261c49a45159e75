"""Whether prompts begin with the token that starts a text, and who said so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from steppe.core.bos import BosChoice
from steppe.core.errors import InputError
from steppe.models.model import Model


@dataclass(frozen=True)
class Bos:
    """Whether BOS is put in front of prompts that do not begin with it.

    Attributes:
        is_added: Whether it is.
        reason: Who said so, in words.
    """

    is_added: bool
    reason: str


def choose_bos(asked: BosChoice, model: Model, trained_with: Iterable[bool | None] = ()) -> Bos:
    """Decide whether prompts get BOS.

    ``auto`` follows the SAEs: yes where their files say that they were trained with BOS,
    no where they say without; where none says anything, it does as the model's own tokenizer does
    with a text.

    Args:
        asked: ``auto``, ``yes`` or ``no``.
        model: The model under study.
        trained_with: Of each SAE, whether its training prompts began with BOS; None: its file does
            not say.

    Raises:
        InputError: SAEs disagree; BOS is asked for, or an SAE was trained with it, and the model
            has none.
    """
    if asked not in get_args(BosChoice):
        raise InputError(
            "bos",
            got=repr(asked),
            expected=", ".join(get_args(BosChoice)),
            fix="leave it out to follow the SAE and the tokenizer",
        )
    choice = Bos(asked == "yes", "as asked") if asked != "auto" else _follow(model, trained_with)
    if choice.is_added and model.bos_token_id is None:
        raise InputError(
            "bos",
            got=f"{asked}, for {model.name}, which has no beginning-of-sequence token "
            f"({choice.reason})",
            expected="a model whose tokenizer or config.json names one (bos_token)",
            fix="ask for no BOS (--bos no), or set the tokenizer's bos_token",
        )
    return choice


def _follow(model: Model, trained_with: Iterable[bool | None]) -> Bos:
    said = [word for word in trained_with if word is not None]
    if len(set(said)) > 1:
        raise InputError(
            "bos",
            got=f"auto, with {sum(said)} SAEs that were trained with BOS and {said.count(False)} "
            "without",
            expected="SAEs that were trained on prompts of one kind",
            fix="leave some out, or say which prompts are meant: --bos yes or --bos no",
        )
    if any(said):
        return Bos(True, "as the SAE was trained")
    if said:
        return Bos(False, "as the SAE was trained")
    tokenizer, bos = model.tokenizer, model.bos_token_id
    if tokenizer is None or bos is None:
        return Bos(False, "nothing asks for it")
    ids = tokenizer("a")["input_ids"]
    return Bos(bool(ids) and ids[0] == bos, "as the tokenizer does")
