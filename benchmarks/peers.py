"""What do other libraries take for the same points, and do they find the same?

    python -m venv /tmp/peers && /tmp/peers/bin/pip install -e '.[peers]'
    /tmp/peers/bin/python -m benchmarks.peers              # every library, each in its own process
    /tmp/peers/bin/python -m benchmarks.peers --points 200 --json

A random direction is added to the last activation before block 1 at every one of 1,000 lengths,
and the residual stream after the last block is read at the last position: all points on one prompt
of 512 tokens, or 101 points on each prompt of 10 tokens. Weights are random (GPT-2 small's shape,
and a Llama of about its size), in float32, one CPU thread. Each library runs in a process of its
own, in the most economical way that its documentation shows. Libraries that run the whole prompt
for every point take as long per point however many there are: of these one batch is timed. Times
are CPU seconds, which other work on the machine moves least; a prompt's prefix is counted. Memory
is the process's peak. The largest difference is that to a full forward pass with torch's own
hooks, in parts of its largest value.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib import metadata
from time import process_time
from typing import Any

import torch
from benchmarks.curve_cost import shapes
from benchmarks.curve_cost.ways import LAST, Size, Work, work_of
from torch import Tensor

from steppe.core.bundled import demo_model
from steppe.propagation import Suffix, build_prefix

# Points of a batch that runs the whole prompt for each.
BATCH = {10: 101, 512: 4}
_PER_PROMPT = 101


@dataclass(frozen=True)
class Row:
    """What one library took.

    Attributes:
        library: Which one, with its version.
        shape: The model's.
        length: Tokens of a prompt.
        points: How many were timed.
        seconds: CPU seconds per point.
        megabytes: Peak of the process, everything in it.
        shares_prefix: Whether what the points have in common is computed once.
        difference: Largest one to the full forward pass, in parts of the largest value.
        fault: Why there is no number.
    """

    library: str
    shape: str
    length: int
    points: int = 0
    seconds: float | None = None
    megabytes: int = 0
    shares_prefix: bool = False
    difference: float | None = None
    fault: str = ""


# From the work to a function of some points to the last residual, ``(point, d_model)``.
Peer = Callable[[Work], Callable[[Tensor], Tensor]]


def with_transformers(work: Work) -> Callable[[Tensor], Tensor]:
    """Hooks of torch on the model itself."""
    model, seen = work.model.hf_model, []
    blocks = work.model.anatomy.blocks

    def place(points: Tensor) -> Callable[..., Any]:
        def hook(_module: Any, args: Any, kwargs: Any) -> Any:
            stream = (args[0] if args else kwargs["hidden_states"]).clone()
            stream[:, -1] = points
            return (
                ((stream, *args[1:]), kwargs)
                if args
                else (args, {**kwargs, "hidden_states": stream})
            )

        return hook

    def keep(_module: Any, _args: Any, output: Any) -> None:
        seen.append((output[0] if isinstance(output, tuple) else output)[:, -1])

    def run(points: Tensor) -> Tensor:
        handles = [
            blocks[work.site.layer].register_forward_pre_hook(place(points), with_kwargs=True),
            blocks[-1].register_forward_hook(keep),
        ]
        try:
            with torch.inference_mode():
                model(input_ids=work.tokens.expand(len(points), -1), use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
        return seen.pop()

    return run


def with_transformer_lens(work: Work) -> Callable[[Tensor], Tensor]:
    """TransformerLens 3's bridge, by hooks; its tokenizer is another model's and has no part."""
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoTokenizer

    hf_model = work.model.hf_model
    with tempfile.TemporaryDirectory() as place:
        hf_model.config.save_pretrained(place)
        bridge = TransformerBridge.boot_transformers(
            place,
            hf_model=hf_model,
            tokenizer=AutoTokenizer.from_pretrained(demo_model()),
            dtype=torch.float32,
        )
    last = f"blocks.{work.model.n_layers - 1}.hook_resid_post"

    def run(points: Tensor) -> Tensor:
        seen = []

        def place(stream: Tensor, **_: Any) -> Tensor:
            stream = stream.clone()
            stream[:, -1] = points
            return stream

        def keep(stream: Tensor, **_: Any) -> None:
            seen.append(stream[:, -1])

        with torch.inference_mode():
            bridge.run_with_hooks(
                work.tokens.expand(len(points), -1),
                fwd_hooks=[(work.site.name, place), (last, keep)],
                return_type=None,
            )
        return seen[0]

    return run


def with_nnsight(work: Work) -> Callable[[Tensor], Tensor]:
    """Nnsight's trace around the model."""
    from nnsight import NNsight

    traced = NNsight(work.model.hf_model)
    is_gpt2 = work.model.anatomy.family == "gpt2"
    blocks = traced.transformer.h if is_gpt2 else traced.model.layers

    def run(points: Tensor) -> Tensor:
        ids = work.tokens.expand(len(points), -1)
        before, last = work.site.layer - 1, work.model.n_layers - 1
        with torch.inference_mode(), traced.trace(input_ids=ids, use_cache=False):
            output = blocks[before].output
            stream = output[0] if isinstance(output, tuple) else output
            stream[:, -1] = points
            end = blocks[last].output
            last_residual = (end[0] if isinstance(end, tuple) else end)[:, -1].save()
        seen: Tensor = last_residual
        return seen

    return run


