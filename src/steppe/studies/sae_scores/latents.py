"""Every latent of one SAE: how far along its row the output changes, and what is said then.

The sample axis of this dataset is latents, so that they are shared out, and gone on with, as
samples are; every latent is tried in the same prompts.
"""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from steppe.core.axes import LATENT, PROMPT, RANK, SAMPLE, SENSE
from steppe.core.errors import InputError
from steppe.metrics import find_metrics
from steppe.metrics.distributions import entropy
from steppe.metrics.probe import ROWS, Probe
from steppe.paths import Family, family_of
from steppe.propagation import Prefix
from steppe.sae import Sae
from steppe.sae.objective import LOCAL, objective_of
from steppe.store import Template, Variable
from steppe.studies.sae_scores.measuring import Here, last, straight
from steppe.study import attributes
from steppe.study.context import Arrays
from steppe.study.crossings import Search
from steppe.study.saes import UsedSae

LATENTS = "latents"
ALONG, AGAINST = "along", "against"
SENSES = (ALONG, AGAINST)
SHARD_SIZE = 64
# Tokens that are kept of a latent.
TOP = 5
_WAYS = (SENSE, PROMPT, SAMPLE)
_VARIABLES = {
    LATENT: Variable((SAMPLE,), "1", "the latent's number in its SAE", "int64"),
    "rate": Variable((SAMPLE,), "1", "share of tokens on which it is active", "float64"),
    "crossing": Variable(
        _WAYS, "norms of the base", "where KL first reaches the level; infinite where it does not"
    ),
    "entropy": Variable(_WAYS, "nats", "change of the entropy of the next token at one length"),
    "top": Variable(_WAYS, "1", "change of the probability of the likeliest token at that length"),
    "turned": Variable(_WAYS, "1", "whether another token is the likeliest there", "bool"),
    "next_token": Variable(
        (RANK, SAMPLE), "token", "tokens whose log-probability rises most along the row", "int32"
    ),
    "rise": Variable((RANK, SAMPLE), "nats", "how much, mean over prompts"),
}


def chosen(context: Here) -> tuple[str, UsedSae]:
    """The SAE whose latents are measured one by one: by default the first local one of the site.

    Raises:
        InputError: There is none of that name.
    """
    asked, known = context.settings.latents_of, context.saes
    if asked is None:
        here = [name for name, used in known.items() if used.site.name == context.site.name]
        local = [name for name in here if _is_local(known[name])]
        asked = [*local, *here, *known][0]
    if asked not in known:
        raise InputError(
            "latents_of",
            got=repr(asked),
            expected=f"one of the run's SAEs: {', '.join(known)}",
            fix="name one of them",
        )
    return asked, known[asked]


def _is_local(used: UsedSae) -> bool:
    return isinstance(used.sae, Sae) and objective_of(used.sae) == LOCAL


def measured(context: Here) -> NDArray[np.int64]:
    """The latents that are measured, by their numbers: all, or those that fire most often."""
    rates, most = chosen(context)[1].rates.values, context.settings.latents
    if most is None or most >= len(rates):
        return np.arange(len(rates))
    return np.sort(np.argsort(-rates, kind="stable")[:most])


def lay_out_latents(context: Here) -> Template:
    """One column a latent.

    Raises:
        InputError: There are fewer prompts than every latent is to be tried in.
    """
    label, used = context.once(chosen)
    ids, prompts = context.once(measured), context.settings.latent_prompts
    if len(context.prompts) < prompts:
        raise InputError(
            "latent_prompts",
            got=f"{prompts}, with {len(context.prompts)} prompts",
            expected="at most as many as there are prompts",
            fix="give more text, or ask for fewer --latent-prompts",
        )
    config = used.sae.config if isinstance(used.sae, Sae) else None
    fixed = xr.Dataset(
        coords={SENSE: (SENSE, np.array(SENSES))},
        attrs={
            **attributes(context),
            "site": used.site.name,
            "sae": label,
            "neuronpedia": (config.neuronpedia_id if config else None) or "",
            "latents": len(used.rates.values),
            "length": length_of(context),
        },
    )
    sizes = {PROMPT: prompts, RANK: TOP}
    return Template(len(ids), SHARD_SIZE, _VARIABLES, fixed, sizes)


def length_of(context: Here) -> float:
    """The length at which the next token is looked at, in the model's own units."""
    return context.settings.latent_length * float(context.constants["scale"])


def measure_latents(context: Here, samples: range) -> Arrays:
    """Follow some latents' rows both ways from a few prompts' last activations."""
    _, used = context.once(chosen)
    ids = torch.from_numpy(context.once(measured)[samples.start : samples.stop])
    there = last(context, used.site)
    rows = used.sae.W_dec.detach()[ids.to(used.sae.W_dec.device)].double().cpu()
    ways = torch.cat([rows, -rows])
    prompts = context.settings.latent_prompts
    bases, shape = there.bases(range(prompts)), (len(SENSES), prompts, len(rows))
    found: Arrays = {name: np.empty(shape, np.float32) for name in ("crossing", "entropy", "top")}
    found["turned"] = np.empty(shape, bool)
    risen: Tensor | float = 0.0
    with there.suffix(read=[], logits=True) as suffix:
        (kl,) = find_metrics(["kl"])
        probe = Probe(suffix, kl, there.read)
        search = Search(probe, context.settings.level)
        for number, prefix in enumerate(bases.prefixes):
            base = bases.activations[number].expand(len(ways), -1)
            family = family_of("straight", base, ways, mean_free=there.centered)
            effects = _effects(probe, prefix, family, length_of(context))
            risen = risen + effects.pop("risen") / prompts
            values = {"crossing": straight(search, prefix, family), **effects}
            for name, value in values.items():
                found[name][:, number] = np.asarray(value).reshape(len(SENSES), -1)
    assert isinstance(risen, Tensor)
    top = risen.nan_to_num(-torch.inf).topk(TOP, dim=1)
    defined = torch.isfinite(top.values)
    return {
        **found,
        LATENT: ids.numpy(),
        "rate": used.rates.values[ids.numpy()],
        "next_token": torch.where(defined, top.indices, -1).T.numpy().astype(np.int32),
        "rise": torch.where(defined, top.values, torch.nan).T.numpy(),
    }


def _effects(probe: Probe, prefix: Prefix, family: Family, length: float) -> dict[str, Tensor]:
    """What the next token is like at one length of every path; NaN without a direction.

    How much log-probabilities rise, ``risen``, is of the first half of paths only, those along.
    """
    base = family.base[:1].float()
    clean = probe.outputs(prefix, base, base)[0].log_softmax(-1).cpu()
    likeliest = int(clean.argmax())
    parts: dict[str, list[Tensor]] = {name: [] for name in ("entropy", "top", "turned", "risen")}
    norm = float(base.norm())
    for some in torch.split(torch.arange(len(family)), ROWS):
        places = torch.full((len(some),), length / norm, dtype=torch.float64)
        points = family.at(some, places)
        defined = torch.isfinite(points).all(dim=1)
        points[~defined] = base
        log_p = probe.outputs(prefix, points, base).log_softmax(-1).cpu()
        log_p[~defined] = torch.nan
        parts["entropy"].append(entropy(log_p) - entropy(clean[None]))
        parts["top"].append(log_p[:, likeliest].exp() - clean[likeliest].exp())
        parts["turned"].append((log_p.argmax(dim=1) != likeliest) & defined)
        parts["risen"].append(log_p[some < len(family) // 2] - clean)
    return {name: torch.cat(values) for name, values in parts.items()}
