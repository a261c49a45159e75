"""Where a transformers model keeps its blocks, its final normalisation and its unembedding.

Found by looking and by one short forward pass, so that no family needs code of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from steppe.core.errors import InputError
from steppe.models.as_it_lies import input_device
from steppe.models.devices import is_out_of_memory
from steppe.models.mode import evaluating

Norm = Literal["layer_norm", "rms_norm", "other"]

# What a model of transformers raises that cannot run on token ids alone.
_FAULTS = (TypeError, ValueError, LookupError, AttributeError, RuntimeError)
# Invariance of a normalisation is exact up to its epsilon and the rounding of half precision.
_INVARIANCE = 0.02
# Beyond the 16 keys that torch's attention takes in one step, where it drops NaN.
_N_TOKENS = 17


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The parts of a model that steppe reads and replaces.

    Attributes:
        family: The configuration's model type, for instance ``gpt2``.
        blocks: The transformer blocks, in order.
        blocks_path: Name of the block list inside the model.
        block_returns_tuple: Whether a block returns a tuple that starts with the residual stream.
        d_model: Width of the residual stream.
        final_norm: The normalisation after the last block; None when there is none.
        norm: What the final normalisation does.
        norm_epsilon: The final normalisation's epsilon, in squared activation units.
        unembedding: The module that makes logits.
    """

    family: str
    blocks: nn.ModuleList
    blocks_path: str
    block_returns_tuple: bool
    d_model: int
    final_norm: nn.Module | None
    norm: Norm
    norm_epsilon: float | None
    unembedding: nn.Module | None

    @property
    def n_layers(self) -> int:
        """Number of transformer blocks."""
        return len(self.blocks)


def find_anatomy(hf_model: PreTrainedModel, *, blocks_path: str | None = None) -> Anatomy:
    """Find the parts of ``model``.

    Args:
        hf_model: A causal language model of transformers.
        blocks_path: Name of the block list, for a model in which it cannot be told by itself.

    Raises:
        InputError: The model is no decoder, or its block list cannot be told.
    """
    family = str(hf_model.config.model_type)
    if getattr(hf_model.config, "is_encoder_decoder", False):
        raise InputError(
            f"model family {family!r}",
            got="an encoder-decoder model",
            expected="a causal language model (decoder only)",
            fix="choose a model that AutoModelForCausalLM loads",
        )
    path = find_blocks_path(hf_model, family) if blocks_path is None else blocks_path
    blocks = hf_model.get_submodule(path)
    if not isinstance(blocks, nn.ModuleList):
        raise InputError(
            "blocks_path",
            got=f"{path!r}, a {type(blocks).__name__}",
            expected="the name of the list of transformer blocks",
            fix="look for it in print(model)",
        )
    _check_window(hf_model)
    seen = _probe(hf_model, blocks, hf_model.get_submodule(path.rpartition(".")[0]))
    norm = "other" if seen.norm is None else kind_of_norm(seen.norm, seen.d_model)
    final_norm = seen.norm if norm != "other" else None
    return Anatomy(
        family=family,
        blocks=blocks,
        blocks_path=path,
        block_returns_tuple=seen.returns_tuple,
        d_model=seen.d_model,
        final_norm=final_norm,
        norm=norm,
        norm_epsilon=_epsilon(final_norm),
        unembedding=hf_model.get_output_embeddings(),
    )


def find_blocks_path(hf_model: PreTrainedModel, family: str) -> str:
    """Name of the only outermost ModuleList under the text decoder with one entry per layer.

    Raises:
        InputError: There is none, or more than one.
    """
    count = getattr(hf_model.config.get_text_config(decoder=True), "num_hidden_layers", None)
    lists: dict[str, nn.Module] = {
        name: module
        for name, module in hf_model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == count
    }
    # A vision tower beside the decoder may be as deep; some families name no decoder rightly.
    inside = set(hf_model.get_decoder().modules())
    found = [name for name, module in lists.items() if module in inside] or list(lists)
    outermost = [name for name in found if not any(name.startswith(f"{other}.") for other in found)]
    if len(outermost) != 1 or not count:
        raise InputError(
            f"model family {family!r}",
            got=f"{len(outermost)} lists of {count} modules {outermost}",
            expected="exactly one list of transformer blocks",
            fix="this architecture is not supported; choose another model",
        )
    return outermost[0]


@dataclass
class _Seen:
    """What one short forward pass showed."""

    d_model: int = 0
    returns_tuple: bool = False
    blocks_done: bool = False
    norm: nn.Module | None = None


