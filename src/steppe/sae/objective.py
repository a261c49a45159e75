"""What an SAE was trained to match: the activations, the model's outputs, or also later layers."""

from __future__ import annotations

from pathlib import PurePath

from steppe.sae.model import Sae

LOCAL, E2E, DOWNSTREAM = "local", "e2e", "e2e_ds"
# Releases of Braun et al. 2024, whose files do not tell.
_RELEASED = {
    "gpt2-small-res_sle-ajt": E2E,
    "gpt2-small-res_sce-ajt": E2E,
    "gpt2-small-res_slefr-ajt": DOWNSTREAM,
    "gpt2-small-res_scefr-ajt": DOWNSTREAM,
}
_ENDINGS = {"-e2e": E2E, "-e2e-ds": DOWNSTREAM}


def objective_of(sae: Sae) -> str:
    """What an SAE was trained to match: by its file, its release, or the end of its name.

    Returns:
        ``local``, ``e2e`` or ``e2e_ds``; ``local`` where nothing tells.
    """
    identity = sae.identity
    if sae.config.objective in (LOCAL, E2E, DOWNSTREAM):
        return str(sae.config.objective)
    if identity.release in _RELEASED:
        return _RELEASED[identity.release]
    name = identity.sae_id or PurePath(identity.source).name
    return next((found for end, found in _ENDINGS.items() if name.endswith(end)), LOCAL)
