"""Whether a model, and each SAE on it, is measured right: loss, self-check, variance, L0."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from steppe.core.bos import BosChoice
from steppe.core.bundled import DEMO, demo_saes
from steppe.core.errors import InputError
from steppe.core.progress import progress
from steppe.core.sites import Site
from steppe.propagation import SelfCheck, Suffix, build_prefix, read_residuals, self_check
from steppe.recipes.using_saes import in_coordinates_of
from steppe.sae import Sae, SaeQuality, doubts, firing_rates, load_sae, quality
from steppe.sae.belonging import REASONS
from steppe.subject import MAX_BAD_ROWS, Subject, choose_bos, load_prompts, load_subject

LENGTH = 128
SEQUENCES = 200


@dataclass(frozen=True)
class CheckRequest:
    """What is to be checked.

    Attributes:
        subject: ``demo``, a hub id or a folder.
        saes: SAEs as `load_sae` takes them; empty: those bundled with the subject.
        prompts: Where tokens come from; None: those bundled with the subject.
        device: The subject's device.
        dtype: The subject's number format.
        engine: The engine that is checked.
        coordinates: ``centered`` or ``raw``; None: those of the SAEs, else the subject's own.
        length: Tokens per sequence, BOS included; None: 128, or the subject's context if that is
            shorter.
        bos: Whether sequences get BOS: ``yes``, ``no``, or ``auto``, as the SAEs and the tokenizer
            say.
        column: The prompts' column with the text or the token ids; None: the first known one.
        strict: Whether prompts with any row that cannot be used are refused.
    """

    subject: str
    saes: tuple[str, ...] = ()
    prompts: str | None = None
    device: str = "auto"
    dtype: str = "float32"
    engine: str = "auto"
    coordinates: str | None = None
    length: int | None = None
    bos: BosChoice = "auto"
    column: str | None = None
    strict: bool = False


@dataclass(frozen=True)
class SaeReport:
    """How one SAE does on the subject's own activations.

    Attributes:
        source: Where it was read from.
        site: Its site.
        quality: Explained variance, mean L0 and dead share, on positions after the first.
        dead_in_rates: Share of latents that are dead by its firing rates.
        rates: Where those rates are from.
        doubts: What speaks against using it, for instance another model's name.
        loss_increase: Nats per token when its reconstruction replaces the activations at every
            position after the first.
    """

    source: str
    site: str
    quality: SaeQuality
    dead_in_rates: float
    rates: str
    doubts: tuple[str, ...]
    loss_increase: float


@dataclass(frozen=True)
class CheckReport:
    """What was found.

    Attributes:
        subject: Its identity, sizes and coordinates.
        tokens: Which tokens it was checked on.
        loss: Mean loss in nats per token; NaN for sequences of one token.
        self_check: The suffix run against the full forward pass.
        saes: One entry per SAE.
    """

    subject: dict[str, Any]
    tokens: str
    loss: float
    self_check: SelfCheck
    saes: tuple[SaeReport, ...]

    @property
    def passed(self) -> bool:
        """Whether the suffix agrees and nothing speaks against any SAE."""
        return self.self_check.passed and not any(sae.doubts for sae in self.saes)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "passed": self.passed}

    def __str__(self) -> str:
        verdict = "agrees" if self.self_check.passed else "DISAGREES"
        error, tolerance = self.self_check.max_relative_error, self.self_check.tolerance
        lines = [
            *(f"{key:<14}{value}" for key, value in self.subject.items()),
            f"{'tokens':<14}{self.tokens}",
            f"{'loss':<14}{self.loss:.4f} nats per token",
            f"{'engine':<14}{self.self_check.engine}",
            f"{'suffix run':<14}{verdict} with the full forward pass: relative error {error:.1e}, "
            f"at most {tolerance:.0e} accepted",
            f"{'noise floor':<14}{self.self_check.noise_floor:.1e} in the L2 distance at the last "
            "block, from rounding",
        ]
        return "\n".join([*lines, *map(_sae_lines, self.saes)])


def _sae_lines(report: SaeReport) -> str:
    found = report.quality
    warning = [f"  DOUBTFUL            {'; '.join(report.doubts)}: {REASONS}?"]
    return "\n".join(
        [
            f"SAE {report.source} at {report.site}",
            *(warning if report.doubts else []),
            f"  explained variance  {found.explained_variance:.4f}",
            f"  mean L0             {found.mean_l0:.2f}",
            f"  dead on the tokens  {found.dead_share:.2%}",
            f"  dead by its rates   {report.dead_in_rates:.2%} ({report.rates})",
            f"  loss increase       {report.loss_increase:+.4f} nats per token when substituted",
        ]
    )


def check_subject(request: CheckRequest) -> CheckReport:
    """Check a subject, and SAEs on it, on real tokens.

    Raises:
        InputError: Subject, SAE or prompts do not exist or do not fit each other.
    """
    subject = load_subject(
        request.subject,
        coordinates=request.coordinates,
        device=request.device,
        dtype=request.dtype,
        engine=request.engine,
    )
    length = request.length or min(LENGTH, subject.context_length or LENGTH)
    sources = request.saes or (demo_saes() if request.subject == DEMO else ())
    saes = {source: load_sae(source, device=subject.device) for source in sources}
    subject = in_coordinates_of(saes, subject, request.coordinates)
    bos = choose_bos(request.bos, subject, [sae.prepend_bos for sae in saes.values()])
    prompts = load_prompts(
        request.prompts,
        subject,
        length=length,
        limit=SEQUENCES,
        bos=bos.is_added,
        column=request.column,
        max_bad_rows=0.0 if request.strict else MAX_BAD_ROWS,
    )
    tokens = torch.from_numpy(prompts.tokens)
    loss = _mean_loss(subject, tokens, None)
    check = self_check(subject, Site(min(1, subject.n_layers - 1), "resid_pre"))
    identity = asdict(subject.identity)
    sizes = {"layers": subject.n_layers, "d_model": subject.d_model, "vocabulary": subject.d_vocab}
    return CheckReport(
        subject={**identity, **sizes, "coordinates": subject.coordinates},
        tokens=f"{len(tokens)} sequences of {length} tokens ({prompts.source}), BOS "
        f"{'in front of each' if bos.is_added else 'not added'} ({bos.reason}); "
        f"{prompts.skipped} of {prompts.rows} rows skipped, {prompts.equal_share:.1%} of the "
        "sequences equal an earlier one",
        loss=loss,
        self_check=check,
        saes=tuple(_check_sae(subject, sae, tokens, loss) for sae in saes.values()),
    )


def _check_sae(subject: Subject, sae: Sae, tokens: Tensor, loss: float) -> SaeReport:
    if tokens.shape[1] < 2:
        raise InputError(
            "--length",
            got=str(tokens.shape[1]),
            expected="at least 2: an SAE is checked on the positions after the first",
            fix="ask for longer sequences",
        )
    site = Site(sae.site.layer, sae.site.point, "all")
    activations = read_residuals(subject, tokens, site)[:, 1:].flatten(0, 1)
    rates, found = firing_rates(sae, activations), quality(sae, activations)
    return SaeReport(
        source="/".join(filter(None, [sae.identity.source, sae.identity.sae_id])),
        site=site.name,
        quality=found,
        dead_in_rates=float((~rates.alive).mean()),
        rates=rates.source,
        doubts=tuple(doubts(sae, subject, found)),
        loss_increase=_mean_loss(subject, tokens, sae) - loss,
    )


def _mean_loss(subject: Subject, tokens: Tensor, sae: Sae | None) -> float:
    """Mean next-token loss; with an SAE, its reconstruction in place after the first position."""
    point = Site(0, "resid_pre", "all") if sae is None else sae.site
    site = Site(point.layer, point.point, "all")
    label = "loss" if sae is None else f"loss with the SAE at {site.name}"
    losses = []
    with Suffix(subject, site, read=[], logits=True) as suffix:
        for row in progress(tokens, label, total=len(tokens), unit="sequence"):
            prefix = build_prefix(subject, row, site)
            stream = prefix.base.clone()
            if sae is not None:
                clean = prefix.base[1:]
                stream[1:] = sae.decode(sae.encode(clean), like=clean).to(stream)
            logits = suffix(prefix, stream[None]).logits
            assert logits is not None
            losses.append(_cross_entropy(logits[0, :-1], row[1:]))
    return float(torch.tensor(losses).mean())


def _cross_entropy(logits: Tensor, following: Tensor) -> float:
    loss = torch.nn.functional.cross_entropy(logits.float(), following.to(logits.device))
    return float(loss)
