"""How does a recipe start, or go on: settings are checked, material is prepared, data laid out?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Protocol, TypeVar

import torch

from steppe.core.provenance import provenance, shareable
from steppe.propagation import SelfCheck, memory_budget
from steppe.recipes.before_weights import check_before_weights
from steppe.recipes.study import Study
from steppe.recipes.study_prompts import StudyPrompts
from steppe.recipes.study_settings import StudySettings
from steppe.store import Opening, RunFolder
from steppe.subject import Subject, device_facts, load_subject

# Settings that decide what is refused, and no number of what is not.
_DECIDES_NO_NUMBER = {"accept_sae", "strict", "max_bad_rows"}


class Material(Protocol):
    """What every shard of a study draws on."""

    @property
    def settings(self) -> StudySettings:
        """What was asked."""

    @property
    def subject(self) -> Subject:
        """The model under study."""

    @property
    def check(self) -> SelfCheck:
        """The comparison of suffix and full forward pass."""

    @property
    def sae_fit(self) -> dict[str, Any]:
        """By SAE, how it does on the run's own activations."""

    def resolved(self) -> dict[str, Any]:
        """Everything that decides the run's numbers, as plain data.

        With ``subject_identity``, ``sae_identity`` and ``prompts_identity`` among it.
        """


M = TypeVar("M", bound=Material)
S = TypeVar("S", bound=StudySettings)


def start_study(
    settings: StudySettings,
    opening: Opening,
    prepare: Callable[[], M],
    build: Callable[[M, RunFolder], Study],
) -> Study:
    """Prepare a study and start, or continue, its run folder.

    Args:
        settings: What was asked.
        opening: What this process wants of the folder.
        prepare: Loads and measures what all shards share; called once the folder can be had.
        build: Makes the study of its material and its folder.

    Raises:
        InputError: Settings that do not fit, a folder of another configuration, or one that another
            process is at work in.
    """
    asked = settings.model_dump(mode="json", exclude_defaults=True) | {"recipe": settings.recipe}
    unknown = {*settings.UNRESOLVED, *_DECIDES_NO_NUMBER, *settings.hang_on_weights}
    unknown |= {"engine", "revision", "bos"}
    opening.check(settings.model_dump(mode="json", exclude=unknown))
    material = prepare()
    resolved = {**material.resolved(), "engine": material.check.engine}
    record = shareable(_provenance(material, resolved, asked))
    folder = opening.open({"asked": asked, "resolved": resolved}, record)
    study = build(material, folder)
    if opening.role == "owner":
        try:
            with folder.alone():
                study.create_datasets()
        except BaseException:
            folder.close()
            raise
    return study


def open_subject(settings: S) -> tuple[S, Subject]:
    """Load the subject that a study asks for; float32 is float32 from here on, or TF32 if asked.

    What can be seen to be wrong without the weights is said before they are read.

    Returns:
        The settings, decided by which weights these are, and the subject.

    Raises:
        InputError: It does not exist, or cannot be had as asked; a source is lacking or missing.
    """
    check_before_weights(settings)
    subject = load_subject(
        settings.subject,
        revision=settings.revision,
        coordinates=settings.coordinates,
        device=settings.device,
        dtype=settings.dtype,
        engine=settings.engine,
    )
    # On a processor "high" may mean bfloat16.
    is_tf32 = settings.tf32 and subject.device.type == "cuda"
    torch.set_float32_matmul_precision("high" if is_tf32 else "highest")
    decided = settings.decided(asdict(subject.identity))
    decided.refuse_lacking()
    return decided, subject


def resolved_settings(
    settings: StudySettings, subject: Subject, taken: StudyPrompts
) -> dict[str, Any]:
    """What any study's settings came to, as plain data; a recipe adds what it has beside them."""
    return {
        **settings.model_dump(mode="json", exclude=_DECIDES_NO_NUMBER),
        "revision": subject.identity.revision,
        "prompts": settings.prompts_source,
        "bos": "yes" if taken.bos.is_added else "no",
        # Which one of several like devices computes a shard changes nothing.
        "device": subject.device.type,
        "coordinates": subject.coordinates,
        "subject_identity": asdict(subject.identity),
        "prompts_identity": taken.identity(),
    }


def _provenance(
    material: Material, resolved: dict[str, Any], asked: dict[str, Any]
) -> dict[str, Any]:
    """What is to be known of one start, beside what the configuration says."""
    return {
        **provenance(f"a study from Python: {asked}"),
        **device_facts(material.subject.device),
        "dtype": material.settings.dtype,
        "engine": material.check.engine,
        "self_check": {
            "max_relative_error": material.check.max_relative_error,
            "tolerance": material.check.tolerance,
            "noise_floor": material.check.noise_floor,
            "note": material.check.note,
        },
        "memory_budget": memory_budget(material.subject.device),
        "subject": resolved["subject_identity"],
        "sae": resolved["sae_identity"],
        "sae_fit": material.sae_fit,
        "prompts": resolved["prompts_identity"],
        "seed": material.settings.seed,
    }
