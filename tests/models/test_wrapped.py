from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from steppe.core.errors import InputError
from steppe.models import load_model
from steppe.propagation import propagate, self_check


class Holder:
    """As a TransformerBridge holds its model."""

    def __init__(self, hf_model: Any) -> None:
        self.original_model = hf_model


class HookedTransformer(torch.nn.Module):
    """As TransformerLens' own: no model of transformers is in it."""

    cfg = SimpleNamespace(tokenizer_name="gpt2")


def test_the_model_that_an_object_holds_is_used(make_gpt2: Callable[..., Any]) -> None:
    hf_model = make_gpt2()
    assert load_model(Holder(hf_model)).hf_model is hf_model


def test_an_object_that_holds_none_is_refused_with_what_to_do() -> None:
    with pytest.raises(InputError, match=r"HookedTransformer(.|\n)*load_model\('gpt2'\)"):
        load_model(HookedTransformer())
    with pytest.raises(InputError, match="int"):
        load_model(3)


def _lens(hf_model: Any, folder: Path) -> Any:
    # Imported here: it takes seconds.
    from transformer_lens.model_bridge.sources.transformers import boot

    hf_model.save_pretrained(folder)
    tokenizer = load_model("demo").tokenizer
    return boot(str(folder), hf_model=hf_model, tokenizer=tokenizer)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_bridge_of_transformer_lens(make_gpt2: Callable[..., Any], tmp_path: Path) -> None:
    plain = load_model(make_gpt2())
    bridge = _lens(make_gpt2(), tmp_path)
    model = load_model(bridge)
    assert model.identity.fingerprint == plain.identity.fingerprint
    assert self_check(model, "resid_pre:1").engine == "fast"
    tokens, points = torch.arange(18).reshape(2, 9), torch.randn(2, 3, 16)
    found, expected = (propagate(one, tokens, "resid_mid:1", points) for one in (model, plain))
    for name, value in expected.residuals.items():
        torch.testing.assert_close(found.residuals[name], value)
    shared = bridge.original_model.get_input_embeddings()
    weights = [parameter.data_ptr() for parameter in shared.parameters()]
    assert model.hf_model.get_input_embeddings().weight.data_ptr() in weights


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_processed_weights_are_refused_where_they_make_another_model(
    make_gpt2: Callable[..., Any], tmp_path: Path
) -> None:
    bridge = _lens(make_gpt2(), tmp_path)
    bridge.enable_compatibility_mode()
    with pytest.raises(InputError, match="processed"):
        load_model(bridge)
