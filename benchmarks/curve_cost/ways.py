"""The ways in which one curve can be computed, from the authors' to the fastest."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.core.sites import Site
from steppe.metrics import CATALOGUE, measure_path
from steppe.models import Model, load_model
from steppe.propagation import Suffix, build_prefix
from steppe.propagation.forward import StopForward, stream_of, to_site

LAST = Site.parse("blocks.last.hook_resid_post")
Curves = dict[str, NDArray[np.float32]]
Way = Callable[[], Curves]


@dataclass(frozen=True, eq=False)
class Work:
    """One path of one prompt, and what is read along it.

    Attributes:
        model: The model.
        tokens: The prompt, int64 ``(position,)``.
        site: Where points are placed.
        points: ``(step, d_model)``, or ``(step, position, d_model)`` at all positions.
        metrics: What is read.
    """

    model: Model
    tokens: Tensor
    site: Site
    points: Tensor
    metrics: tuple[str, ...]

    @property
    def needs_logits(self) -> bool:
        """Whether a metric looks at logits."""
        return any(CATALOGUE[name].reads == "logits" for name in self.metrics)


@dataclass(frozen=True)
class Size:
    """How large one curve's work is.

    Attributes:
        length: Tokens of the prompt.
        steps: Points of the path.
        layer: Points are placed before this block.
        everywhere: Whether they are placed at all positions.
    """

    length: int = 10
    steps: int = 101
    layer: int = 1
    everywhere: bool = False


def work_of(model: Model, size: Size, metrics: Sequence[str]) -> Work:
    """A path from a random prompt's activation in a random direction, as long as it is itself."""
    random = torch.Generator().manual_seed(size.length)
    tokens = torch.randint(0, model.d_vocab, (size.length,), generator=random)
    site = Site(size.layer, "resid_pre", "all" if size.everywhere else -1)
    base = build_prefix(model, tokens, site).base.cpu()
    direction = model.to_coordinates(torch.randn(base.shape, generator=random))
    direction *= base.norm(dim=-1, keepdim=True) / direction.norm(dim=-1, keepdim=True)
    steps = torch.linspace(0, 1, size.steps).reshape(-1, *[1] * base.ndim)
    points = (base + steps * direction).to(model.device)
    return Work(model, tokens, site, points, tuple(metrics))


def engine_ways(work: Work, *, half: bool, stack: ExitStack) -> dict[str, Way]:
    """The engines, each with its prefix built and its suffix open, as a study has them.

    Args:
        work: What to compute.
        half: Whether to add bfloat16.
        stack: Closes the suffixes.
    """
    models = {
        "general engine": replace(work.model, engine="general"),
        "fast engine": replace(work.model, engine="fast"),
    }
    if half:
        models["fast engine, bfloat16"] = load_model(work.model.hf_model, dtype="bfloat16")
    return {name: _engine_way(work, model, stack) for name, model in models.items()}


def _engine_way(work: Work, model: Model, stack: ExitStack) -> Way:
    suffix = Suffix(model, work.site, read=[LAST], logits=work.needs_logits)
    stack.enter_context(suffix)
    prefix = build_prefix(model, work.tokens, work.site)
    return lambda: measure_path(suffix, prefix, work.points, work.metrics, LAST)


def full_ways(work: Work) -> dict[str, Way]:
    """The whole model on the whole prompt for every point, with transformers."""
    return {
        "transformers, as the authors: all kept": lambda: _full(work, keep_all=True),
        "transformers, lean hooks": lambda: _full(work, keep_all=False),
    }


def _full(work: Work, *, keep_all: bool) -> Curves:
    """A forward pass with hooks: everything kept as the authors did, or only what is asked."""
    model, seen = work.model, {}
    blocks = model.anatomy.blocks
    where = slice(None) if work.site.position == "all" else work.site.position

    def place(_module: Any, args: Any, kwargs: Any) -> Any:
        stream = (args[0] if args else kwargs["hidden_states"]).clone()
        stream[:, where] = work.points
        return (
            ((stream, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": stream})
        )

    def last(_module: Any, _args: Any, output: Any) -> None:
        seen["residual"] = to_site(model, stream_of(output)[:, where], LAST)
        if not keep_all and not work.needs_logits:
            raise StopForward

    options = {"output_hidden_states": True} if keep_all else {}
    handles = [
        blocks[work.site.layer].register_forward_pre_hook(place, with_kwargs=True),
        blocks[-1].register_forward_hook(last),
    ]
    logits = None
    try:
        with torch.inference_mode():
            ids = work.tokens.to(model.device).expand(len(work.points), -1)
            logits = model.hf_model(input_ids=ids, use_cache=False, **options).logits[:, where]
    except StopForward:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return _curves(work, seen["residual"], logits)


def lens_ways(work: Work) -> dict[str, Way]:
    """The same through TransformerLens: none where it is not installed or the model is no GPT-2."""
    is_gpt2 = work.model.anatomy.family == "gpt2" and work.site.position != "all"
    if not is_gpt2 or find_spec("transformer_lens") is None:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lens = lens_of(work.model)
    return {
        "TransformerLens, as the authors: all kept": lambda: _lens_curves(work, lens, True),
        "TransformerLens, lean hooks": lambda: _lens_curves(work, lens, False),
    }


def lens_of(model: Model) -> Any:
    """A GPT-2 as TransformerLens holds it, with its default processing of the weights."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions.gpt2 import convert_gpt2_weights

    config = model.hf_model.config
    lens_config = HookedTransformerConfig(
        n_layers=config.n_layer,
        d_model=config.n_embd,
        n_ctx=config.n_positions,
        d_head=config.n_embd // config.n_head,
        n_heads=config.n_head,
        d_mlp=4 * config.n_embd,
        d_vocab=config.vocab_size,
        act_fn=config.activation_function,
        eps=config.layer_norm_epsilon,
        normalization_type="LN",
        device=str(model.device),
    )
    lens = HookedTransformer(lens_config)
    lens.load_and_process_state_dict(convert_gpt2_weights(model.hf_model, lens_config))
    return lens.eval()


def _lens_curves(work: Work, lens: Any, keep_all: bool) -> Curves:
    seen: dict[str, Tensor] = {}
    name = f"blocks.{work.model.n_layers - 1}.hook_resid_post"

    def place(stream: Tensor, **_: Any) -> Tensor:
        stream[:, -1] = work.points
        return stream

    def keep(stream: Tensor, **_: Any) -> None:
        seen[name] = stream[:, -1]

    ids = work.tokens.to(work.model.device).expand(len(work.points), -1)
    kind = "logits" if keep_all or work.needs_logits else None
    with torch.inference_mode(), lens.hooks(fwd_hooks=[(work.site.name, place)]):
        if keep_all:
            logits, cache = lens.run_with_cache(ids)
            residual = cache[name][:, -1]
        else:
            logits = lens.run_with_hooks(ids, fwd_hooks=[(name, keep)], return_type=kind)
            residual = seen[name]
    return _curves(work, residual, None if logits is None else logits[:, -1])


def _curves(work: Work, residual: Tensor, logits: Tensor | None) -> Curves:
    found = {}
    for name in work.metrics:
        metric = CATALOGUE[name]
        source = logits if metric.reads == "logits" else residual
        assert source is not None
        found[name] = metric.measure(source).float().cpu().numpy()
    return found
