"""What shinkle2025 measures along paths between prompts that differ in their last token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, linalg

from steppe.core.axes import BLOCK, DIRECTION, KIND, MODE, MOVED, READ, SAMPLE, STEP
from steppe.core.errors import InputError, RunFailedError
from steppe.core.sites import Site
from steppe.metrics import jacobian_norm, relative_distance
from steppe.paths.catalogue import Ends, lay_path
from steppe.propagation import GradientSuffix, Outputs, build_prefix, frozen_parts
from steppe.propagation.prefix import Prefix
from steppe.store import Template, Variable
from steppe.studies.shinkle2025.settings import Settings
from steppe.study import Bases, Context, dataset_spec

Paired = Context[Settings]
Arrays = dict[str, NDArray[Any]]

MODES = ("slerp", "linear")
NOTHING, ATTENTION, MLP = "nothing_frozen", "attention_frozen", "mlp_frozen"
LOGITS = "logits"
POST = "blocks.{}.hook_resid_post"
READS = ("hook_attn_out", "hook_resid_mid", "mlp.hook_post", "hook_mlp_out", "hook_resid_post")
# Jacobians of parts of a block: from where, to where.
NORMS = {
    "mlp": ("hook_resid_mid", "hook_mlp_out"),
    "attention": ("hook_resid_pre", "hook_attn_out"),
    "block": ("hook_resid_pre", "hook_resid_post"),
}
# Largest distance of logits at a path's end from those of the paired prompt itself, in parts of the
# distance between both prompts': what a wrong placing would exceed by far.
_END = 1e-2


def sites_after(depth: int, n_layers: int) -> list[str]:
    """Every site of the blocks after the first ``depth``, and the stream as it enters them."""
    return [POST.format(depth - 1)] + [
        f"blocks.{layer}.{hook}" for layer in range(depth, n_layers) for hook in READS
    ]


def partners(context: Paired, bases: Bases) -> NDArray[np.int64]:
    """The bases' prompts with the last token of another prompt, ``(sample, position)``.

    Raises:
        InputError: All prompts end in one token.
    """
    tokens = context.prompts.tokens
    changed: NDArray[np.int64] = tokens[bases.rows].copy()
    last = tokens[:, -1]
    if (last == last[0]).all():
        raise InputError(
            f"prompts {context.prompts.source}",
            got="prompts that all end in one token",
            expected="prompts of different last tokens: each is paired with another",
            fix="give other prompts, or another --prompt-length",
        )
    draws = context.generators("other_last_token", bases.samples)
    for row, generator in zip(changed, draws, strict=True):
        row[-1] = generator.choice(last[last != row[-1]])
    return changed


@dataclass(frozen=True, eq=False)
class Pair:
    """One sample's path, from its base to its partner.

    Attributes:
        prefix: The prompt up to the site.
        points: ``(step, d_model)``.
        partner: The partner's tokens, ``(position,)``.
    """

    prefix: Prefix
    points: Tensor
    partner: NDArray[np.int64]


def pairs(context: Paired, samples: range, mode: str, n_points: int) -> Iterator[Pair]:
    """The paths of some samples at the context's site."""
    bases = context.bases(samples)
    tokens = partners(context, bases)
    ends = Ends(bases.activations, context.activations_at(tokens), centered=context.centered)
    points = lay_path(mode, ends, n_points)
    for prefix, path, partner in zip(bases.prefixes, points, tokens, strict=True):
        yield Pair(prefix, path, partner)


def blocks_after(context: Paired) -> range:
    """The blocks after the context's site, by number.

    Raises:
        InputError: There are none, or the site is not where whole blocks begin.
    """
    site, n_layers = context.site, context.model.n_layers
    if site.is_inside or site.blocks_before(n_layers) == n_layers:
        raise InputError(
            f"site {site.name}",
            got="a site inside of a block, or after the last",
            expected="a block's output, with a block after it",
            fix="choose blocks.0.hook_resid_post",
        )
    return range(site.blocks_before(n_layers), n_layers)


def lay_out_depth(context: Paired) -> Template:
    """Distances, steps and sign flips: paths moved at every block, read at all later sites."""
    n_layers = context.model.n_layers
    curves = (MOVED, MODE, SAMPLE, READ, STEP)
    steps = np.linspace(0, 1, context.settings.n_points)
    return dataset_spec(
        context,
        {
            "relative_distance": Variable(curves, "1", "d_A / (d_A + d_B)"),
            "step_size": Variable(curves, "activation units", "L2 distance to the step before"),
            "sign_flips": Variable(
                (MOVED, MODE, SAMPLE, BLOCK, STEP),
                "1 / activation unit",
                "share of the MLP's neurons whose sign flips, per unit that resid_mid moves",
            ),
            "end_error": Variable(
                (MOVED, MODE, SAMPLE), "1", "distance of the end's logits from the partner's own"
            ),
        },
        labels={MODE: MODES, READ: [*sites_after(1, n_layers), LOGITS]},
        sizes={STEP: context.settings.n_points},
        coordinates={MOVED: np.arange(n_layers), BLOCK: np.arange(n_layers), STEP: steps},
    )


