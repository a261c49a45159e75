"""What is measured per token equals the full forward pass, and is exactly zero at the base."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.metrics import clean_outputs, measure_tokens, tokens
from steppe.models import Model, load_model
from steppe.propagation import Prefix, Suffix, build_prefix

TOKENS = torch.arange(12) * 5 % 89
ALL = Site(1, "resid_pre", "all")
LENGTHS = torch.tensor([0.0, 0.5, 2.0, 8.0])


def path(prefix: Prefix) -> tuple[Tensor, Tensor]:
    """One direction per token, the same for all lengths, and the points along it."""
    torch.manual_seed(1)
    directions = torch.randn(prefix.base.shape)
    directions -= directions.mean(dim=-1, keepdim=True)
    directions /= directions.norm(dim=-1, keepdim=True)
    lengths = LENGTHS.reshape(-1, *[1] * prefix.base.ndim)
    return directions, prefix.base + lengths * directions


def logits_of_the_whole_model(model: Model, added: Tensor | None) -> Tensor:
    """All blocks on all positions, ``added`` put on what enters block 1."""

    def add(_module: object, args: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        return None if added is None else (args[0] + added, *args[1:])

    handle = model.anatomy.blocks[1].register_forward_pre_hook(add)
    try:
        with torch.no_grad():
            logits: Tensor = model.hf_model(input_ids=TOKENS[None]).logits[0]
    finally:
        handle.remove()
    return logits.double()


def test_all_positions_are_those_of_the_full_forward(model: Model) -> None:
    with Suffix(model, ALL, read=[], logits=True) as suffix:
        prefix = build_prefix(model, TOKENS, ALL)
        directions, points = path(prefix)
        found = measure_tokens(suffix, prefix, points, clean_outputs(suffix, prefix))
    clean = logits_of_the_whole_model(model, None).log_softmax(-1)
    for step, length in enumerate(LENGTHS):
        moved = logits_of_the_whole_model(model, length * directions).log_softmax(-1)
        kl = (clean.exp() * (clean - moved)).sum(-1)
        np.testing.assert_allclose(found.kl[step], kl, rtol=1e-3, atol=1e-6)
        ids = torch.arange(len(TOKENS) - 1)
        increase = (clean - moved)[ids, TOKENS[1:]]
        np.testing.assert_allclose(found.loss_increase[step, :-1], increase, rtol=1e-3, atol=1e-5)
    assert (found.kl[1:] > 0).all()


def test_length_zero_is_exactly_zero(model: Model) -> None:
    with Suffix(model, ALL, read=[], logits=True) as suffix:
        prefix = build_prefix(model, TOKENS, ALL)
        found = measure_tokens(suffix, prefix, path(prefix)[1], clean_outputs(suffix, prefix))
    assert not found.kl[0].any()
    assert not found.loss_increase[0, :-1].any()


def test_no_token_follows_the_last(model: Model) -> None:
    with Suffix(model, ALL, read=[], logits=True) as suffix:
        prefix = build_prefix(model, TOKENS, ALL)
        clean = clean_outputs(suffix, prefix)
        found = measure_tokens(suffix, prefix, path(prefix)[1], clean)
    assert np.isnan(found.loss_increase[:, -1]).all()
    assert np.isfinite(found.loss_increase[:, :-1]).all()
    assert clean.following.tolist() == [*TOKENS[1:].tolist(), -1]


def test_the_last_position_alone(model: Model) -> None:
    last = Site(1, "resid_pre", -1)
    with Suffix(model, last, read=[], logits=True) as suffix:
        prefix = build_prefix(model, TOKENS[:-1], last)
        clean = clean_outputs(suffix, prefix, TOKENS[-1:])
        directions, points = path(prefix)
        found = measure_tokens(suffix, prefix, points, clean)
    assert found.kl.shape == (len(LENGTHS), 1)
    added = torch.zeros(len(TOKENS), model.d_model)
    added[-2] = LENGTHS[-1] * directions
    whole = logits_of_the_whole_model(model, None), logits_of_the_whole_model(model, added)
    before, after = (logits[-2].log_softmax(-1)[TOKENS[-1]] for logits in whole)
    np.testing.assert_allclose(found.loss_increase[-1, 0], before - after, rtol=1e-3)


def test_how_much_is_held_at_once_changes_no_number(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Suffix(model, ALL, read=[], logits=True) as suffix:
        prefix = build_prefix(model, TOKENS, ALL)
        clean, points = clean_outputs(suffix, prefix), path(prefix)[1]
        whole = measure_tokens(suffix, prefix, points, clean)
        monkeypatch.setattr(tokens, "_HELD", {"cpu": 1})
        monkeypatch.setattr(tokens, "CHUNK", {"cpu": 1})
        single = measure_tokens(suffix, prefix, points, clean)
    np.testing.assert_allclose(single.kl, whole.kl, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(single.loss_increase, whole.loss_increase, rtol=1e-4, atol=1e-5)


def test_what_does_not_fit_is_told(model: Model) -> None:
    read = Site.parse("blocks.last.hook_resid_post", "all")
    with Suffix(model, ALL, read=[read]) as suffix:
        prefix = build_prefix(model, TOKENS, ALL)
        with pytest.raises(InputError, match="a suffix that returns no logits"):
            clean_outputs(suffix, prefix)
    with Suffix(model, ALL, read=[], logits=True) as suffix:
        prefix = build_prefix(model, TOKENS, ALL)
        with pytest.raises(InputError, match="one per position that is moved"):
            clean_outputs(suffix, prefix, TOKENS[:3])


@pytest.mark.parametrize("mask", [torch.finfo(torch.float32).min, -1e9, -torch.inf])
def test_tokens_that_a_model_masks_count_for_nothing(model: Model, mask: float) -> None:
    kept = torch.arange(89) % 4 > 0
    with Suffix(model, ALL, read=[], logits=True) as suffix:
        prefix = build_prefix(model, TOKENS, ALL)
        _, points = path(prefix)
        outputs = suffix(prefix, points).logits[..., kept].double().log_softmax(-1)
        expected = (outputs[0].exp() * (outputs[0] - outputs)).sum(-1)
        hook = model.hf_model.lm_head.register_forward_hook(
            lambda _module, _args, logits: logits.masked_fill(~kept, mask)
        )
        try:
            found = measure_tokens(suffix, prefix, points, clean_outputs(suffix, prefix))
        finally:
            hook.remove()
    assert expected.max() > 0.01
    np.testing.assert_allclose(found.kl, expected, rtol=1e-3, atol=1e-6)
    masked = ~kept[TOKENS[1:]].numpy()
    assert not np.isnan(found.kl).any()
    assert np.isfinite(found.loss_increase[:, :-1][:, ~masked]).all()


@pytest.mark.parametrize("site", [ALL, Site(1, "resid_pre", -1)])
def test_in_half_precision_what_is_rounded_is_how_far_points_are_moved(
    model: Model, site: Site
) -> None:
    torch.manual_seed(1)
    # A move so small that rounding the points one by one would drown it.
    moves = torch.tensor([1e-3, 2e-3]).reshape(2, 1, 1) * torch.randn(2, len(TOKENS), 24)
    moves = moves if site.position == "all" else moves[:, -1]

    def measured(of: Model) -> Tensor:
        with Suffix(of, site, read=[], logits=True) as suffix:
            prefix = build_prefix(of, TOKENS, site)
            points = prefix.base + moves
            curves = measure_tokens(suffix, prefix, points, clean_outputs(suffix, prefix))
            return torch.from_numpy(curves.kl)

    exact, found = measured(model), measured(load_model(model.hf_model, dtype="bfloat16"))
    assert float(exact.median()) > 0
    assert float((found / exact).log().abs().median()) < 0.2
