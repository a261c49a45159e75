"""How long does heimersheim2024 take on a GPT-2-small-shaped subject? A few samples, extrapolated.

    python benchmarks/heimersheim2024_cost.py --samples 6

The subject has GPT-2 small's shape and random weights, its SAE 24,576 random latents, so that
nothing is downloaded; both cost what the real ones do. Random weights of the usual size hardly
react, so they are drawn larger, for crossings to be found as on a trained subject.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

from steppe.recipes.heimersheim2024.material import Material, prepare
from steppe.recipes.heimersheim2024.outputs import ASCENT, PLANES, TRIANGLES
from steppe.recipes.heimersheim2024.settings import Settings
from steppe.recipes.heimersheim2024.study import SHARDED

LATENTS, PROMPTS = 24_576, 33_000
FEW = {PLANES: "planes", TRIANGLES: "triangles", ASCENT: "ascent_bases"}


def write_subject(folder: Path) -> Settings:
    """Write model, SAE and prompts; settings that name them."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(initializer_range=0.06))
    model.save_pretrained(folder / "model")
    width = model.config.n_embd
    sae = folder / "sae"
    sae.mkdir()
    decoder = torch.nn.functional.normalize(torch.randn(LATENTS, width), dim=1)
    weights = {"W_enc": decoder.T.contiguous(), "W_dec": decoder,
               "b_enc": torch.full((LATENTS,), -2.0), "b_dec": torch.zeros(width)}  # fmt: skip
    save_file(weights, sae / "sae_weights.safetensors")
    save_file({"sparsity": torch.full((LATENTS,), -3.0)}, sae / "sparsity.safetensors")
    config = {
        "architecture": "standard", "d_in": width, "d_sae": LATENTS, "dtype": "float32",
        "device": "cpu", "apply_b_dec_to_input": True, "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.54.12", "hook_name": "blocks.1.hook_resid_pre"},
    }  # fmt: skip
    (sae / "cfg.json").write_text(json.dumps(config))
    rows = np.random.default_rng(0).integers(0, model.config.vocab_size, (PROMPTS, 10))
    lines = (json.dumps({"input_ids": row}) for row in rows.tolist())
    (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n")
    return Settings(
        subject=str(folder / "model"), sae=str(sae), prompts=str(folder / "prompts.jsonl")
    )


def timed_parts(material: Material, samples: int) -> dict[str, tuple[float, int, float]]:
    """By part: seconds per sample, samples of a whole run, and peak memory so far in MB."""
    found = {}
    for name, part in SHARDED.items():
        whole = part.lay_out(material).samples
        measured = 1 if name in FEW else samples
        started = perf_counter()
        part.measure(material, range(measured))
        seconds = (perf_counter() - started) / measured
        found[name] = (seconds, whole, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return found


def main() -> None:
    """Time some samples of every part and print what a whole run comes to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=6)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        settings = write_subject(Path(place))
        share = 10
        tenth = settings.model_copy(
            update={
                "moments_samples": settings.moments_samples // share,
                "control_samples": 1000,
            }
        )
        started = perf_counter()
        material = prepare(tenth)
        preparing = (perf_counter() - started) * share
        started = perf_counter()
        _ = material.controls
        preparing += (perf_counter() - started) * settings.control_samples / 1000
        print(f"preparing: {preparing:.0f} s (moments and controls, extrapolated)", flush=True)
        total = preparing
        for name, (seconds, whole, memory) in timed_parts(material, chosen.samples).items():
            total += seconds * whole
            print(f"{name:<11} {seconds:7.2f} s x {whole:4d} = {seconds * whole:6.0f} s, "
                  f"peak {memory:.0f} MB", flush=True)  # fmt: skip
        print(f"whole run: {total / 60:.0f} minutes on {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
