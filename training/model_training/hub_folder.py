"""Writes and reads a model in the hub's folder format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from model_training.corpus import END_OF_TEXT, END_OF_TEXT_ID
from model_training.language_model import Shape


def config_of(shape: Shape) -> GPT2Config:
    """Returns the transformers configuration of a shape."""
    return GPT2Config(
        vocab_size=shape.vocabulary,
        n_positions=shape.positions,
        n_embd=shape.width,
        n_layer=shape.layers,
        n_head=shape.heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=END_OF_TEXT_ID,
        eos_token_id=END_OF_TEXT_ID,
        architectures=["GPT2LMHeadModel"],
        dtype="float16",
    )


def write_model_folder(
    folder: Path, weights: Mapping[str, Tensor], shape: Shape, tokenizer: Tokenizer
) -> None:
    """Writes config.json, model.safetensors (float16) and the tokenizer's files.

    Args:
        folder: made where missing.
        weights: GPT2LMHeadModel's names; the output matrix is tied and not stored.
        shape: the model's sizes.
        tokenizer: the byte-level BPE.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config_of(shape).save_pretrained(folder)
    halves = {
        name: tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in weights.items()
    }
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
        model_max_length=shape.positions,
    )
    fast.save_pretrained(folder)


def read_model_folder(folder: Path, device: str) -> GPT2LMHeadModel:
    """Loads a model folder in float32 for evaluation."""
    model = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32)
    return model.to(device).eval().requires_grad_(False)


def read_json(path: Path) -> dict[str, Any]:
    """Returns a JSON file's object."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def file_sha256(path: Path) -> str:
    """Returns the file's SHA-256 in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
