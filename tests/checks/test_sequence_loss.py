"""Losses of whole sequences are the model's own; blocks run once and logits in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from steppe.checks import sequence_loss
from steppe.checks.sequence_loss import SequenceLoss
from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.models import Model, load_model
from steppe.propagation import plan

SITE = Site(1, "resid_pre", "all")
VOCABULARY, LENGTH, SEQUENCES = 67, 9, 5


def model_of(family: str) -> Any:
    torch.manual_seed(0)
    if family == "gpt2":
        sizes = {"n_layer": 3, "n_embd": 16, "n_head": 2, "n_positions": 32}
        return GPT2LMHeadModel(
            GPT2Config(**sizes, vocab_size=VOCABULARY, bos_token_id=0, eos_token_id=0)
        )
    return LlamaForCausalLM(
        LlamaConfig(
            hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, vocab_size=VOCABULARY, max_position_embeddings=32,
        )
    )  # fmt: skip


@pytest.fixture(params=["gpt2", "llama"])
def hf_model(request: pytest.FixtureRequest) -> Any:
    found = model_of(request.param)
    # Large weights: losses of sequences differ.
    with torch.no_grad():
        found.get_output_embeddings().weight.mul_(20)
    return found.eval()


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randint(0, VOCABULARY, (SEQUENCES, LENGTH), generator=torch.Generator())


def own_losses(hf_model: Any, tokens: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        logits = hf_model(input_ids=tokens).logits
        losses = cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")
    return losses.double().mean(dim=1)


@pytest.mark.parametrize("engine", ["fast", "general", "full"])
def test_losses_are_the_models_own(hf_model: Any, tokens: torch.Tensor, engine: str) -> None:
    model = load_model(hf_model, engine=engine)
    expected = own_losses(hf_model, tokens)
    assert expected.std() > 0.05
    with SequenceLoss(model, [SITE]) as loss:
        read, found = loss.clean(tokens)
        same = loss.replaced(SITE, read[SITE.name], tokens)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(same, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("engine", ["fast", "full"])
def test_what_is_replaced_is_what_a_hook_would_replace(
    hf_model: Any, tokens: torch.Tensor, engine: str
) -> None:
    model = load_model(hf_model, engine=engine, coordinates="raw")
    shift = torch.randn(16, generator=torch.Generator().manual_seed(1))
    with SequenceLoss(model, [SITE]) as loss:
        read, _ = loss.clean(tokens)
        found = loss.replaced(SITE, read[SITE.name] + shift, tokens)

    def add(_module: Any, args: Any, kwargs: Any) -> Any:
        if args:
            return (args[0] + shift, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": kwargs["hidden_states"] + shift}

    handle = model.anatomy.blocks[1].register_forward_pre_hook(add, with_kwargs=True)
    expected = own_losses(hf_model, tokens)
    handle.remove()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.fixture
def rows_by_module(hf_model: Any) -> Iterator[tuple[Model, list[int], list[int]]]:
    """The tiny model, and how many rows each call of block 0 and of the unembedding had."""
    model = load_model(hf_model, engine="general")
    block: list[int] = []
    head: list[int] = []

    def count(found: list[int]) -> Any:
        return lambda _module, _args, output: found.append(
            (output[0] if isinstance(output, tuple) else output)[..., 0].numel()
        )

    handles = [
        model.anatomy.blocks[2].register_forward_hook(count(block)),
        hf_model.get_output_embeddings().register_forward_hook(count(head)),
    ]
    yield model, block, head
    for handle in handles:
        handle.remove()


def test_blocks_run_once_and_logits_are_made_for_few_tokens_at_a_time(
    rows_by_module: Any, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, block, head = rows_by_module
    with SequenceLoss(model, []) as loss:
        loss.clean(tokens)
        block.clear()
        head.clear()
        per_row = sequence_loss.bytes_per_point(model, 1, 1, logits=True)
        monkeypatch.setitem(plan.BATCH_BYTES, "cpu", 7 * per_row)
        _, found = loss.clean(tokens[:1])
    assert max(head) <= 7
    # Beside the one run of the sequence only rows that are handed through on the way to the head.
    assert block.count(LENGTH) == 1
    torch.testing.assert_close(found, own_losses(model.hf_model, tokens[:1]), rtol=1e-4, atol=1e-4)


def test_a_loss_that_is_not_the_models_own_is_refused(hf_model: Any, tokens: torch.Tensor) -> None:
    def look_around(_module: Any, args: Any, output: torch.Tensor) -> torch.Tensor:
        return output + 9 * output.roll(1, dims=1) if output.shape[1] > 1 else output

    hf_model.get_output_embeddings().register_forward_hook(look_around)
    with (
        SequenceLoss(load_model(hf_model, engine="general"), []) as loss,
        pytest.raises(InputError, match="a plain forward pass of the whole model"),
    ):
        loss.clean(tokens)


def test_sequences_of_one_token_have_no_loss(hf_model: Any) -> None:
    with SequenceLoss(load_model(hf_model), []) as loss:
        _, found = loss.clean(torch.tensor([[1], [2]]))
    assert found.isnan().all()
    assert found.shape == (2,)
