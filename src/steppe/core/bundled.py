"""Where the files of the bundled model lie: its model, its SAEs and its prompts."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from steppe.core.errors import InputError
from steppe.core.sites import Site

DEMO = "demo"
# Of its SAEs the one that is meant where none is named.
DEMO_SAE_ID = "blocks.1.hook_resid_pre"
_BLOCKS = 8


def is_demo_sae_site(site: str) -> bool:
    """Whether a site, by whichever of its names, is where that SAE belongs."""
    asked = Site.parse(site)
    is_there = -_BLOCKS <= asked.layer < _BLOCKS
    return is_there and asked.place(_BLOCKS) == Site.parse(DEMO_SAE_ID).place(_BLOCKS)


def demo_folder() -> Path:
    """Folder of the bundled model."""
    return Path(str(resources.files("steppe"))) / "models" / "bundled" / DEMO


def demo_model() -> Path:
    """Folder of the bundled model: configuration, weights and tokenizer.

    Raises:
        InputError: This installation carries no bundled model.
    """
    return _existing("model")


def demo_saes() -> tuple[str, ...]:
    """Names of all bundled SAEs, as `load_sae` takes them: ``demo/blocks.1.hook_resid_pre`` ...

    Raises:
        InputError: This installation carries no bundled model.
    """
    folders = sorted(path.parent.name for path in _existing("saes").glob("*/cfg.json"))
    return tuple(f"{DEMO}/{name}" for name in folders)


def demo_sae(sae_id: str) -> Path:
    """Folder of one bundled SAE; it need not exist."""
    return demo_folder() / "saes" / sae_id


def demo_prompts() -> Path:
    """File of the bundled prompts: int32 tensors ``windows_10`` and ``sequences_128``.

    Raises:
        InputError: This installation carries no bundled model.
    """
    return _existing("prompts/prompts.safetensors")


def _existing(part: str) -> Path:
    path = demo_folder() / part
    if not path.exists():
        raise InputError(
            f"bundled model {DEMO!r}",
            got=f"{path} does not exist",
            expected="the bundled model's files beside the package's code",
            fix="install steppe again from a complete copy of the repository",
        )
    return path