def with_pyvene(work: Work) -> Callable[[Tensor], Tensor]:
    """Pyvene's intervention on a block's output, at the last position."""
    import pyvene

    layer = work.site.layer - 1
    configuration = pyvene.IntervenableConfig(
        [
            {
                "layer": layer,
                "component": "block_output",
                "intervention_type": pyvene.VanillaIntervention,
            }
        ]
    )
    model = pyvene.IntervenableModel(configuration, work.model.hf_model)
    seen: list[Tensor] = []
    block = work.model.anatomy.blocks[-1]
    own = block.forward

    def kept(*given: Any, **named: Any) -> Any:
        output = own(*given, **named)
        seen.append((output[0] if isinstance(output, tuple) else output)[:, -1])
        return output

    # Before each call it removes the hooks of everybody.
    block.forward = kept

    def run(points: Tensor) -> Tensor:
        ids = work.tokens.expand(len(points), -1)
        at = ids.shape[1] - 1
        with torch.inference_mode():
            model(
                base={"input_ids": ids},
                source_representations=[points[:, None]],
                unit_locations={"base": at},
            )
        return seen.pop()

    return run


def with_steppe(work: Work) -> Callable[[Tensor], Tensor]:
    """Steppe's default engine."""
    stack = ExitStack()
    suffix = stack.enter_context(Suffix(work.model, work.site, read=[LAST], logits=False))

    def run(points: Tensor) -> Tensor:
        prefix = build_prefix(work.model, work.tokens, work.site)
        return suffix(prefix, points).residuals[LAST.name]

    return run


PEERS: dict[str, tuple[str, Peer, bool]] = {
    "steppe": ("steppe", with_steppe, True),
    "transformers": ("transformers", with_transformers, False),
    "TransformerLens": ("transformer-lens", with_transformer_lens, False),
    "nnsight": ("nnsight", with_nnsight, False),
    "pyvene": ("pyvene", with_pyvene, False),
}


def measure(library: str, shape: str, length: int, points: int) -> Row:
    """Time one library in this process, and compare its points with the full forward pass."""
    package, make, shares = PEERS[library]
    name = f"{library} {metadata.version(package)}"
    model = shapes.load(shape, device="cpu")
    count = points if shares and length == max(BATCH) else _PER_PROMPT if shares else BATCH[length]
    work = work_of(model, Size(length=length, steps=count, layer=1), ("l2",))
    some = slice(0, BATCH[length])
    expected = model.to_coordinates(with_transformers(work)(work.points[some]))
    try:
        run = make(work)
        # The first call warms up, and is compared.
        found = model.to_coordinates(run(work.points))[some]
        started = process_time()
        run(work.points)
        seconds = process_time() - started
    except Exception as fault:  # a peer that cannot do it is a row that says so
        return Row(name, shape, length, fault=f"{type(fault).__name__}: {fault}"[:200])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    apart = float((found - expected).abs().max() / expected.abs().max())
    return Row(name, shape, length, count, seconds / count, peak, shares, apart)


def main(words: Sequence[str] | None = None) -> None:
    """Measure every library in a process of its own and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=1000, help="on the prompt of 512 tokens")
    parser.add_argument("--library", action="append", default=[], choices=PEERS, help="repeatable")
    parser.add_argument("--shape", action="append", default=[], help="repeatable")
    parser.add_argument("--length", action="append", type=int, default=[], choices=BATCH)
    parser.add_argument("--json", action="store_true", help="print JSON, a line a row")
    asked = parser.parse_args(words)
    for shape in asked.shape or ("gpt2-shape", "llama-shape"):
        for length in asked.length or BATCH:
            for library in asked.library or PEERS:
                _print(_alone(library, shape, length, asked.points), as_json=asked.json)


def _alone(library: str, shape: str, length: int, points: int) -> Row:
    given = json.dumps([library, shape, length, points])
    code = f"import json; from benchmarks.peers import told; told(*json.loads({given!r}))"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        return Row(library, shape, length, fault=f"ended with {done.returncode}")
    return Row(**json.loads(lines[-1]))


def told(library: str, shape: str, length: int, points: int) -> None:
    """Measure and print the row as JSON: what a process of its own does."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        print(json.dumps(asdict(measure(library, shape, length, points))))


def _print(row: Row, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(row)), flush=True)
        return
    start = f"{row.shape:<12}{row.length:>5} tokens  {row.library:<26}"
    if row.seconds is None or row.difference is None:
        print(f"{start}{row.fault}", flush=True)
        return
    prefix = "once" if row.shares_prefix else "for every point"
    print(
        f"{start}{1e3 * row.seconds:>9.2f} ms a point{row.megabytes:>7} MB  prefix {prefix:<17}"
        f"differs by {row.difference:.0e}", flush=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
