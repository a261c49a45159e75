"""How long does heimersheim2024 take on a GPT-2-small-shaped model? A tenth, extrapolated.

    python benchmarks/heimersheim2024_cost.py

The model has GPT-2 small's shape and random weights, its SAE 24,576 random latents, so that
nothing is downloaded; both cost what the real ones do. Random weights of the usual size hardly
react, so they are drawn larger, for crossings to be found as on a trained model.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import GPT2Config, GPT2LMHeadModel

from random_files import bias_for, unit_rows, write_prompts, write_sae
from steppe.studies.heimersheim2024.names import ASCENT, EXAMPLES, PLANES, TRIANGLES
from steppe.studies.heimersheim2024.parts import parts
from steppe.studies.heimersheim2024.paths import Study
from steppe.studies.heimersheim2024.sensitivity import controls
from steppe.studies.heimersheim2024.settings import Settings
from steppe.studies.heimersheim2024.study import STUDY
from steppe.study.running import open_context

LATENTS, PROMPTS = 24_576, 33_000
SITE = "blocks.1.hook_resid_pre"
# Parts of few samples: one of each is timed.
FEW = (PLANES, TRIANGLES, EXAMPLES, ASCENT)


def write_model(folder: Path) -> Settings:
    """Write model, SAE and prompts; settings that name them."""
    torch.manual_seed(0)
    hf_model = GPT2LMHeadModel(GPT2Config(initializer_range=0.06))
    hf_model.save_pretrained(folder / "model")
    rows = write_prompts(folder / "prompts.jsonl", PROMPTS, 10, hf_model.config.vocab_size)
    decoder = unit_rows(torch.randn(LATENTS, hf_model.config.n_embd))
    bias = bias_for(folder / "model", rows, decoder, hook_name=SITE, length=10)
    rates = torch.full((LATENTS,), 1e-3)
    sae = write_sae(folder / "sae", decoder, hook_name=SITE, bias=bias, rates=rates)
    files = {"model": str(folder / "model"), "sae": str(sae), "prompts": str(rows)}
    return Settings(**files, accept_sae=True)


class Clock:
    """Wall and CPU seconds since it was started: on a shared machine, the latter tell the cost."""

    def __init__(self) -> None:
        self._wall, self._cpu = perf_counter(), process_time()

    def read(self, share: float = 1.0) -> NDArray[np.float64]:
        """(wall, CPU) seconds, times ``share``."""
        found = perf_counter() - self._wall, process_time() - self._cpu
        return np.array(found) * share


def prepared(settings: Settings) -> tuple[Study, NDArray[np.float64]]:
    """The study, from a tenth of the activations, and what all of them would cost."""
    few = {"moments_samples": settings.moments_samples // 10, "control_samples": 1000}
    clock = Clock()
    study = open_context(STUDY, settings.model_copy(update=few))
    _ = study.gaussian, study.rates, study.sae_fit
    cost = clock.read(10)
    clock = Clock()
    _ = [control.gaussian for control in study.once(controls).values()]
    return study, cost + clock.read(settings.control_samples / 1000)


def main() -> None:
    """Time some samples of every part, a tenth by default; print what a whole run comes to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=12)
    samples = parser.parse_args().samples
    with tempfile.TemporaryDirectory() as place:
        study, total = prepared(write_model(Path(place)))
        print(f"preparing    wall {total[0]:6.0f} s, CPU {total[1]:6.0f} s", flush=True)
        for part in parts(study.settings):
            name, laid = part.name, part.spec(study)
            assert laid is not None
            whole, measured = laid.samples, 1 if name in FEW else samples
            clock = Clock()
            part.measure(study, range(measured))
            cost = clock.read(whole / measured)
            total = total + cost
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{name:<12} wall {cost[0]:6.0f} s, CPU {cost[1]:6.0f} s for {whole}; peak "
                  f"{peak:.0f} MB", flush=True)  # fmt: skip
        print(f"whole run    wall {total[0] / 60:.0f} min, CPU {total[1] / 60:.0f} min, "
              f"{torch.get_num_threads()} threads")  # fmt: skip


if __name__ == "__main__":
    main()
