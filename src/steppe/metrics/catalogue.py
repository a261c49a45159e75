"""The metrics there are: what each reads, and in which unit it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.lazy import load
from steppe.core.registry import Registry
from steppe.core.sites import Site
from steppe.metrics.distance import cosine, l2
from steppe.metrics.distributions import entropy, hellinger, reverse_kl, top_probability
from steppe.metrics.divergence import js, kl
from steppe.metrics.linear import linear_response
from steppe.metrics.relative import relative_distance
from steppe.models.model import Model
from steppe.propagation.prefix import Prefix
from steppe.sae.model import Sae

Reads = Literal["residual", "logits"]
Measure = Callable[[Tensor], Tensor]
# From the model, the prompt, its paths (path, step, d_model) and the read site.
Divisor = Callable[[Model, Prefix, Tensor, Site], Tensor]


@dataclass(frozen=True)
class Metric:
    """One number per point of a path.

    Attributes:
        name: What it is called.
        unit: Its unit; ``"1"`` when it has none.
        long_name: What it says, for axes and captions.
        reads: Whether it looks at the residual stream or at the logits.
        measure: From ``(step, ...)`` outputs of one path to one number per step; the reference is
            step 0 of the same batch. Axes between step and the last one are kept.
        read: The site it looks at; None: the one that the call names.
        divisor: What its numbers are divided by, from all paths of a prompt at once: a number per
            point, ``(path, step)``. None: nothing.
        content: What tells it from another of its name: the hash of an SAE, the ids of tokens.
        whole: Whether it needs the outputs of a whole path at once, its last point too.
        fits: Raises `InputError` for a model that it does not belong to; None: it fits any.
        of_model: Makes the metric of a model, where that decides more of it, as the ids of tokens.
        sae: The SAE whose latents it looks at; None: none.
    """

    name: str
    unit: str
    long_name: str
    reads: Reads
    measure: Measure
    read: Site | None = None
    divisor: Divisor | None = None
    content: str = ""
    whole: bool = False
    fits: Callable[[Model], None] | None = None
    of_model: Callable[[Model], Metric] | None = None
    sae: Sae | None = None

    def of(self, model: Model) -> Metric:
        """The metric as it is measured on a model.

        Raises:
            InputError: Its SAE or its tokens are not those of this model.
        """
        found = self if self.of_model is None else self.of_model(model)
        if found.fits is not None:
            found.fits(model)
        return found


def _derived(name: str) -> Metric | None:
    """The metric of a name that says what it is of: ``probability: Paris``."""
    if ":" not in name:
        return None
    found: Metric | None = load("steppe.metrics.named:derived")(name)
    return found


CATALOGUE: Registry[Metric] = Registry(
    "metric",
    "metrics",
    (
        Metric("l2", "activation units", "L2 distance to the base", "residual", l2),
        Metric("cosine", "1", "cosine to the base", "residual", cosine),
        Metric("kl", "nats", "KL(base || perturbed)", "logits", kl),
        Metric("js", "bits", "Jensen-Shannon divergence from the base", "logits", js),
        Metric("reverse_kl", "nats", "KL(perturbed || base)", "logits", reverse_kl),
        Metric("hellinger", "1", "Hellinger distance from the base", "logits", hellinger),
        Metric("entropy", "nats", "entropy of the next token", "logits", entropy),
        Metric(
            "relative_distance",
            "1",
            "distance to the base over that to both ends",
            "residual",
            relative_distance,
            whole=True,
        ),
        Metric(
            "linear_prediction",
            "1",
            "L2 distance over that which the Jacobian at the base predicts",
            "residual",
            l2,
            divisor=linear_response,
        ),
        Metric(
            "top_probability", "1", "probability of the likeliest token", "logits", top_probability
        ),
    ),
    _derived,
)


def find_metrics(asked: Sequence[str | Metric]) -> list[Metric]:
    """Return the metrics asked for.

    Args:
        asked: Names, or metrics themselves. ``l2@ln_final.hook_normalized`` is the metric ``l2``
            read at that site, whatever site the call names; ``probability: Paris| Rome``,
            ``log_odds:...``, ``rank:...`` are of tokens, ``latents_changed:SAE`` and
            ``latents_l1:SAE`` of an SAE at its own site.

    Raises:
        InputError: An unknown name, none at all, or two metrics of one name.
    """
    if not asked:
        raise InputError(
            "metrics",
            got="none",
            expected="one or more of " + ", ".join(CATALOGUE),
            fix="name at least one metric, for instance 'l2'",
        )
    found = [one if isinstance(one, Metric) else _find(one) for one in dict.fromkeys(asked)]
    by_name = {one.name: one for one in found}
    for one in found:
        if by_name[one.name] != one:
            raise InputError(
                f"metric {one.name!r}",
                got="two metrics of this name",
                expected="a name for each: it is that of their curves",
                fix="rename one: dataclasses.replace(metric, name='...')",
            )
    return list(by_name.values())


def read_sites(metrics: Sequence[Metric], read: Site) -> list[Site]:
    """Every site that some metrics look at; ``read`` is that of those without one of their own."""
    sites = [one.read or read for one in metrics if one.reads == "residual"]
    return list({site.name: site for site in sites}.values())


def _find(asked: str) -> Metric:
    if (derived := _derived(asked)) is not None:
        return derived
    name, at, site = asked.partition("@")
    found = CATALOGUE.find(name)
    if not at:
        return found
    if found.reads != "residual":
        raise InputError(
            f"metric {asked!r}",
            got=f"a site for {name}, which reads logits",
            expected="a metric that reads the residual stream",
            fix=f"ask for {name!r} without a site",
        )
    return replace(
        found, name=asked, long_name=f"{found.long_name} at {site}", read=Site.parse(site)
    )
