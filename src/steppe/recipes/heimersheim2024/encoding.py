"""Part 6, the report's footnote 1: how many latents does the SAE find in a random direction?"""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from steppe.activations import isotropic
from steppe.core.axes import KIND, SAMPLE
from steppe.recipes.heimersheim2024.material import Material
from steppe.recipes.heimersheim2024.outputs import ENCODED
from steppe.sae.blocks import in_blocks


def measure(material: Material) -> xr.Dataset:
    """Active latents of real activations, of normal draws, and of isotropic vectors as long.

    Returns:
        ``l0 (kind, sample)``, with the size of the dictionary in ``attrs``.
    """
    count = min(material.settings.encoded, len(material.stock.pool))
    real = material.stock.pool[:count]
    vectors = {
        "real": real,
        "random": material.stock.gaussian.draw(material.generators("encoded_random", range(count))),
        "isotropic": isotropic(
            torch.zeros_like(real),
            real,
            material.generators("encoded_isotropic", range(count)),
            reading="text",
            centered=material.centered,
        ),
    }
    counts = np.stack([_active(material, vectors[kind]) for kind in ENCODED])
    meaning = {"unit": "latents", "long_name": "active latents"}
    return xr.Dataset(
        {"l0": ((KIND, SAMPLE), counts, meaning)},
        coords={KIND: (KIND, np.array(ENCODED, dtype=object))},
        attrs={
            "subject": material.subject.name,
            "sae": material.sae.identity.source,
            "d_sae": len(material.sae.W_dec),
        },
    )


def _active(material: Material, vectors: Tensor) -> np.ndarray:
    device = material.sae.W_dec.device

    def count(rows: Tensor) -> Tensor:
        with torch.no_grad():
            return (material.sae.encode(rows.to(device)) > 0).sum(dim=1).cpu()

    return in_blocks(count, vectors).numpy()
