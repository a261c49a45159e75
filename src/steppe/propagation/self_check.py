"""The suffix against the whole model: compared before a model is trusted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from steppe.core.errors import InputError
from steppe.core.seeds import stream
from steppe.core.sites import Site, as_site
from steppe.models.components import find_tap
from steppe.models.devices import is_out_of_memory
from steppe.models.mode import evaluating
from steppe.models.model import Model
from steppe.propagation.forward import entering_stream, stream_of, to_site
from steppe.propagation.packing import weights_stay
from steppe.propagation.prefix import (
    Prefix,
    build_prefix,
    engine_of,
    give_up_fast,
    why_not_fast,
)
from steppe.propagation.suffix import Suffix

TOLERANCE = {
    torch.float64: 1e-9,
    torch.float32: 1e-4,
    torch.bfloat16: 0.05,
    torch.float16: 0.02,
}
_N_POINTS = 3
_N_LONG = 2  # points at a run's own length
_N_NOISE = 100
# A logit so many times as large as most others is no logit but a mask, or stands out like one.
_HUGE = 100.0
_LENGTHS = (10, 17)
_LAST = Site(-1, "resid_post")


@dataclass(frozen=True)
class SelfCheck:
    """How far the suffix is from a full forward pass.

    Attributes:
        max_relative_error: Largest `relative_error` of the last residual stream and of the logits,
            over all prompts and sites tried; NaN when one of them is.
        tolerance: The largest error that is accepted, by number format.
        passed: Whether it is within the tolerance.
        details: The error per site, prompt length and quantity.
        engine: The engine that was checked.
        note: Why the engine ``auto`` is not ``fast``; empty where it is, or was not asked for.
        noise_floor: Largest L2 distance at the last block, in activation units, between what one
            and the same point gives in a batch as large as a path, alone, and in a full forward
            pass: distances of that size are rounding.
    """

    max_relative_error: float
    tolerance: float
    passed: bool
    details: dict[str, float]
    engine: str
    noise_floor: float
    note: str = ""


def self_check(model: Model, site: Site | str, length: int | None = None) -> SelfCheck:
    """Compare the suffix with a full forward pass: short prompts, and one of the run's own length.

    The full pass runs all blocks on all positions without a cache, and adds displacements to the
    model's own raw vectors, so that coordinates which do not suit the model are found as well.
    Where the engine ``auto`` is not exact as ``fast``, or cannot run, it is ``general`` from then
    on.

    Args:
        model: The model.
        site: Where points will be placed. At short prompts their last position is taken, and a site
            in the middle as well.
        length: Tokens of the run's prompts; there the site's own position is taken. None: short
            prompts only.

    Raises:
        InputError: The model is recurrent, or the site or its position do not exist.
    """
    site = as_site(site)
    if model.engine != "auto" or engine_of(model) != "fast":
        return replace(_check(model, site, length), note=why_not_fast(model) or "")
    fast = None
    try:
        fast = _check(replace(model, engine="fast"), site, length)
        reason = f"relative error {fast.max_relative_error:.1e}"
    except (AttributeError, TypeError, NotImplementedError, RuntimeError) as fault:
        if is_out_of_memory(fault):
            raise
        # What torch or transformers keep for themselves is another in some version of them.
        reason = f"{type(fault).__name__}: {fault}"
    if fast is not None and fast.passed:
        return fast
    general = _check(replace(model, engine="general"), site, length)
    if not general.passed:
        return fast or general
    give_up_fast(model, reason)
    return replace(general, note=reason)


def _check(model: Model, site: Site, length: int | None) -> SelfCheck:
    site = site.resolve(model.n_layers)
    middle = Site(model.n_layers // 2, "resid_pre")
    places = dict.fromkeys([Site(site.layer, site.point), middle])
    cases = [(place, tokens) for place in places for tokens in _LENGTHS]
    details: dict[str, float] = {}
    noise = 0.0
    with weights_stay():
        for place, tokens in cases:
            errors, floor = _errors(model, place, tokens)
            noise = max(noise, floor)
            details |= {f"{place.name}, {tokens} tokens, {name}": e for name, e in errors.items()}
        if length is not None and (site, length) not in cases:
            errors = _errors_of_run(model, site, length)
            where = f"{site.name} at position {site.position}, {length} tokens"
            details |= {f"{where}, {name}": error for name, error in errors.items()}
    tolerance = TOLERANCE[model.dtype]
    # Written so that NaN fails, and is the largest.
    passed = all(error <= tolerance for error in details.values())
    worst = float(np.max(list(details.values())))
    return SelfCheck(worst, tolerance, passed, details, engine_of(model), noise)


_passed: WeakKeyDictionary[nn.Module, dict[tuple[object, ...], SelfCheck]] = WeakKeyDictionary()


def require_self_check(model: Model, site: Site | str, length: int | None = None) -> SelfCheck:
    """Run `self_check` on the first use of a model at a site, and refuse the model if it fails.

    It is run again at another length or position, and when hooks of the model have changed.

    Args:
        model: The model.
        site: Where points will be placed.
        length: Tokens of the prompts that will be run.

    Returns:
        What the check found, when it was run.

    Raises:
        InputError: The suffix and the full forward pass disagree; names the model's family.
    """
    site = as_site(site)
    place, position = site.place(model.n_layers), site.position
    run = None if length is None or (position == -1 and length in _LENGTHS) else (length, position)
    key = (engine_of(model), model.coordinates, place, run, _hooks_of(model.hf_model))
    done = _passed.setdefault(model.hf_model, {})
    if key in done:
        return done[key]
    check = self_check(model, site, length)
    if not check.passed:
        worst = max(check.details, key=lambda name: np.nan_to_num(check.details[name], nan=np.inf))
        raise InputError(
            f"self-check of {model.name}, model family {model.anatomy.family!r}",
            got=f"relative error {check.max_relative_error:.1e} ({worst})",
            expected=f"at most {check.tolerance:.0e} between the suffix and the full forward pass",
            fix=f"choose {_otherwise(model)}",
        )
    done[(check.engine, *key[1:])] = check
    return check


def _otherwise(model: Model) -> str:
    """What has not been tried: `auto` is `fast` and `general`."""
    way = "engine='general' or 'full'" if model.engine == "fast" else "engine='full'"
    ways = {
        way: model.engine != "full",
        "coordinates='raw'": model.coordinates != "raw",
        "dtype='float32'": model.dtype != torch.float32,
        "another model": True,
    }
    *first, last = (name for name, is_left in ways.items() if is_left)
    return f"{', '.join(first)}, or {last}" if first else last


def _hooks_of(hf_model: nn.Module) -> tuple[int, ...]:
    """The hooks of all modules, by number: each is given another."""
    hooks = ([*m._forward_hooks, *m._forward_pre_hooks] for m in hf_model.modules())
    return tuple(number for one in hooks for number in one)


def _errors(model: Model, site: Site, length: int) -> tuple[dict[str, float], float]:
    """The errors by quantity at a short prompt's end, and the noise floor."""
    length = min(length, model.context_length or length)
    random, prefix = _prompt(model, site, length)
    errors, clean = _compared(model, prefix, _displacements(prefix.base, _N_POINTS, random))
    with Suffix(model, site, read=[_LAST]) as suffix:
        alone = suffix(prefix, prefix.base[None]).residuals[_LAST.name]
        batch = suffix(prefix, prefix.base.expand(_N_NOISE, -1)).residuals[_LAST.name]
    # Where numbers hang on what shares a batch, as of int8 with outliers, both passes may agree.
    errors["residual of a point alone"] = relative_error(alone, clean)
    same = torch.cat([batch, alone, clean])
    return errors, float(torch.linalg.vector_norm(same - same[:1], dim=-1).max())


