"""The model that a study asks for, and what its settings come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeVar

import torch

from steppe.core.errors import InputError
from steppe.core.progress import tell
from steppe.core.seeds import stream
from steppe.models import Model, load_model, with_random_weights
from steppe.models.half_precision import HALF, SLOW, slowdown
from steppe.models.loading import parse_device
from steppe.settings.before_weights import check_before_weights
from steppe.settings.study_settings import StudySettings
from steppe.study.code_identity import code_of
from steppe.study.study_prompts import StudyPrompts

# Settings that decide what is refused, and no number of what is not.
DECIDES_NO_NUMBER = {
    "accept_sae",
    "strict",
    "max_bad_rows",
    "device_map",
    "sae_device",
    "dtype_strict",
}


S = TypeVar("S", bound=StudySettings)


def open_model(settings: S) -> tuple[S, Model]:
    """Load the model that a study asks for; float32 is float32 from here on, or TF32 if asked.

    What can be seen to be wrong without the weights is said before they are read.

    Returns:
        The settings, decided by which weights these are, and the model.

    Raises:
        InputError: It does not exist, or cannot be had as asked; a source is lacking or missing.
    """
    check_before_weights(settings)
    model = load_model(
        settings.model,
        revision=settings.revision,
        coordinates=settings.coordinates,
        device=settings.device,
        device_map=settings.device_map,
        dtype=settings.dtype,
        engine=settings.engine,
    )
    # On a processor "high" may mean bfloat16.
    is_tf32 = settings.tf32 and model.device.type == "cuda"
    torch.set_float32_matmul_precision("high" if is_tf32 else "highest")
    decided, model = decide(settings, model)
    decided.refuse_lacking()
    return decided, model


def in_a_fast_format(settings: S, begun: Mapping[str, Any] | None = None) -> S:
    """The settings, in float32 where this processor multiplies half precision more slowly.

    A run goes on in the format that it was begun in: another processor, or one that is busier when
    it is measured, would make it another run.

    Args:
        settings: What was asked.
        begun: The configuration that the run's folder holds; None where it holds none.

    Raises:
        InputError: It is slower, and that was to be refused.
    """
    dtype = getattr(torch, settings.dtype)
    if settings.device_map or dtype not in HALF or parse_device(settings.device).type != "cpu":
        return settings
    if begun and begun["asked"].get("dtype") == settings.dtype and not settings.dtype_strict:
        return settings.model_copy(update={"dtype": begun["resolved"]["dtype"]})
    slower = slowdown(dtype)
    if slower < SLOW:
        return settings
    found = f"matrices in {settings.dtype} take {slower:.1f} times as long as in float32 here"
    if settings.dtype_strict:
        raise InputError(
            f"--dtype {settings.dtype}",
            got=found,
            expected="a processor with instructions for it, or a GPU",
            fix="leave out --dtype-strict to compute in float32, or give load_model's object, "
            "which is used as it is",
        )
    tell(f"{found}: float32 is computed (--dtype-strict stops instead)")
    return settings.model_copy(update={"dtype": "float32"})


def decide(settings: S, model: Model) -> tuple[S, Model]:
    """Settings decided by a model's weights, and the model, its weights drawn anew if asked for.

    Raises:
        InputError: Weights cannot be drawn anew: it is quantised or dispatched over devices.
    """
    if settings.random_weights:
        model = with_random_weights(model, stream(settings.seed, "weights"))
    return settings.decided(asdict(model.identity)), model


def resolved_settings(settings: StudySettings, model: Model, taken: StudyPrompts) -> dict[str, Any]:
    """What any study's settings came to, as plain data; a study adds what it has beside them."""
    return {
        **settings.model_dump(mode="json", exclude=DECIDES_NO_NUMBER),
        "revision": model.identity.revision,
        "prompts": settings.prompts_source,
        "bos": "yes" if taken.bos.is_added else "no",
        # Which one of several like devices computes a shard changes nothing.
        "device": model.device.type,
        "coordinates": model.coordinates,
        "model_identity": asdict(model.identity),
        **({"model_hooks": hooks} if (hooks := _hooks_of(model)) else {}),
        "prompts_identity": taken.identity(),
    }


def _hooks_of(model: Model) -> list[str]:
    """The hooks that a model object came with, which it is run with: where, and their code."""
    return [
        f"{name}: {code_of(hook)}"
        for name, module in model.hf_model.named_modules()
        for hook in (*module._forward_pre_hooks.values(), *module._forward_hooks.values())
    ]