def measure_depth(context: Paired, samples: range) -> Arrays:
    """Move each block's output in turn."""
    n_layers, n_points = context.model.n_layers, context.settings.n_points
    reads = [*sites_after(1, n_layers), LOGITS]
    shape = (n_layers, len(MODES), len(samples))
    found: Arrays = {
        name: np.full((*shape, len(reads), n_points), np.nan, np.float32)
        for name in ("relative_distance", "step_size")
    }
    found["sign_flips"] = np.full((*shape, n_layers, n_points), np.nan, np.float32)
    found["end_error"] = np.full(shape, np.nan, np.float32)
    for moved in range(n_layers):
        there = context.at(POST.format(moved))
        names = sites_after(moved + 1, n_layers)
        with there.suffix(read=[Site.parse(name) for name in names], logits=True) as suffix:
            for m, mode in enumerate(MODES):
                for s, pair in enumerate(pairs(there, samples, mode, n_points)):
                    place = (moved, m, s)
                    outputs = suffix(pair.prefix, pair.points, path_length=n_points)
                    found["end_error"][place] = _end_error(there, pair, outputs)
                    for name in [*names, LOGITS]:
                        values = _values(outputs, name)
                        at = (*place, reads.index(name))
                        found["relative_distance"][at] = relative_distance(values).cpu()
                        found["step_size"][(*at, slice(1, None))] = _steps(values).cpu()
                    for block in range(moved + 1, n_layers):
                        found["sign_flips"][(*place, block, slice(1, None))] = _flips(
                            outputs, block
                        )
    return found | context.bases(samples).variables()


def _values(outputs: Outputs, name: str) -> Tensor:
    values = outputs.logits if name == LOGITS else outputs.residuals[name]
    assert values is not None
    return values


def _steps(values: Tensor) -> Tensor:
    lengths: Tensor = linalg.vector_norm(values[1:] - values[:-1], dim=-1)
    return lengths


def _flips(outputs: Outputs, block: int) -> NDArray[np.float32]:
    """Share of neurons that change their sign in each step, per unit that ``resid_mid`` moves.

    GELU and SiLU keep the sign of what enters them, ReLU tells positive from the rest. A gated
    neuron is a product: its sign flips with that of either factor.
    """
    signs = outputs.residuals[f"blocks.{block}.mlp.hook_post"] > 0
    moved = _steps(outputs.residuals[f"blocks.{block}.hook_resid_mid"])
    flips = (signs[1:] != signs[:-1]).float().mean(dim=-1)
    rate: NDArray[np.float32] = torch.where(moved > 0, flips / moved, torch.nan).cpu().numpy()
    return rate


def _end_error(context: Paired, pair: Pair, outputs: Outputs) -> float:
    """Distance of the logits at the end from the paired prompt's own, in parts of the whole way.

    Raises:
        RunFailedError: The path does not lead to the paired prompt.
    """
    logits = _values(outputs, LOGITS)
    with torch.inference_mode():
        tokens = torch.from_numpy(pair.partner).to(context.model.device)
        own = context.model.hf_model(input_ids=tokens[None], use_cache=False).logits[0, -1]
    error = float((logits[-1] - own).norm() / (logits[0] - own).norm())
    if not error < _END:
        raise RunFailedError(
            f"path moved at {context.site.name}",
            got=f"logits at its end {error:.2g} of the way off the paired prompt's own",
            expected=f"less than {_END:g}: both prompts differ in their last token alone",
            fix="run in float32; if it is, `steppe check` says whether the model is measured right",
        )
    return error


def lay_out_frozen(context: Paired) -> Template:
    """Relative distance of the logits, with parts of all later blocks frozen."""
    return dataset_spec(
        context,
        {"relative_distance": Variable((KIND, SAMPLE, STEP), "1", "d_A / (d_A + d_B) of logits")},
        labels={KIND: (NOTHING, ATTENTION, MLP)},
        sizes={STEP: context.settings.n_points},
        coordinates={STEP: np.linspace(0, 1, context.settings.n_points)},
    )


def measure_frozen(context: Paired, samples: range) -> Arrays:
    """Freeze attention, or MLPs, of all blocks after the site to what they add along the path."""
    found = pairs(context, samples, MODES[0], context.settings.n_points)
    curves = _with_parts_frozen(context, [(pair.prefix, pair.points) for pair in found])
    return {"relative_distance": curves.swapaxes(0, 1)} | context.bases(samples).variables()


