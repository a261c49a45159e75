"""A model, SAE and prompts small enough that a run of hundreds of shards takes minutes."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from random_files import unit_rows, write_prompts, write_sae
from steppe.cli.main import main

D_MODEL, D_SAE, VOCABULARY = 16, 128, 64


@dataclass(frozen=True)
class Tiny:
    """Where the files are."""

    model: Path
    sae: Path
    prompts: Path

    def command(self, out: Path, samples: int, *more: str) -> list[str]:
        """The words of the command that runs the study on it."""
        return [
            "reproduce", "giglemiani2024", "--model", str(self.model), "--sae", str(self.sae),
            "--prompts", str(self.prompts), "--samples", str(samples), "--only", "table_1",
            "--only", "figure_3", "--threads", "1", "--accept-sae", "--out", str(out), *more,
        ]  # fmt: skip


def build(folder: Path, prompts: int = 1600) -> Tiny:
    """Write a random GPT-2, a random SAE on it, and random prompts."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=32, n_embd=D_MODEL, n_layer=3, n_head=2,
        initializer_range=0.4, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    GPT2LMHeadModel(config).eval().save_pretrained(folder / "model")
    decoder = torch.randn(D_SAE, D_MODEL)
    decoder -= decoder.mean(dim=1, keepdim=True)
    hook_name = "blocks.1.hook_resid_pre"
    rates = torch.rand(D_SAE) * 0.2 + 1e-3
    sae = write_sae(folder / "sae", unit_rows(decoder), hook_name=hook_name, bias=-0.8, rates=rates)
    rows = write_prompts(folder / "prompts.jsonl", prompts, 10, VOCABULARY)
    return Tiny(folder / "model", sae, rows)


def started(words: list[str], log: Path) -> int:
    """Run the command line in a child process; its id.

    The child is a fork of this process, which has loaded torch already: a start takes a part of a
    second, and the campaign can afford many. It is a process of its own all the same.
    """
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        with log.open("a") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.setsid()
        main(words)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def ended(child: int, seconds: float) -> int | None:
    """Wait for a child; its exit status (negative: the signal), None when it still runs."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.01)


def arrays_hash(run: Path) -> str:
    """One hash of every file of the run's arrays."""
    digest = hashlib.sha256()
    for path in sorted(run.glob("*.zarr/**/*")):
        if path.is_file() and not path.name.endswith((".partial", ".unfinished")):
            digest.update(path.relative_to(run).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def markers(run: Path) -> dict[str, str]:
    """The run's finished shards, and the checksum that each marker ends with."""
    found = {}
    for path in sorted(run.glob("done/*/[0-9]*.json")):
        found[path.relative_to(run).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
