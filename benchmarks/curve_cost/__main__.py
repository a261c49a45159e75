"""What a curve costs on this machine, by every way of computing it.

    python -m benchmarks.curve_cost                 # all parts, 15 minutes on 2 cores
    python -m benchmarks.curve_cost --model gpt2 --part ways --json

ways: the authors' way (whole prompt, everything kept, all logits; through TransformerLens too when
it is installed), lean hooks, the engines, bfloat16; with and without KL. long: a prompt of 512
tokens, per point. everywhere: all positions moved. families: other architectures. growth: with
steps, layer, prompt length, prompts. width: with d_model. together: several prompts at once.

"of matrix rate" compares with the time in which this machine multiplies the same matrices and does
nothing else; packed matrices can be faster than that. The last column says how many times as fast
as the slowest way. Let nothing else run meanwhile.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from benchmarks.curve_cost.parts import PARTS, run

MODELS = (
    "gpt2-shape, pythia-shape or llama-shape (random weights), llama-8b-shape (on a GPU of 80 GB), "
    "demo, a hub id, or a folder"
)


def main(words: Sequence[str] | None = None) -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gpt2-shape", help=MODELS)
    parser.add_argument("--part", action="append", default=[], choices=PARTS, help="repeatable")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--dtype", default="float32", choices=["float32", "tf32", "bfloat16", "float16"]
    )
    parser.add_argument("--threads", type=int, help="CPU threads; torch's own choice when left out")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args(words)
    report = run(
        asked.model, asked.part, device=asked.device, dtype=asked.dtype, threads=asked.threads
    )
    print(json.dumps(report.as_dict(), indent=2) if asked.json else report)


if __name__ == "__main__":
    main()
