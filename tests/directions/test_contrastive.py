from __future__ import annotations

import dataclasses
import sys
from typing import Any

import pytest
import torch
from tests.directions.conftest import SITE

from steppe.core.errors import InputError, MissingExtraError
from steppe.core.sites import Site
from steppe.directions import Pairs, contrastive, probe
from steppe.models import Model
from steppe.propagation import read_residuals


def last(model: Model, ids: Any, site: str = SITE) -> torch.Tensor:
    return read_residuals(model, [list(ids)], site)[0].double()


def differences_of(model: Model, pairs: Pairs) -> torch.Tensor:
    return torch.stack([last(model, one) - last(model, two) for one, two in pairs.prompts])


def test_contrastive_equals_a_hand_computation(model: Model, pairs: Pairs) -> None:
    (found,) = contrastive(model, SITE, pairs, bos=False).vectors
    differences = torch.stack([last(model, one) - last(model, two) for one, two in pairs.prompts])
    mean = differences.mean(0)
    torch.testing.assert_close(found, (mean / mean.norm()).float(), rtol=1e-5, atol=1e-6)


def test_neurons_have_directions_of_their_own_width(model: Model, pairs: Pairs) -> None:
    site = "blocks.1.mlp.hook_post"
    differences = [last(model, one, site) - last(model, two, site) for one, two in pairs.prompts]
    mean = torch.stack(differences).mean(0)
    (found,) = contrastive(model, site, pairs, bos=False).vectors
    assert len(found) != model.d_model
    torch.testing.assert_close(found, (mean / mean.norm()).float(), rtol=1e-5, atol=1e-6)


def test_its_facts_are_the_sign_the_length_and_the_spread(model: Model, pairs: Pairs) -> None:
    (facts,) = contrastive(model, SITE, pairs, bos=False).facts
    differences = torch.stack([last(model, one) - last(model, two) for one, two in pairs.prompts])
    mean = differences.mean(0)
    turned = []
    for left_out in range(len(pairs)):
        others = differences[[n for n in range(len(pairs)) if n != left_out]].mean(0)
        cosine = (others @ mean) / (others.norm() * mean.norm())
        turned.append(float(torch.rad2deg(torch.arccos(cosine))))
    assert facts["sign"] == "from negative to positive"
    assert facts["pairs"] == 6
    assert facts["length"] == pytest.approx(float(mean.norm()), rel=1e-4)
    assert facts["leave_one_out_mean"] == pytest.approx(sum(turned) / 6, rel=1e-3)
    assert facts["leave_one_out_max"] == pytest.approx(max(turned), rel=1e-3)
    spread = (differences - mean).square().sum(1).mean().sqrt()
    assert facts["length_over_spread"] == pytest.approx(float(mean.norm() / spread), rel=1e-3)


def test_of_a_single_pair_no_spread_is_known(model: Model) -> None:
    (facts,) = contrastive(model, SITE, Pairs.of([([1, 2], [3, 4])])).facts
    assert facts["leave_one_out_mean"] is None


def test_swapping_the_sides_turns_the_direction_round(model: Model, pairs: Pairs) -> None:
    swapped = Pairs.of([(two, one) for one, two in pairs.prompts])
    both = [contrastive(model, SITE, one, bos=False).vectors for one in (pairs, swapped)]
    torch.testing.assert_close(both[0], -both[1])


def test_bos_is_put_in_front_where_asked(model: Model, pairs: Pairs) -> None:
    with_bos = Pairs.of([([0, *one], [0, *two]) for one, two in pairs.prompts])
    expected = contrastive(model, SITE, with_bos, bos=False).vectors
    torch.testing.assert_close(contrastive(model, SITE, pairs, bos=True).vectors, expected)
    # A prompt that begins with it gets no second one.
    torch.testing.assert_close(contrastive(model, SITE, with_bos, bos=True).vectors, expected)


@pytest.mark.parametrize(
    ("prompts", "match"),
    [
        ([("a text", "another")], "'a text'.*no tokenizer"),
        ([([1, 64], [1, 2])], "64"),
    ],
)
def test_prompts_that_the_model_cannot_read_are_refused(
    prompts: Any, match: str, model: Model
) -> None:
    with pytest.raises(InputError, match=f"(?s){match}"):
        contrastive(model, SITE, Pairs.of(prompts))


class NoTokens:
    """A tokenizer in whose vocabulary spaces are nothing."""

    bos_token_id = None

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) % 64 for letter in text if letter != " "]}


def test_a_prompt_that_tokenises_to_nothing_is_refused(model: Model) -> None:
    reading = dataclasses.replace(model, tokenizer=NoTokens())
    with pytest.raises(InputError, match=r"(?s)'blank'.*'   '.*no token"):
        contrastive(reading, SITE, Pairs.of([("good", "   ")], "blank"), bos=False)


def test_sides_that_do_not_differ_at_the_site_are_refused(model: Model) -> None:
    # The same last token at the same position: before the first block nothing else is known.
    same = Pairs.of([([1, 5], [2, 5])], "same")
    with pytest.raises(InputError, match=r"(?s)'same'.*same mean activation"):
        contrastive(model, "blocks.0.hook_resid_pre", same)
    contrastive(model, SITE, same)


def test_a_site_at_another_position_is_refused(model: Model, pairs: Pairs) -> None:
    with pytest.raises(InputError, match="position 2"):
        contrastive(model, Site.parse(SITE, position=2), pairs)


def test_the_probe_separates_the_sides(model: Model, pairs: Pairs) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    found = probe(model, SITE, pairs, bos=False)
    sides = [torch.stack([last(model, pair[s]) for pair in pairs.prompts]) for s in (0, 1)]
    scores = [side.float() @ found.vectors[0] for side in sides]
    assert float(scores[0].min()) > float(scores[1].max())
    # Against scikit-learn on the same scale.
    rows = torch.cat(sides)
    rows = rows - rows.mean(0)
    rows /= rows.square().sum(1).mean().sqrt()
    fitted = linear_model.LogisticRegression(max_iter=10_000, tol=1e-8).fit(rows, [1] * 6 + [0] * 6)
    normal = torch.from_numpy(fitted.coef_[0])
    selection = pytest.importorskip("sklearn.model_selection")
    held_out = selection.cross_val_score(
        fitted, rows, [1] * 6 + [0] * 6, groups=[*range(6)] * 2, cv=selection.LeaveOneGroupOut()
    )
    assert found.facts[0]["accuracy"] == pytest.approx(held_out.mean())
    assert float(normal @ found.vectors[0].double() / normal.norm()) > 1 - 1e-6


def test_without_scikit_learn_the_extra_is_named(
    model: Model, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(MissingExtraError, match=r"steppe\[probe\]"):
        probe(model, SITE, pairs)


def test_a_pair_of_the_same_tokens_is_refused(model: Model) -> None:
    bos = int(model.bos_token_id or 0)
    # Once BOS is put in front of the second, it is the first.
    pairs = Pairs.of([((1, 2, 3), (1, 2, 4)), ((bos, 5, 6), (5, 6))])
    with pytest.raises(InputError, match="the same tokens"):
        contrastive(model, SITE, pairs, bos=True)
