"""Goodfire's SAEs, and qresearch's of the same form: one ``.pt`` or ``.pth`` called MODEL-SAE-lN.

ReLU, the decoder bias not taken off the input, no normalisation, after block N.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steppe.sae.config import SaeConfig
from steppe.sae.formats.files import tensor_of
from steppe.sae.formats.found import (
    Found,
    in_name,
    refuse_unread,
    residual_post,
    transposed,
    widths,
)

_FILE = r"/([^/]+)-SAE-l(\d+)\.pth?$"


def is_one(content: dict[str, Any]) -> bool:
    """Whether it is what their files hold."""
    return _suffix(content) is not None and "decoder.bias" in {
        name.replace("_linear", "") for name in content
    }


def read(place: Path, content: dict[str, Any]) -> Found:
    """Read what one file holds.

    Raises:
        InputError: It holds something else.
    """
    suffix = _suffix(content) or ""
    refuse_unread(content, (), place)
    tensors = {
        f"{letter}_{short}": tensor_of(content, f"{part}{suffix}.{kind}", place)
        for part, short in (("encoder", "enc"), ("decoder", "dec"))
        for kind, letter in (("weight", "W"), ("bias", "b"))
    }
    tensors |= {name: transposed(tensors[name]) for name in ("W_enc", "W_dec")}
    d_in, d_sae = widths(tensors["W_enc"], place)
    where = in_name(_FILE, place)
    config = SaeConfig(
        architecture="standard",
        d_in=d_in,
        d_sae=d_sae,
        hook_name=residual_post(where[2]) if where else None,
        apply_b_dec_to_input=False,
        coordinates="raw",
        model_name=where[1] if where else None,
    )
    return Found(config, tensors, place)


def _suffix(content: dict[str, Any]) -> str | None:
    """What follows encoder and decoder in the names: ``_linear`` in Goodfire's own."""
    return next((s for s in ("_linear", "") if f"encoder{s}.weight" in content), None)
