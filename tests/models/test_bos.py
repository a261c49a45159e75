"""BOS is put in front where it is asked for, where an SAE or the tokenizer says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from steppe.core.errors import InputError
from steppe.models import Model, choose_bos, load_model


@pytest.mark.parametrize(
    ("trained_with", "expected"),
    [([True], True), ([False], False), ([True, None, True], True), ([None, False], False)],
)
def test_it_follows_the_saes(model: Model, trained_with: list[bool | None], expected: bool) -> None:
    assert choose_bos("auto", model, trained_with).is_added is expected


def test_it_follows_the_tokenizer_where_no_sae_says(
    model: Model, make_gpt2: Callable[..., Any]
) -> None:
    # This tokenizer puts w00 in front of a text.
    assert choose_bos("auto", model, [None]).is_added
    assert not choose_bos("auto", load_model("demo", device="cpu")).is_added
    assert not choose_bos("auto", load_model(make_gpt2())).is_added


def test_saes_that_disagree_are_refused_unless_it_is_said(model: Model) -> None:
    with pytest.raises(InputError, match=r"1 SAEs that were trained with BOS and 2 without"):
        choose_bos("auto", model, [False, True, None, False])
    assert choose_bos("yes", model, [False, True]).is_added


def test_what_is_asked_for_outranks_the_sae(model: Model) -> None:
    assert choose_bos("yes", model, [False]).is_added
    assert not choose_bos("no", model, [True]).is_added
    with pytest.raises(InputError, match="'maybe'"):
        choose_bos("maybe", model)  # type: ignore[arg-type]


@pytest.mark.parametrize(("asked", "trained_with"), [("yes", []), ("auto", [True])])
def test_a_model_without_bos(
    make_gpt2: Callable[..., Any], asked: Any, trained_with: list[bool]
) -> None:
    without = load_model(make_gpt2(bos_token_id=None))
    with pytest.raises(InputError, match="has no beginning-of-sequence token"):
        choose_bos(asked, without, trained_with)
    assert not choose_bos("no", without, [True]).is_added