def _probe(hf_model: PreTrainedModel, blocks: nn.ModuleList, parent: nn.Module) -> _Seen:
    seen = _Seen()
    # Two, so that a stream ordered as (position, prompt) is not taken for (prompt, position).
    tokens = torch.zeros((1, 2), dtype=torch.int64, device=input_device(hf_model))

    def first_block(_module: nn.Module, _args: Any, output: Any) -> None:
        if not isinstance(output, Tensor | tuple):
            raise TypeError(f"a block returns a {type(output).__name__}")
        seen.returns_tuple = isinstance(output, tuple)
        stream = output[0] if isinstance(output, tuple) else output
        if stream.ndim != 3 or stream.shape[:2] != tokens.shape:
            raise TypeError(f"a block returns the shape {tuple(stream.shape)}")
        seen.d_model = int(stream.shape[-1])

    def last_block(_module: nn.Module, _args: Any, _output: Any) -> None:
        seen.blocks_done = True

    def child(module: nn.Module, _args: Any, _output: Any) -> None:
        if seen.blocks_done and seen.norm is None:
            seen.norm = module

    hooks: list[tuple[nn.Module, Callable[..., None]]] = [
        (blocks[0], first_block),
        (blocks[-1], last_block),
        *((module, child) for module in parent.children() if module is not blocks),
    ]
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        with torch.inference_mode(), evaluating(hf_model):
            hf_model(input_ids=tokens, use_cache=False)
    except _FAULTS as fault:
        # Neither too little memory nor what the user's own code raises says anything of the family.
        if is_out_of_memory(fault) or not _is_from_library(fault):
            raise
        raise InputError(
            f"model family {hf_model.config.model_type!r}",
            got=f"a short forward pass fails: {fault}",
            expected="a causal language model that runs on token ids alone",
            fix="correct the configuration (config.json) where a size or number of heads is wrong; "
            "where it is right, this architecture is not supported: choose another model",
        ) from fault
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _check_window(hf_model: PreTrainedModel) -> None:
    """Sliding layers of no tokens run without a cache, and fail with one."""
    config = hf_model.config.get_text_config(decoder=True)
    window = getattr(config, "sliding_window", None)
    slides = "sliding_attention" in (getattr(config, "layer_types", None) or ())
    if slides and isinstance(window, int) and window < 1:
        raise InputError(
            f"model family {hf_model.config.model_type!r}",
            got=f"sliding_window = {window}, of layers that attend to so many tokens",
            expected="one token or more",
            fix="correct sliding_window in config.json, or take it from where the weights are from",
        )


def check_numbers(hf_model: PreTrainedModel) -> None:
    """Refuse a model that gives NaN, as one whose configuration has a wrong constant does.

    Raises:
        InputError: It does.
    """
    limit = getattr(hf_model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    length = min(_N_TOKENS, limit) if isinstance(limit, int) and limit > 1 else _N_TOKENS
    tokens = torch.zeros((1, length), dtype=torch.int64, device=input_device(hf_model))
    with torch.inference_mode(), evaluating(hf_model):
        logits = hf_model(input_ids=tokens, use_cache=False).logits
    if bool(logits.isnan().any()):
        raise InputError(
            f"model family {hf_model.config.model_type!r}",
            got="NaN from a short forward pass, though all weights are finite",
            expected="logits that are numbers",
            fix="take config.json from where the weights come from, or correct what is wrong in it "
            "(rope_theta, an epsilon, a scale); hooks and weights in float16 make NaN, too",
        )


def _is_from_library(fault: Exception) -> bool:
    """Whether an error came up without passing through anyone else's code, such as a hook."""
    trace, packages = fault.__traceback__, set()
    while trace is not None:
        packages.add(str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0])
        trace = trace.tb_next
    return packages <= {"steppe", "torch", "transformers", "functools", "contextlib"}


def kind_of_norm(module: nn.Module, d_model: int) -> Norm:
    """Tell a LayerNorm from an RMSNorm by what it does, whatever its class is called."""
    vector = 3.0 * torch.arange(d_model).cos().reshape(1, 1, -1)
    like = next(module.parameters(), vector)
    # What lies on the disk comes to where its input is.
    vector = vector.to(like.dtype).to("cpu" if like.device.type == "meta" else like.device)
    with torch.inference_mode():
        plain, scaled, shifted = (module(v) for v in (vector, 4.0 * vector, vector + 2.0))
    if not isinstance(plain, Tensor) or not _close(plain, scaled):
        return "other"
    return "layer_norm" if _close(plain, shifted) else "rms_norm"


def _close(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() <= _INVARIANCE * one.abs().max())


def _epsilon(norm: nn.Module | None) -> float | None:
    for name in ("eps", "variance_epsilon"):
        value = getattr(norm, name, None)
        if value is not None:
            return float(value)
    return None
