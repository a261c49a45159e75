"""How a study comes to its SAEs: model in their coordinates, each SAE checked and reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from steppe.core.bundled import DEMO, demo_saes
from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.models import Model
from steppe.models.loading import parse_device
from steppe.sae import Sae, SaeQuality, check_fits, load_sae, quality
from steppe.sae.autoencoder import Autoencoder
from steppe.sae.belonging import coordinates_of, doubts_of_fit, refuse_doubted, require_trust
from steppe.settings.before_weights import saes_in
from steppe.settings.study_settings import StudySettings

# Activations that quality is measured on, at most.
MEASURED_ON = 8192


def device_of_saes(settings: StudySettings, model: Model) -> torch.device:
    """Where a study's SAEs are put.

    Raises:
        InputError: There is no such device.
    """
    asked = settings.sae_device
    return model.device if asked is None else parse_device(asked)


def open_saes(sources: Sequence[str], device: torch.device) -> dict[str, Sae]:
    """Load SAEs, those of a folder of SAEs in the order of their names.

    Args:
        sources: SAEs as `load_sae` takes them, ``demo`` for all that are bundled, or folders that
            hold one SAE folder each.
        device: Where to put them.

    Returns:
        By label: the SAE's id or folder name, with its source where two would be called the same.

    Raises:
        InputError: One cannot be read, or is given twice.
    """
    found: dict[str, Sae] = {}
    every = [one for given in sources for one in (demo_saes() if given == DEMO else saes_in(given))]
    for source in dict.fromkeys(every):
        sae = load_sae(source, device=device)
        label = short_name(sae)
        if label in found:
            label = f"{sae.identity.source}/{label}"
        if label in found:
            raise InputError(
                f"SAE {source}",
                got="an SAE that was given already",
                expected="each SAE once",
                fix="leave one of them out",
            )
        found[label] = sae
    return found


def short_name(sae: Sae) -> str:
    """The SAE's id, with its release unless it is bundled, or the name of its folder."""
    identity = sae.identity
    if identity.release not in (None, DEMO):
        return f"{identity.release}/{identity.sae_id}"
    return identity.sae_id or Path(identity.source).name


def in_coordinates_of(saes: Mapping[str, Sae], model: Model, asked: str | None) -> Model:
    """Return the model in the coordinates that its SAEs were trained in.

    Args:
        saes: By label.
        model: The model.
        asked: Coordinates that were asked for, and stay; an SAE of others is refused.

    Raises:
        InputError: An SAE cannot be used on this model, or two want other coordinates than each
            other.
    """
    wanted = {label: coordinates_of(sae, model) for label, sae in saes.items()}
    known = sorted({one for one in wanted.values() if one is not None})
    if len(known) > 1:
        raise InputError(
            "SAEs",
            got="; ".join(f"{label}: {one} residuals" for label, one in wanted.items() if one),
            expected="SAEs that were trained in the same coordinates",
            fix="make one run of those on raw residuals, and one of the others",
        )
    if known and asked is None:
        model = replace(model, coordinates="raw" if known == ["raw"] else "centered")
    for sae in saes.values():
        check_fits(sae, model)
    return model


def check_belongs(
    sae: Sae, model: Model, settings: StudySettings, site: Site | None = None
) -> None:
    """Refuse an SAE of another model or site, unless told to accept it.

    Args:
        sae: The SAE.
        model: The model.
        settings: Whether it is accepted.
        site: Where activations are moved; None where the SAE's own site is used.

    Raises:
        InputError: It belongs elsewhere.
    """
    if settings.accept_sae:
        return
    require_trust(sae, model)
    if site is None or sae.hook_name is None:
        return
    if sae.site.place(model.n_layers) == site.place(model.n_layers):
        return
    raise InputError(
        f"SAE {sae.identity.source}",
        got=f"an SAE of {sae.hook_name}",
        expected=f"an SAE of {site.name}, where activations are moved",
        fix=f"choose another --sae, move at {sae.site.name} (setting `site`), or --accept-sae",
    )


def trusted_quality(
    sae: Autoencoder, model: Model, pool: Tensor, settings: StudySettings
) -> SaeQuality:
    """Measure how an SAE does on the run's own activations, and refuse one that does badly.

    Args:
        sae: The SAE; of an object it is not known how it was trained, and it is judged by its fit.
        model: The model.
        pool: Real activations of its site, ``(sample, d_model)``.
        settings: Whether it is accepted however it does.

    Raises:
        InputError: No latent fires, or it explains too little of the variance.
    """
    found = quality(sae, pool[:MEASURED_ON])
    if settings.accept_sae:
        return found
    if isinstance(sae, Sae):
        require_trust(sae, model, found)
    else:
        refuse_doubted(f"an object of {type(sae).__name__}", model, doubts_of_fit(found), found)
    return found


def fit_record(qualities: Mapping[str, SaeQuality]) -> dict[str, Any]:
    """How SAEs do on a run's own activations, as plain data for its provenance."""
    return {label: asdict(found) for label, found in qualities.items()}