def _errors_of_run(model: Model, site: Site, length: int) -> dict[str, float]:
    """The errors by quantity at a prompt of a run's own length, at the site's own position."""
    random, prefix = _prompt(model, site, length)
    return _compared(model, prefix, _displacements(prefix.base, _N_LONG, random))[0]


def _prompt(model: Model, site: Site, length: int) -> tuple[np.random.Generator, Prefix]:
    random = stream(0, "self_check", length)
    tokens = torch.from_numpy(random.integers(0, model.d_vocab, length))
    return random, build_prefix(model, tokens, site)


def _compared(
    model: Model, prefix: Prefix, displacements: Tensor
) -> tuple[dict[str, float], Tensor]:
    """The errors by quantity, and the last residual stream of a full pass that nothing moved."""
    with Suffix(model, prefix.site, read=[_LAST], logits=True) as suffix:
        ours = suffix(prefix, prefix.base + displacements)
    residual, logits = _full_forward(model, prefix, displacements)
    assert ours.logits is not None
    errors = {
        "residual": relative_error(ours.residuals[_LAST.name], residual),
        "logits": relative_error(ours.logits, logits, huge=_HUGE),
    }
    return errors, residual[:1]


def relative_error(found: Tensor, expected: Tensor, *, huge: float = torch.inf) -> float:
    """Largest absolute difference over the largest absolute entry, the worst of all rows.

    Args:
        found: Shape ``(..., entry)``.
        expected: The same shape.
        huge: An entry more than so many times the median of its row is compared with itself, so
            that no single entry hides what is wrong with the others.

    Returns:
        NaN where either holds NaN; infinity where one is infinite and the other is not. Entries
        that are infinite alike are left out.
    """
    if bool(found.isnan().any() | expected.isnan().any()):
        return float("nan")
    infinite = found.isinf() | expected.isinf()
    if not torch.equal(found[infinite], expected[infinite]):
        return float("inf")
    size = expected.abs().masked_fill(infinite, 0.0)
    difference = (found - expected).abs().masked_fill(infinite, 0.0)
    stands_out = size > huge * size.median(-1, keepdim=True).values
    largest = size.masked_fill(stands_out, 0.0).amax(-1, keepdim=True)
    scale = torch.where(stands_out, size, largest)
    return float((difference / scale.where(difference > 0, torch.ones_like(scale))).max())


