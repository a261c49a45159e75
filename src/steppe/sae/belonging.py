"""Whether an SAE belongs to a model, and does well enough on its activations to be trusted.

What can only be wrong is refused (`check_fits`); what is most likely wrong is listed
(`doubts`), for whoever uses the SAE to refuse.
"""

from __future__ import annotations

from typing import Protocol

from steppe.core.errors import InputError
from steppe.sae.model import Sae
from steppe.sae.objective import E2E, objective_of
from steppe.sae.quality import SaeQuality

# Below this an SAE most likely meets activations in other coordinates, or of another model.
LOW_VARIANCE = 0.5
# An L0 further from what was published, either way, has the same reasons.
MOST_OFF = 2.0
REASONS = (
    "other coordinates (raw or centered), another hook, normalisation or model than it was trained "
    "with, or prompts without the BOS token that it was trained with"
)
# What a model is called by, in the names of SAEs' models and as transformers' model type.
_FAMILIES = {
    "gemma": "gemma",
    "gpt2": "gpt2",
    "llama": "llama",
    "mistral": "mistral",
    "pythia": "gptneox",
    "qwen": "qwen",
}
# Names of TransformerLens, and the hub's for the same model.
_ALIASES = {
    "gpt2small": "gpt2",
    "mistral7b": "mistral7bv01",
    "mistral7binstruct": "mistral7binstructv01",
    "steppedemo": "demo",
}


class ModelIdentity(Protocol):
    """What is asked of a model's identity."""

    @property
    def source(self) -> str:
        """Where it came from: ``bundled``, ``hub``, a folder, or ``object``."""


class Host(Protocol):
    """What is asked of a model to see whether an SAE fits it."""

    @property
    def name(self) -> str:
        """What the model is called."""

    @property
    def identity(self) -> ModelIdentity:
        """Which model it is."""

    @property
    def model_type(self) -> str:
        """Its family, as transformers names it."""

    @property
    def d_model(self) -> int:
        """Width of its residual stream."""

    @property
    def n_layers(self) -> int:
        """Number of its blocks."""

    @property
    def coordinates(self) -> str:
        """``centered`` or ``raw``."""

    @property
    def can_be_centered(self) -> bool:
        """Whether both coordinates suit it."""


def check_fits(sae: Sae, model: Host) -> None:
    """Check that an SAE can be used on a model of this size, in these coordinates.

    Raises:
        InputError: The widths differ, the SAE's hook is not in the residual stream, the model has
            no such layer, or is read in other coordinates than the SAE was trained in.
    """
    place = f"SAE {sae.identity.source} on model {model.name}"
    other = "choose an SAE that was trained on this model"
    if sae.d_in != model.d_model:
        got, expected = f"d_in = {sae.d_in}", f"d_model = {model.d_model}, the model's width"
        raise InputError(place, got=got, expected=expected, fix=other)
    if sae.hook_name is not None and sae.site.layer >= model.n_layers:
        got, expected = f"hook {sae.hook_name}", f"a layer from 0 to {model.n_layers - 1}"
        raise InputError(place, got=got, expected=expected, fix=other)
    wanted = coordinates_of(sae, model)
    if wanted not in (None, model.coordinates):
        raise InputError(
            place,
            got=f"an SAE of {wanted} residuals, for a model in {model.coordinates} coordinates",
            expected=f"{wanted} coordinates: what the mean held cannot be given back to the SAE"
            if wanted == "raw"
            else f"{wanted} coordinates",
            fix=f"coordinates {wanted!r} for the model, or leave coordinates out of a study",
        )


def coordinates_of(sae: Sae, model: Host) -> str | None:
    """The coordinates in which an SAE wants a model's residuals; None where both will do.

    TransformerLens never centres a model without LayerNorm, whatever was asked of it.
    """
    return sae.config.coordinates if model.can_be_centered else None


def doubts(sae: Sae, model: Host, found: SaeQuality | None = None) -> list[str]:
    """What speaks against using an SAE on a model; empty where nothing does.

    Args:
        sae: The SAE.
        model: The model.
        found: How the SAE does on activations of its site. An SAE that was trained end to end
            matches the model's outputs, so that its explained variance is no matter.
    """
    against = []
    if not belongs_to(sae.config.model_name, model):
        against.append(f"an SAE of the model {sae.config.model_name!r}")
    if found is None:
        return against
    poor = doubts_of_fit(found)
    against += poor if found.mean_l0 == 0 or objective_of(sae) != E2E else []
    stated = sae.config.stated_l0
    if stated and found.mean_l0 and not 1 / MOST_OFF <= found.mean_l0 / stated <= MOST_OFF:
        against.append(f"L0 {found.mean_l0:.3g}, published with {stated:.3g}")
    return against


def doubts_of_fit(found: SaeQuality) -> list[str]:
    """What speaks against any SAE that does so on a model's activations; empty for nothing."""
    if found.mean_l0 == 0:
        return ["no latent active on any activation (L0 = 0)"]
    # NaN, too, is not enough.
    enough = found.explained_variance >= LOW_VARIANCE
    return [] if enough else [f"explained variance {found.explained_variance:.3g}"]


def require_trust(sae: Sae, model: Host, found: SaeQuality | None = None) -> None:
    """Refuse an SAE against which something speaks (`doubts`).

    Raises:
        InputError: It does.
    """
    refuse_doubted(sae.identity.source, model, doubts(sae, model, found), found)


def refuse_doubted(
    label: str, model: Host, against: list[str], found: SaeQuality | None = None
) -> None:
    """Refuse an SAE for what speaks against it; nothing happens where nothing does.

    Raises:
        InputError: Something does.
    """
    if not against:
        return
    raise InputError(
        f"SAE {label} on model {model.name}",
        got="; ".join(against) + (f" (L0 {found.mean_l0:.3g})" if found else ""),
        expected=f"an SAE of this model whose latents fire and explain at least {LOW_VARIANCE:.0%} "
        f"of the variance; likely reasons: {REASONS}",
        fix="choose the SAE of this model and site, or --accept-sae (`accept_sae: true`) to go on",
    )


def belongs_to(model_name: str | None, model: Host) -> bool:
    """Whether a model's name, as an SAE's trainer knew it, may be the model's.

    A model of the hub has a name of its own. That of a folder or an object says nothing, so that
    only the family can differ.
    """
    if model_name is None:
        return True
    theirs = _plain(model_name)
    if model.identity.source in ("hub", "bundled"):
        return theirs == _plain(model.name)
    families = [kind for word, kind in _FAMILIES.items() if word in theirs]
    own = model.model_type.replace("_", "")
    known = any(own.startswith(kind) for kind in _FAMILIES.values())
    return not (families and known) or any(own.startswith(kind) for kind in families)


def _plain(name: str) -> str:
    """A model's name without its owner and what is written in two ways."""
    last = name.rstrip("/").rpartition("/")[2].lower().removeprefix("meta-")
    plain = "".join(c for c in last if c.isalnum())
    return _ALIASES.get(plain, plain)