def _with_parts_frozen(
    context: Paired, paths: Sequence[tuple[Prefix, Tensor]]
) -> NDArray[np.float32]:
    """Relative distance of the logits as the model is, and with parts frozen.

    Returns:
        ``(path, 3, step)``.
    """
    n_points, blocks = context.settings.n_points, blocks_after(context)
    parts = {
        kind: [f"blocks.{block}.{hook}" for block in blocks]
        for kind, hook in ((ATTENTION, "hook_attn_out"), (MLP, "hook_mlp_out"))
    }
    reads = [Site.parse(name) for names in parts.values() for name in names]
    curves = np.empty((len(paths), 3, n_points), np.float32)
    with context.suffix(read=reads, logits=True) as suffix:
        for own, (prefix, points) in zip(curves, paths, strict=True):
            free = suffix(prefix, points, path_length=n_points)
            own[0] = relative_distance(_values(free, LOGITS)).cpu()
            for k, names in enumerate(parts.values(), start=1):
                values = {name: _fixed(context, free.residuals[name]) for name in names}
                with frozen_parts(context.model, values):
                    outputs = suffix(prefix, points, path_length=n_points)
                own[k] = relative_distance(_values(outputs, LOGITS)).cpu()
    return curves


def lay_out_directions(context: Paired) -> Template:
    """The same along the directions that were asked for."""
    found = lay_out_frozen(context)
    dims = (DIRECTION, KIND, SAMPLE, STEP)
    curve = replace(found.variables["relative_distance"], dims=dims)
    names = np.array(context.settings.directions, dtype=object)
    return replace(
        found,
        variables={**found.variables, "relative_distance": curve},
        fixed=found.fixed.assign_coords({DIRECTION: names}),
    )


def measure_directions(context: Paired, samples: range) -> Arrays:
    """Move each base along every direction, as far as its partner lies, with parts frozen."""
    bases, n_points = context.bases(samples), context.settings.n_points
    base = bases.activations
    far = context.activations_at(partners(context, bases)) - base
    curves = []
    for name in context.settings.directions:
        unit = context.directions(bases, name)[:, 0]
        target = base + far.norm(dim=1, keepdim=True) * unit
        points = lay_path(MODES[0], Ends(base, target, centered=context.centered), n_points)
        paths = list(zip(bases.prefixes, points, strict=True))
        curves.append(_with_parts_frozen(context, paths).swapaxes(0, 1))
    return {"relative_distance": np.stack(curves), **bases.variables()}


def _fixed(context: Paired, added: Tensor) -> Tensor:
    return added.mean(0) if context.settings.reading == "code" else added[0]


def lay_out_jacobians(context: Paired) -> Template:
    """Norms of Jacobians along the path, block by block and of all that follows."""
    norms, whole = (KIND, SAMPLE, BLOCK, STEP), (SAMPLE, STEP)
    count, blocks = context.settings.jacobian_points, blocks_after(context)
    return dataset_spec(
        context,
        {
            "norm": Variable(norms, "1", "Frobenius norm of a part's Jacobian"),
            "norm_error": Variable(norms, "1", "its standard error; 0 where exact"),
            "suffix_norm": Variable(whole, "1", "that of all blocks after the site"),
            "suffix_norm_error": Variable(whole, "1", "its standard error; 0 where exact"),
            "relative_distance": Variable(whole, "1", "d_A / (d_A + d_B) of logits"),
        },
        labels={KIND: tuple(NORMS)},
        sizes={STEP: count},
        coordinates={BLOCK: np.array(blocks), STEP: np.linspace(0, 1, count)},
        at_most=context.settings.jacobian_samples,
    )


def measure_jacobians(context: Paired, samples: range) -> Arrays:
    """Take the norms at what each block sees along the path."""
    count, blocks = context.settings.jacobian_points, blocks_after(context)
    last = POST.format(blocks[-1])
    places = {f"blocks.{b}.{here}" for b in blocks for here, _ in NORMS.values()}
    reads = [Site.parse(name) for name in sorted(places)]
    norms = np.empty((2, len(NORMS), len(samples), len(blocks), count), np.float32)
    whole = np.empty((3, len(samples), count), np.float32)
    with context.suffix(read=reads, logits=True) as suffix:
        found = [
            (pair, suffix(pair.prefix, pair.points, path_length=count))
            for pair in pairs(context, samples, MODES[0], count)
        ]
    seeds = [int(one.integers(2**31)) for one in context.generators("probes", samples)]
    for s, (pair, outputs) in enumerate(found):
        whole[0, s] = relative_distance(_values(outputs, LOGITS)).cpu()
        own = GradientSuffix(context.model, pair.prefix)
        whole[1, s], whole[2, s] = _norms(context, own, pair.points, last, seeds[s])
        for b, block in enumerate(blocks):
            for k, (here, there) in enumerate(NORMS.values()):
                name = f"blocks.{block}.{here}"
                prefix = build_prefix(context.model, pair.prefix.tokens, name)
                part = GradientSuffix(context.model, prefix)
                points, read = outputs.residuals[name].clone(), f"blocks.{block}.{there}"
                norms[0, k, s, b], norms[1, k, s, b] = _norms(context, part, points, read, seeds[s])
    return {
        "norm": norms[0],
        "norm_error": norms[1],
        "relative_distance": whole[0],
        "suffix_norm": whole[1],
        "suffix_norm_error": whole[2],
    } | context.bases(samples).variables()


def _norms(
    context: Paired, suffix: GradientSuffix, points: Tensor, read: str, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    norms, errors = jacobian_norm(suffix, points, read, probes=context.settings.probes, seed=seed)
    return norms.numpy(), errors.numpy()
