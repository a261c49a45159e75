from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.metrics import measure
from steppe.models import Model, load_model
from steppe.propagation import Suffix, build_prefix, read_residuals, weights_stay
from steppe.propagation import packing as module
from steppe.propagation.packing import content_of
from steppe.propagation.replacements import replacements

SITE = Site.parse("resid_pre:1")
TOKENS = torch.arange(12).reshape(2, 6)


def zero(weight: Any) -> None:
    weight.data.zero_()


def one_entry(weight: Any) -> None:
    weight.data[3, 5] += 8.0


def two_rows_swapped(weight: Any) -> None:
    weight.data[[2, 7]] = weight.data[[7, 2]]


def in_place(weight: Any) -> None:
    with torch.no_grad():
        weight.mul_(2.0)


def other_storage(weight: Any) -> None:
    weight.data = 2.0 * weight.data


def copied_over(weight: Any) -> None:
    weight.data.copy_(torch.flip(weight.data, [0]))


def through_numpy(weight: Any) -> None:
    weight.detach().numpy()[1] *= -1.0


CHANGES = [
    zero, one_entry, two_rows_swapped, in_place, other_storage, copied_over, through_numpy
]  # fmt: skip


@pytest.fixture
def own(model_of: Callable[[str], Model]) -> Any:
    """A model of its own for each test, since it is changed."""
    hf_model = model_of("gpt2").hf_model
    copied = type(hf_model)(hf_model.config)
    copied.load_state_dict(hf_model.state_dict())
    return copied


def curves(hf_model: Any, engine: str) -> Any:
    model = load_model(hf_model, engine=engine)
    base = read_residuals(model, TOKENS, SITE)
    points = base[:, None] + torch.linspace(0, 2, 5)[:, None] * torch.arange(32.0)
    return measure(model, TOKENS, SITE, points, ["l2", "kl"])


def test_weights_are_packed_on_this_machine() -> None:
    linear = nn.Linear(8, 8)
    assert (linear in dict(replacements([linear]))) == torch.backends.mkldnn.is_available()


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("place", ["mlp.c_proj", "attn.c_attn"])
@pytest.mark.parametrize("block", [0, 2])
def test_any_change_of_the_weights_is_noticed(
    own: Any, change: Callable[[Any], None], place: str, block: int
) -> None:
    before = curves(own, "fast")
    change(own.transformer.h[block].get_submodule(place).weight)
    found, expected = curves(own, "fast"), curves(own, "general")
    for name in ("l2", "kl"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-5)
    assert not np.array_equal(found["l2"], before["l2"])


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_model_notices_too(own: Any, change: Callable[[Any], None]) -> None:
    model = load_model(own, engine="fast")
    with Suffix(model, SITE, read=[SITE], logits=True) as suffix:
        suffix(build_prefix(model, TOKENS[0], SITE), torch.zeros(2, 32))
    change(own.transformer.h[2].mlp.c_proj.weight)
    prefix = build_prefix(model, TOKENS[0], SITE)
    with Suffix(model, SITE, read=[SITE], logits=True) as suffix:
        found = suffix(prefix, prefix.base[None]).logits
    expected = own.eval()(input_ids=TOKENS[:1]).logits[:, -1]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("change", [in_place, other_storage])
def test_changes_while_a_suffix_is_open_are_refused(
    own: Any, change: Callable[[Any], None]
) -> None:
    model = load_model(own, engine="fast")
    prefix = build_prefix(model, TOKENS[0], SITE)
    with Suffix(model, SITE, read=[SITE], logits=True) as suffix:
        suffix(prefix, prefix.base[None])
        change(own.transformer.h[2].mlp.c_proj.weight)
        with pytest.raises(InputError, match="changed while it is open"):
            suffix(prefix, prefix.base[None])
    with Suffix(model, SITE, read=[SITE], logits=True) as suffix:
        suffix(prefix, prefix.base[None])


def test_weights_are_packed_once_and_compared_once_while_they_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    linear, compared = nn.Linear(8, 8), []
    monkeypatch.setattr(
        module, "content_of", lambda weight: compared.append(1) or content_of(weight)
    )
    if not dict(replacements([linear])):
        pytest.skip("nothing is packed on this machine")
    first = module._packed[linear].matrix
    with weights_stay():
        for _ in range(3):
            dict(replacements([linear]))
        with weights_stay():
            dict(replacements([linear]))
    assert len(compared) == 2
    dict(replacements([linear]))
    assert len(compared) == 3
    assert module._packed[linear].matrix is first


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 8), (64, 64), (100, 1024), (1, 4099)])
def test_the_content_follows_every_bit(dtype: torch.dtype, shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(shape, generator=generator).to(dtype)
    seen = {content_of(weight)}
    for index in torch.randperm(weight.numel(), generator=generator)[:20].tolist():
        changed = weight.clone()
        bits = changed.view(-1).view(torch.uint8)
        bits[index] ^= 1
        seen.add(content_of(changed))
    assert len(seen) == 21
    assert content_of(weight.clone()) in seen
    assert content_of(weight.t()) not in seen
    assert content_of(weight.reshape(-1, 1)) not in seen