def _displacements(base: Tensor, points: int, random: np.random.Generator) -> Tensor:
    """None at all, then some of half the base's norm; ``(point, ...)`` with the base's axes."""
    draws = torch.from_numpy(random.standard_normal((points, *base.shape))).to(base)
    draws[0] = 0.0
    lengths = torch.linalg.vector_norm(draws, dim=-1, keepdim=True).clamp_min(1.0)
    norms = torch.linalg.vector_norm(base, dim=-1, keepdim=True)
    scaled: Tensor = 0.5 * norms * draws / lengths
    return scaled


def _full_forward(model: Model, prefix: Prefix, displacements: Tensor) -> tuple[Tensor, Tensor]:
    """Run the whole model on the whole prompt, displaced at the site; what is read at the end.

    Where all positions are displaced, all are read.
    """
    blocks = model.anatomy.blocks
    layer, part = prefix.site.place(model.n_layers)
    is_all = prefix.site.position == "all"
    place = slice(None) if is_all else prefix.start + prefix.place
    end = slice(None) if is_all else -1
    seen: list[Tensor] = []

    def displaced(stream: Tensor) -> Tensor:
        changed = stream.clone()
        changed[:, place] += displacements.to(stream) / scale
        return changed

    def before(_module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if args:
            return (displaced(entering_stream(args, kwargs)), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": displaced(kwargs["hidden_states"])}

    def after(_module: Any, _args: Any, output: Any) -> Any:
        changed = displaced(stream_of(output))
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    def last(_module: Any, _args: Any, output: Any) -> None:
        seen.append(stream_of(output))

    scale = 1.0
    if part:
        # Between attention and MLP the stream moves as what attention adds to it does.
        tap = find_tap(model.hf_model, model.anatomy, layer, "attn_out")
        scale = tap.scale
        handles = [tap.module.register_forward_hook(after)]
    elif layer == 0:
        handles = [blocks[0].register_forward_pre_hook(before, with_kwargs=True)]
    else:
        handles = [blocks[layer - 1].register_forward_hook(after)]
    handles.append(blocks[-1].register_forward_hook(last))
    try:
        with torch.inference_mode(), evaluating(model.hf_model):
            ids = prefix.tokens.expand(len(displacements), -1)
            logits = model.hf_model(input_ids=ids, use_cache=False).logits[:, end]
            return to_site(model, seen[0][:, end], _LAST), logits.to(displacements.dtype)
    finally:
        for handle in handles:
            handle.remove()
