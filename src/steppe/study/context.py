"""What the parts of a study draw on: made when a part first asks for it, and only then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations import (
    KINDS,
    Gaussian,
    Moments,
    RealTargets,
    TargetRequest,
    draw_real_targets,
    estimate_moments,
    make_targets,
    ordinary,
)
from steppe.activations.structured import TOP_COSINE
from steppe.core.errors import InputError
from steppe.core.seeds import stream
from steppe.core.sites import Site
from steppe.directions import DirectionSet
from steppe.directions.resolve import Sources, identities, make_needed, vector_of
from steppe.models import Bos, Model, Prompts, with_random_weights
from steppe.paths import DIRECTIONS, DirectionRequest, make_directions
from steppe.propagation import SelfCheck, Suffix, read_residuals, require_self_check
from steppe.sae import FiringRates, Sae
from steppe.sae.autoencoder import Autoencoder
from steppe.settings.study_settings import SiteSettings
from steppe.study.bases import Arrays as Arrays
from steppe.study.bases import Bases as Bases
from steppe.study.bases import KeptBases
from steppe.study.given import Given, refuse_bos, refuse_other
from steppe.study.prompts import GIVEN, as_prompts
from steppe.study.saes import UsedSae, open_for
from steppe.study.starting import decide, open_model, resolved_settings
from steppe.study.study_prompts import StudyPrompts, take_prompts
from steppe.study.using_saes import fit_record

S = TypeVar("S", bound=SiteSettings)
T = TypeVar("T")


@dataclass(eq=False)
class Context(Generic[S]):
    """The model, the prompts, the pool of real activations, its moments and the SAEs of a study.

    What is not a field is made on its first use: a study that draws no Gaussian estimates no
    covariance.

    Attributes:
        settings: What was asked, decided by which weights the model has.
        model: The model under study, in the SAE's coordinates where there is an SAE.
        needs: What the study's parts cannot do without: ``pool``, ``moments``, ``sae``.
        given_saes: The SAEs by label; none where no part needs one.
        given_prompts: Prompts that stand in for the settings' own.
        constants: What the study measured before its first part, as plain data; part of the run's
            configuration. ``top_cosine`` among them is that of `TargetRequest`.
        place: Another site than the settings'; see `at`.
        kept_directions: The fixed directions that the run's folder holds.
    """

    settings: S
    model: Model
    needs: frozenset[str] = frozenset()
    given_saes: Mapping[str, Autoencoder] = field(default_factory=dict)
    given_prompts: Any = None
    constants: dict[str, Any] = field(default_factory=dict)
    place: Site | None = None
    kept_directions: DirectionSet | None = field(default=None, repr=False)
    _places: dict[str, Self] = field(default_factory=dict, init=False, repr=False)
    _made: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)
    _kept_bases: KeptBases = field(default_factory=KeptBases, init=False, repr=False)

    @classmethod
    def open(cls, settings: S, needs_of: Callable[[S], frozenset[str]], given: Given) -> Self:
        """Load the model, and the SAE where one is needed.

        Args:
            settings: What was asked.
            needs_of: From settings that the model's weights have decided to what parts need.
            given: Objects that stand in for what the settings name.

        Raises:
            InputError: They do not exist, or do not fit each other.
        """
        refuse_bos(settings, given)
        if given.model is None:
            settings, model = open_model(settings)
        else:
            refuse_other(settings, given.model)
            settings, model = decide(settings, given.model)
        needs = needs_of(settings)
        saes, model = open_for(settings, model, given.sae) if "sae" in needs else ({}, model)
        return cls(settings, model, needs, saes, given.prompts)

    def at(self, site: Site | str) -> Self:
        """The same study at another site: its pool, moments and prefixes; made once a site.

        Args:
            site: The site; as text, at the position of this one.
        """
        if isinstance(site, str):
            site = replace(self.resolve(site), position=self.site.position)
        key = f"{site.name} {site.position}"
        self._places.setdefault(f"{self.site.name} {self.site.position}", self)
        if key not in self._places:
            there = replace(self, place=site, given_prompts=self.taken, kept_directions=None)
            there._places = self._places
            self._places[key] = there
        return self._places[key]

    def once(self, make: Callable[[Self], T]) -> T:
        """What a function of the study makes of this context, made on its first use."""
        if make not in self._made:
            self._made[make] = make(self)
        found: T = self._made[make]
        return found

    @cached_property
    def site(self) -> Site:
        """Where activations are moved."""
        return self.place or self.settings.site_in(self.model.n_layers)

    @cached_property
    def read(self) -> Site:
        """Where metrics of the residual stream look."""
        return self.resolve(getattr(self.settings, "read", "blocks.last.hook_resid_post"))

    def resolve(self, site: str) -> Site:
        """A site of this model, its layer counted from 0."""
        return Site.parse(site).resolve(self.model.n_layers)

    @cached_property
    def check(self) -> SelfCheck:
        """The comparison of suffix and full forward pass at the site."""
        return require_self_check(self.model, self.site, self.prompts.tokens.shape[1])

    @property
    def centered(self) -> bool:
        """Whether activations are in centred coordinates."""
        return self.model.coordinates == "centered"

    @cached_property
    def taken(self) -> StudyPrompts:
        """The prompts, and whether BOS was put in front of them."""
        if isinstance(self.given_prompts, StudyPrompts):
            return self.given_prompts
        if self.given_prompts is not None:
            prompts = as_prompts(self.given_prompts, self.model, self.settings.prompt_length)
            return StudyPrompts(prompts, Bos(False, GIVEN))
        saes = [sae for sae in self.given_saes.values() if isinstance(sae, Sae)]
        return take_prompts(self.settings, self.model, saes)

    @property
    def prompts(self) -> Prompts:
        """The prompts."""
        return self.taken.prompts

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """All prompts in the order that bases are taken in, ``(prompt,)``.

        Raises:
            InputError: There are fewer prompts than samples.
        """
        count = len(self.prompts)
        if count < self.settings.samples:
            raise InputError(
                f"prompts {self.prompts.source}",
                got=f"{count} prompts of {self.prompts.tokens.shape[1]} tokens",
                expected=f"at least one per sample: {self.settings.samples}",
                fix="give more text, ask for fewer --samples, or raise --max-prompts",
            )
        return stream(self.settings.seed, "base_prompts").permutation(count)

    @cached_property
    def pool_rows(self) -> NDArray[np.int64]:
        """The prompts whose activations make the pool, ``(candidate,)``."""
        rows = stream(self.settings.seed, "moment_prompts").permutation(len(self.prompts))
        per_prompt = self.prompts.tokens.shape[1] - 1 if self.settings.POOL_OF_ALL_POSITIONS else 1
        return rows[: -(-self.settings.moments_samples // per_prompt)]

    @cached_property
    def pool(self) -> Tensor:
        """Real activations at the site, ``(candidate, d_model)``."""
        if self.settings.POOL_OF_ALL_POSITIONS:
            return self.activations_everywhere(self.pool_rows)[:, 1:].flatten(0, 1)
        return self.activations_of(self.pool_rows)

    @cached_property
    def center(self) -> Tensor:
        """The mean of the pool, ``(d_model,)``."""
        return self.pool.mean(0)

    @cached_property
    def moments_pool(self) -> Tensor:
        """The activations behind mean and covariance, ``(candidate, d_model)``."""
        return ordinary(self.pool) if self.settings.ordinary_moments else self.pool

    @cached_property
    def moments(self) -> Moments:
        """Mean and covariance of the pool, or of what is ordinary of it.

        Raises:
            InputError: The pool is too small for a covariance.
        """
        if len(self.moments_pool) <= self.model.d_model:
            raise InputError(
                f"prompts {self.prompts.source}",
                got=f"{len(self.moments_pool)} activations",
                expected=f"more than d_model = {self.model.d_model}, for a covariance",
                fix="give more text, raise moments_samples, or leave out random kinds",
            )
        return estimate_moments(self.moments_pool)

    @cached_property
    def gaussian(self) -> Gaussian:
        """The normal distribution with the pool's mean and covariance."""
        return Gaussian.from_moments(self.moments)

    @cached_property
    def saes(self) -> Mapping[str, UsedSae]:
        """Every SAE of the study by its label, each at the site where it is used."""
        first = next(iter(self._places.values()), self)
        if first is not self:
            return first.saes
        return {label: self._used(sae) for label, sae in self.given_saes.items()}

    def _used(self, sae: Autoencoder) -> UsedSae:
        # One that goes with the study's site is used there, even if it was accepted from elsewhere.
        own = sae.hook_name if isinstance(sae, Sae) and self.settings.sae_site is None else None
        there = self.at(own or self.settings.site_in(self.model.n_layers))
        return UsedSae(sae, there.site, lambda: there.pool, self.model, self.settings)

    @property
    def used_sae(self) -> UsedSae:
        """The only SAE of the study.

        Raises:
            InputError: No part of the study said that it needs one, or there are several.
        """
        if len(self.saes) != 1:
            raise InputError(
                f"study {self.settings.study}",
                got=f"the SAE asked for by a part, of {len(self.saes)}",
                expected="'sae' among the part's needs, and one SAE",
                fix="declare it: needs=frozenset({'sae'}); one of several is context.saes[label]",
            )
        return next(iter(self.saes.values()))

    @property
    def sae(self) -> Autoencoder:
        """The SAE of the site."""
        return self.used_sae.sae

    @property
    def rates(self) -> FiringRates:
        """Its firing rates."""
        return self.used_sae.rates

    @property
    def sae_fit(self) -> dict[str, Any]:
        """How the SAEs do on the pool; one that does badly is refused unless accepted."""
        return fit_record({label: used.quality for label, used in self.saes.items()})

    @cached_property
    def untrained(self) -> Context[S]:
        """The same study on the same architecture with weights drawn anew: a control."""
        drawn = with_random_weights(self.model, stream(self.settings.seed, "random_weights"))
        require_self_check(drawn, self.site, self.prompts.tokens.shape[1])
        needs = self.needs - {"sae"}
        return Context(self.settings, drawn, needs, {}, self.taken, self.constants, self.place)

    def activations_everywhere(self, rows: NDArray[np.int64]) -> Tensor:
        """Real activations of some prompts at all positions, ``(row, position, d_model)``."""
        tokens, site = self.prompts.tokens[rows], replace(self.site, position="all")
        return read_residuals(self.model, tokens, site, batch_size=32)

    def activations_of(self, rows: NDArray[np.int64]) -> Tensor:
        """Real activations of some prompts at the site, float32 on the CPU, ``(row, d_model)``."""
        return self.activations_at(self.prompts.tokens[rows])

    def activations_at(self, tokens: NDArray[np.int64]) -> Tensor:
        """Activations of any tokens ``(row, position)`` at the site, float32 on the CPU."""
        return read_residuals(self.model, tokens, self.site)

    def generators(self, name: str, samples: range) -> Sequence[np.random.Generator]:
        """One generator per sample of the random stream called ``name``."""
        return [stream(self.settings.seed, name, sample) for sample in samples]

    def suffix(self, *, read: Sequence[Site], logits: bool) -> Suffix:
        """The part of the model after the site, checked on its first use; a context manager."""
        _ = self.check
        return Suffix(self.model, self.site, read=read, logits=logits)

    def bases(self, samples: range) -> Bases:
        """The real bases of some samples, made once for all parts that start from them."""
        rows = self.order[samples.start : samples.stop]
        tokens = self.prompts.tokens[rows]
        make = partial(Bases.of, samples, rows, tokens, self.model, self.site)
        return self._kept_bases.get(samples, make)

    def real_targets(self, bases: Bases) -> RealTargets:
        """The real target of each base, drawn from the pool."""
        draws = self.generators("real_target", bases.samples)
        return draw_real_targets(bases.activations, self.pool, draws)

    def targets(self, bases: Bases, kinds: Sequence[str]) -> dict[str, Tensor]:
        """Targets of several kinds, float32 on the CPU, ``(sample, d_model)`` each.

        What a kind is drawn from depends on its name, the seed and the sample alone.
        """
        needs = {need for kind in kinds for need in KINDS.find(kind).needs}
        request = TargetRequest(
            base=bases.activations,
            real=self.real_targets(bases).targets if "pool" in needs else bases.activations,
            generators=lambda name: self.generators(name, bases.samples),
            gaussian=self.gaussian if "moments" in needs else None,
            sae=self.sae if "sae" in needs else None,
            rates=self.rates if "sae" in needs else None,
            pool=self.pool if "pool" in needs else None,
            reading=getattr(self.settings, "reading", "text"),
            centered=self.centered,
            top_cosine=self.constants.get("top_cosine", TOP_COSINE),
            fixed=self.fixed,
            pool_latents=lambda: self.used_sae.pool_latents,
        )
        return {kind: make_targets(kind, request) for kind in kinds}

    def directions(self, bases: Bases, kind: str, draws: int = 1) -> Tensor:
        """Unit directions of one kind, ``(sample, draw, d_model)``; NaN where there is none."""
        needs = DIRECTIONS.find(kind).needs
        request = DirectionRequest(
            base=bases.activations[:, None].expand(-1, draws, -1),
            generators=lambda name: self.generators(name, bases.samples),
            gaussian=self.gaussian if "moments" in needs else None,
            pool=self.pool if "pool" in needs else None,
            sae=self.sae if "sae" in needs else None,
            rates=self.rates if "sae" in needs else None,
            centered=self.centered,
            fixed=self.fixed,
        )
        return make_directions(kind, request)

    @cached_property
    def fixed_directions(self) -> DirectionSet:
        """Every fixed direction that a part needs, made once for all bases of this site."""
        return self.kept_directions or make_needed(self.needs, self._sources)

    def fixed(self, name: str) -> Tensor:
        """The fixed direction of a name, ``(d_model,)``."""
        return vector_of(name, self.fixed_directions)

    @property
    def _sources(self) -> Sources:
        """What fixed directions are made from; gradients are taken at the pool's first prompts."""
        return Sources(
            model=self.model,
            site=replace(self.site, position=-1),
            read=self.read,
            seed=self.settings.seed,
            bos=self.taken.begin_with(self.model.bos_token_id),
            tokens=lambda count: self.prompts.tokens[self.pool_rows[:count]],
            pool=lambda: self.pool,
            sae=lambda: self.sae,
        )

    def resolved(self) -> dict[str, Any]:
        """Everything that decides the run's numbers, as plain data."""
        return {
            **resolved_settings(self.settings, self.model, self.taken),
            "site": self.site.name,
            **({"read": self.read.name} if hasattr(self.settings, "read") else {}),
            **self._resolved_saes(),
            **({"moments_from": len(self.moments_pool)} if "moments" in self.needs else {}),
            **identities(self.needs, self._sources),
            **self.constants,
        }

    def _resolved_saes(self) -> dict[str, Any]:
        if self.settings.sae_site is None:
            return {"sae_identity": {label: used.identity for label, used in self.saes.items()}}
        if not self.saes:
            return {"sae": None, "sae_identity": None}
        identity = self.used_sae.identity
        return {
            "sae": identity["source"],
            "sae_identity": identity,
            "firing_rates": self.rates.source,
        }
