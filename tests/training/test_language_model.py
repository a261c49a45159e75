"""The lean forward pass is GPT-2's, and the exported folder holds the same model."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models
from transformers import GPT2LMHeadModel

from model_training.hub_folder import config_of, read_model_folder, write_model_folder
from model_training.language_model import Shape, initial_weights, next_token_loss

SHAPE = Shape(layers=3, width=32, heads=4, vocabulary=50, positions=12)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, SHAPE.vocabulary, (5, 13), generator=generator)
    return ids[:, :-1], ids[:, 1:]


def large_weights() -> dict[str, torch.Tensor]:
    # Initial weights leave every block near zero; a wrong block would go unseen.
    weights = initial_weights(SHAPE, seed=0)
    return {
        name: tensor + 0.2 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(2))
        for name, tensor in weights.items()
    }


def test_loss_equals_transformers() -> None:
    weights = large_weights()
    model = GPT2LMHeadModel(config_of(SHAPE)).float().eval()
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert missing == ["lm_head.weight"]
    assert unexpected == []
    model.tie_weights()
    inputs, targets = batch()
    logits = model(inputs).logits
    theirs = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    ours = next_token_loss(weights, SHAPE, inputs, targets)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_exported_folder_gives_the_same_loss(tmp_path) -> None:
    weights = {name: tensor.half().float() for name, tensor in large_weights().items()}
    write_model_folder(tmp_path, weights, SHAPE, Tokenizer(models.BPE()))
    inputs, targets = batch()
    logits = read_model_folder(tmp_path, "cpu")(inputs).logits
    theirs = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    ours = next_token_loss(weights, SHAPE, inputs, targets)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_dropout_factors_act_where_vectors_enter_the_stream() -> None:
    weights = large_weights()
    inputs, targets = batch()
    plain = next_token_loss(weights, SHAPE, inputs, targets)
    shape = (1 + 2 * SHAPE.layers, *inputs.shape, SHAPE.width)
    torch.testing.assert_close(
        next_token_loss(weights, SHAPE, inputs, targets, torch.ones(shape)), plain
    )
    # Without what layer 1's feed-forward writes, as if that layer had none.
    kept = torch.ones(shape)
    kept[4] = 0
    silent = weights | {
        f"transformer.h.1.mlp.c_proj.{part}": torch.zeros_like(
            weights[f"transformer.h.1.mlp.c_proj.{part}"]
        )
        for part in ("weight", "bias")
    }
    torch.testing.assert_close(
        next_token_loss(weights, SHAPE, inputs, targets, kept),
        next_token_loss(silent, SHAPE, inputs, targets),
    )
