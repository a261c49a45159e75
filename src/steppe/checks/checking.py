"""Whether a model, and each SAE on it, is measured right: loss, self-check, variance, L0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from steppe.checks.check_report import CheckReport, SaeReport
from steppe.checks.records import errors_by_layer, record_of, write_record
from steppe.checks.sequence_loss import SequenceLoss
from steppe.core.bos import BosChoice
from steppe.core.bundled import DEMO, demo_saes
from steppe.core.errors import InputError
from steppe.core.progress import progress
from steppe.core.sites import Site
from steppe.models import (
    MAX_BAD_ROWS,
    Model,
    choose_bos,
    load_model,
    load_prompts,
)
from steppe.models.loading import parse_device
from steppe.propagation import self_check
from steppe.sae import Sae, doubts, firing_rates, load_sae, quality
from steppe.study.using_saes import in_coordinates_of

LENGTH = 128
TOKENS = 32_768
# Nats: the standard error at which a loss is known well enough, from so many sequences at least.
PRECISION, FEWEST = 0.02, 32


@dataclass(frozen=True)
class CheckRequest:
    """What is to be checked.

    Attributes:
        model: ``demo``, a hub id, a folder or a ``.gguf`` file.
        saes: SAEs as `load_sae` takes them; empty: those bundled with the model.
        prompts: Where tokens come from; None: those bundled with the model.
        revision: Branch, tag or commit of the model on the hub.
        device: The model's device.
        device_map: How the model is shared out over devices; None: one device.
        sae_device: Where SAEs are; None: the model's device.
        dtype: The model's number format.
        engine: The engine that is checked.
        coordinates: ``centered`` or ``raw``; None: those of the SAEs, else the model's own.
        length: Tokens per sequence, BOS included; None: 128, or the model's context if that is
            shorter.
        tokens: On how many tokens; None: as many as give the loss, and what each SAE adds to it, to
            within 0.02 nats (standard error), at most 32,768.
        bos: Whether sequences get BOS: ``yes``, ``no``, or ``auto``, as the SAEs and the tokenizer
            say.
        column: The prompts' column with the text or the token ids; None: the first known one.
        strict: Whether prompts with any row that cannot be used are refused.
        max_bad_rows: Share of rows that may be unusable and are skipped.
        prompts_revision: Branch, tag or commit of a data set of the hub.
        record: Folder that a record of the check is written to, with the errors at several layers.
    """

    model: str
    saes: tuple[str, ...] = ()
    prompts: str | None = None
    revision: str | None = None
    device: str = "auto"
    device_map: str | None = None
    sae_device: str | None = None
    dtype: str = "float32"
    engine: str = "auto"
    coordinates: str | None = None
    length: int | None = None
    tokens: int | None = None
    bos: BosChoice = "auto"
    column: str | None = None
    strict: bool = False
    max_bad_rows: float = MAX_BAD_ROWS
    prompts_revision: str | None = None
    record: Path | None = None


def check_model(request: CheckRequest) -> CheckReport:
    """Check a model, and SAEs on it, on real tokens.

    Raises:
        InputError: Model, SAE or prompts do not exist or do not fit each other.
    """
    _refuse_short(request)
    model = load_model(
        request.model,
        coordinates=request.coordinates,
        revision=request.revision,
        device=request.device,
        device_map=request.device_map,
        dtype=request.dtype,
        engine=request.engine,
    )
    length = request.length or min(LENGTH, model.context_length or LENGTH)
    asked = request.sae_device
    place = model.device if asked is None else parse_device(asked)
    saes = {source: load_sae(source, device=place) for source in _sources(request)}
    model = in_coordinates_of(saes, model, request.coordinates)
    bos = choose_bos(request.bos, model, [sae.prepend_bos for sae in saes.values()])
    prompts = load_prompts(
        request.prompts,
        model,
        length=length,
        limit=max(2, math.ceil((request.tokens or TOKENS) / length)),
        bos=bos.is_added,
        column=request.column,
        revision=request.prompts_revision,
        max_bad_rows=0.0 if request.strict else request.max_bad_rows,
    )
    tokens = torch.from_numpy(prompts.tokens)
    found = _measure(model, saes, tokens, is_enough=request.tokens is None)
    check = self_check(model, Site(min(1, model.n_layers - 1), "resid_pre"), length)
    identity = asdict(model.identity)
    sizes = {"layers": model.n_layers, "d_model": model.d_model, "vocabulary": model.d_vocab}
    loss, error = mean_and_error(found.losses)
    report = CheckReport(
        model={**identity, **sizes, "coordinates": model.coordinates},
        tokens=f"{len(found.losses)} sequences of {length} tokens ({prompts.source}), BOS "
        f"{'in front of each' if bos.is_added else 'not added'} ({bos.reason}); "
        f"{prompts.skipped} of {prompts.rows} rows skipped, {prompts.equal_share:.1%} of the "
        "sequences equal an earlier one",
        loss=loss,
        loss_error=error,
        self_check=check,
        saes=tuple(_report(model, saes[source], found, source) for source in saes),
    )
    if request.record is None:
        return report
    by_layer = errors_by_layer(model, length)
    path = write_record(record_of(model, report, by_layer), request.record)
    return replace(report, record=str(path))


@dataclass(frozen=True, eq=False)
class _Measured:
    """Losses by sequence, what each SAE adds to them, and the activations by site."""

    losses: Tensor
    increases: Mapping[str, Tensor]
    activations: Mapping[str, Tensor]


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """The mean of one number per sequence, and its standard error.

    Tokens of one sequence are alike, so that the error comes from the spread between sequences.
    """
    return float(values.mean()), float(values.std() / math.sqrt(len(values)))


def _is_known(parts: list[Tensor]) -> bool:
    values = torch.cat(parts)
    return len(values) >= FEWEST and mean_and_error(values)[1] <= PRECISION


def _measure(
    model: Model, saes: Mapping[str, Sae], tokens: Tensor, *, is_enough: bool
) -> _Measured:
    """Run sequences batch by batch, until all is known well enough where that ``is_enough``."""
    sites = {source: Site(sae.site.layer, sae.site.point, "all") for source, sae in saes.items()}
    losses: list[Tensor] = []
    increases: dict[str, list[Tensor]] = {source: [] for source in saes}
    activations: dict[str, list[Tensor]] = {site.name: [] for site in sites.values()}
    with SequenceLoss(model, list(dict.fromkeys(sites.values()))) as loss:
        size = loss.together(tokens.shape[1])
        starts = range(0, len(tokens), size)
        for start in progress(starts, "loss", unit="batch"):
            ids = tokens[start : start + size]
            read, clean = loss.clean(ids)
            losses.append(clean)
            for name, rows in activations.items():
                rows.append(read[name][:, 1:].flatten(0, 1))
            for source, site in sites.items():
                if is_enough and _is_known([*increases[source], clean.new_empty(0)]):
                    continue
                stream = read[site.name].clone()
                sae, rest = saes[source], stream[:, 1:]
                stream[:, 1:] = sae.decode(sae.encode(rest), like=rest).to(stream)
                increases[source].append(loss.replaced(site, stream, ids) - clean)
            if is_enough and all(map(_is_known, [losses, *increases.values()])):
                break
    return _Measured(
        torch.cat(losses),
        {source: torch.cat(parts) for source, parts in increases.items()},
        {name: torch.cat(rows) for name, rows in activations.items()},
    )


def _report(model: Model, sae: Sae, measured: _Measured, source: str) -> SaeReport:
    site = Site(sae.site.layer, sae.site.point, "all")
    activations = measured.activations[site.name]
    rates, found = firing_rates(sae, activations), quality(sae, activations)
    increase, error = mean_and_error(measured.increases[source])
    return SaeReport(
        source="/".join(filter(None, [sae.identity.source, sae.identity.sae_id])),
        site=site.name,
        quality=found,
        dead_in_rates=float((~rates.alive).mean()),
        rates=rates.source,
        doubts=tuple(doubts(sae, model, found)),
        loss_increase=increase,
        loss_increase_error=error,
    )


def _sources(request: CheckRequest) -> tuple[str, ...]:
    return request.saes or (demo_saes() if request.model == DEMO else ())


def _refuse_short(request: CheckRequest) -> None:
    if request.length == 1 and _sources(request):
        raise InputError(
            "--length",
            got="1",
            expected="at least 2: an SAE is checked on the positions after the first",
            fix="ask for longer sequences",
        )
