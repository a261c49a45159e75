"""Texts that a model writes itself, as prompts where no text is at hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import torch

from steppe.core.errors import InputError
from steppe.core.progress import progress
from steppe.core.seeds import stream
from steppe.models.mode import evaluating
from steppe.models.model import Model

STREAM = "sampled_texts"
# Fixed, because a batch is drawn from one stream: the texts depend on seed and length alone.
_TOGETHER = 64


def sample_texts(model: Model, count: int, length: int, seed: int = 0) -> Iterator[str]:
    """Let a model write from its BOS on, at temperature 1, without ending before the length.

    Args:
        model: The model, with its tokenizer.
        count: Texts.
        length: Tokens of each, BOS not counted.
        seed: Seed of the stream ``sampled_texts``; the first texts of more are those of fewer.

    Yields:
        The texts, without the special tokens in them.

    Raises:
        InputError: The model has no tokenizer or no BOS, or is shorter than the length.
    """
    tokenizer, bos = model.tokenizer, model.bos_token_id
    longest = model.context_length
    if tokenizer is None or bos is None or (longest is not None and length >= longest):
        raise InputError(
            f"texts of {model.name}",
            got=f"{length} tokens, {'no ' if tokenizer is None else 'a '}tokenizer, BOS {bos}",
            expected=f"a tokenizer with BOS, and fewer tokens than the context length, {longest}",
            fix="choose shorter texts, or a model that has both",
        )
    settings = model.hf_model.generation_config
    ends = {tokenizer.eos_token_id, settings.eos_token_id if settings else None}
    ends = {one for end in ends for one in (end if isinstance(end, list) else [end])} - {None}
    batches = range(-(-count // _TOGETHER))
    devices = [model.device] if model.device.type == "cuda" else []
    for batch in progress(batches, f"texts of {model.name}"):
        starts = torch.full((_TOGETHER, 1), bos, device=model.device)
        with torch.random.fork_rng(devices), evaluating(model.hf_model):
            torch.manual_seed(int(stream(seed, STREAM, batch).integers(2**62)))
            written = model.hf_model.generate(
                starts,
                attention_mask=torch.ones_like(starts),
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                max_new_tokens=length,
                min_new_tokens=length,
                suppress_tokens=sorted(ends) or None,
                pad_token_id=bos,
            )
        texts = tokenizer.batch_decode(written[:, 1:], skip_special_tokens=True)
        yield from texts[: count - batch * _TOGETHER]


def write_texts(model: Model, path: Path, count: int, length: int, seed: int) -> None:
    """Write sampled texts as a `.jsonl` file with the column ``text``; all of it or nothing.

    Raises:
        InputError: As `sample_texts`; the file exists, or does not end in ``.jsonl``.
    """
    if path.exists() or path.suffix != ".jsonl":
        raise InputError(
            f"file {path}",
            got="a file that exists" if path.exists() else f"the ending {path.suffix!r}",
            expected="a new .jsonl file",
            fix="choose another name",
        )
    draft = path.with_name(f".{path.name}-{uuid4().hex}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            for text in sample_texts(model, count, length, seed):
                file.write(json.dumps({"text": text}) + "\n")
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
