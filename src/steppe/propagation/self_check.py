"""Does the suffix compute what the whole model computes? Checked before a model is trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from steppe.core.errors import InputError
from steppe.core.seeds import stream
from steppe.core.sites import Site, as_site
from steppe.propagation.forward import entering_stream, stream_of, to_site
from steppe.propagation.prefix import build_prefix, engine_of
from steppe.propagation.suffix import Suffix
from steppe.subject.model import Subject

TOLERANCE = {
    torch.float64: 1e-9,
    torch.float32: 1e-4,
    torch.bfloat16: 0.05,
    torch.float16: 0.02,
}
_N_POINTS = 3
_N_NOISE = 100
_LENGTHS = (10, 17)
_LAST = Site(-1, "resid_post")


@dataclass(frozen=True)
class SelfCheck:
    """How far the suffix is from a full forward pass.

    Attributes:
        max_relative_error: Largest difference over the largest entry, of the last residual stream
            and of the logits, over all prompts and sites tried.
        tolerance: The largest error that is accepted, by number format.
        passed: Whether it is within the tolerance.
        details: The error per site, prompt length and quantity.
        engine: The engine that was checked.
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


def self_check(subject: Subject, site: Site | str) -> SelfCheck:
    """Compare the suffix with a full forward pass: two prompts, this site and one in the middle.

    The full pass runs all blocks on all positions without a cache, and adds displacements to the
    model's own raw vectors, so that coordinates which do not suit the model are found as well.

    Args:
        subject: The model.
        site: Where points will be placed; its position is not used.

    Raises:
        InputError: The subject is recurrent or the site does not exist.
    """
    site, middle = as_site(site), Site(subject.n_layers // 2, "resid_pre")
    details, noise = {}, 0.0
    for place in dict.fromkeys([Site(site.layer, site.point).resolve(subject.n_layers), middle]):
        for length in _LENGTHS:
            errors, floor = _errors(subject, place, length)
            noise = max(noise, floor)
            for name, error in errors.items():
                details[f"{place.name}, {length} tokens, {name}"] = error
    worst = max(details.values())
    tolerance = TOLERANCE[subject.dtype]
    # Written so that NaN fails.
    passed = bool(worst <= tolerance)
    return SelfCheck(worst, tolerance, passed, details, engine_of(subject), noise)


_passed: WeakKeyDictionary[nn.Module, dict[tuple[str, str, int], SelfCheck]] = WeakKeyDictionary()


def require_self_check(subject: Subject, site: Site | str) -> SelfCheck:
    """Run `self_check` on the first use of a model at a depth, and refuse the model if it fails.

    Returns:
        What the check found, when it was run.

    Raises:
        InputError: The suffix and the full forward pass disagree; names the model's family.
    """
    site = as_site(site)
    key = (engine_of(subject), subject.coordinates, site.blocks_before(subject.n_layers))
    done = _passed.setdefault(subject.model, {})
    if key in done:
        return done[key]
    check = self_check(subject, site)
    if not check.passed:
        worst = max(check.details, key=lambda name: check.details[name])
        raise InputError(
            f"self-check of {subject.name}, model family {subject.anatomy.family!r}",
            got=f"relative error {check.max_relative_error:.1e} ({worst})",
            expected=f"at most {check.tolerance:.0e} between the suffix and the full forward pass",
            fix="choose engine='general' or 'full', coordinates='raw', dtype='float32', or "
            "another model",
        )
    done[key] = check
    return check


def _errors(subject: Subject, site: Site, length: int) -> tuple[dict[str, float], float]:
    """The errors by quantity, and the noise floor."""
    random = stream(0, "self_check", length)
    length = min(length, subject.context_length or length)
    tokens = torch.from_numpy(random.integers(0, subject.d_vocab, length))
    prefix = build_prefix(subject, tokens, site)
    displacements = _displacements(prefix.base, random)
    with Suffix(subject, site, read=[_LAST], logits=True) as suffix:
        ours = suffix(prefix, prefix.base + displacements)
    with Suffix(subject, site, read=[_LAST]) as suffix:
        alone = suffix(prefix, prefix.base[None]).residuals[_LAST.name]
        batch = suffix(prefix, prefix.base.expand(_N_NOISE, -1)).residuals[_LAST.name]
    residual, logits = _full_forward(subject, site, prefix.tokens, displacements)
    assert ours.logits is not None
    errors = {
        "residual": relative_error(ours.residuals[_LAST.name], residual),
        "logits": relative_error(ours.logits, logits),
    }
    same = torch.cat([batch, alone, residual[:1]])
    return errors, float(torch.linalg.vector_norm(same - same[:1], dim=-1).max())


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Largest absolute difference over the largest absolute entry of ``expected``."""
    return float((found - expected).abs().max() / expected.abs().max())


def _displacements(base: Tensor, random: np.random.Generator) -> Tensor:
    """None at all, then some of half the base's norm."""
    draws = torch.from_numpy(random.standard_normal((_N_POINTS, len(base)))).to(base)
    draws[0] = 0.0
    lengths = torch.linalg.vector_norm(draws, dim=-1, keepdim=True).clamp_min(1.0)
    scaled: Tensor = 0.5 * torch.linalg.vector_norm(base) * draws / lengths
    return scaled


def _full_forward(
    subject: Subject, site: Site, tokens: Tensor, displacements: Tensor
) -> tuple[Tensor, Tensor]:
    """Run the whole model on the whole prompt, its last position displaced at the site."""
    blocks = subject.anatomy.blocks
    depth = site.blocks_before(subject.n_layers)
    seen: list[Tensor] = []

    def displaced(stream: Tensor) -> Tensor:
        changed = stream.clone()
        changed[:, -1] += displacements.to(stream)
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

    if depth == 0:
        handles = [blocks[0].register_forward_pre_hook(before, with_kwargs=True)]
    else:
        handles = [blocks[depth - 1].register_forward_hook(after)]
    handles.append(blocks[-1].register_forward_hook(last))
    try:
        with torch.inference_mode():
            ids = tokens.expand(len(displacements), -1)
            logits = subject.model(input_ids=ids, use_cache=False).logits[:, -1]
            return to_site(subject, seen[0][:, -1], _LAST), logits.to(displacements.dtype)
    finally:
        for handle in handles:
            handle.remove()
