"""Objects that stand in for what a study's settings name, and settings that they contradict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steppe.core.errors import InputError
from steppe.models import Model
from steppe.sae.autoencoder import Autoencoder
from steppe.settings.study_settings import SiteSettings


@dataclass(frozen=True)
class Given:
    """Objects that stand in for what the settings name.

    Attributes:
        model: The model under study.
        sae: An SAE of the site, or any object with ``encode``, ``decode`` and ``W_dec``.
        prompts: Texts, or token ids ``(prompt, position)``.
    """

    model: Model | None = None
    sae: Autoencoder | None = None
    prompts: Any = None

    def named(self) -> list[str]:
        """Which objects there are."""
        return [name for name, value in vars(self).items() if value is not None]


def refuse_bos(settings: SiteSettings, given: Given) -> None:
    """Refuse to put BOS before prompts that were given as they are to be run.

    Raises:
        InputError: Both are asked for.
    """
    if given.prompts is not None and settings.bos != "auto":
        raise InputError(
            "bos",
            got=f"{settings.bos!r}, for prompts given as texts or token ids",
            expected="prompts as they are to be run: nothing is put in front of them",
            fix="leave bos out, and begin each prompt with the token if it is wanted",
        )


def refuse_other(settings: SiteSettings, model: Model) -> None:
    """Refuse settings that were asked for and that a given model contradicts.

    Raises:
        InputError: The model has another number format, coordinates, engine or revision.
    """
    has = {
        "dtype": str(model.dtype).removeprefix("torch."),
        "coordinates": model.coordinates,
        "engine": model.engine,
        "revision": model.identity.revision,
        "device_map": None,
    }
    for name in sorted(settings.model_fields_set & has.keys()):
        asked = getattr(settings, name)
        if asked not in (None, has[name]):
            raise InputError(
                f"setting {name}",
                got=f"{asked!r}, for a model object that has {has[name]!r}",
                expected="what the object has, or nothing",
                fix=f"give {name} to load_model, or the model's name to steppe.run",
            )
