"""The tensors of an SAE's weights file, checked to be the ones its settings promise.

Only safetensors is read, never a pickle. Everything that is wrong with a file is said at once.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from steppe.core.errors import InputError
from steppe.sae.architectures import ARCHITECTURES
from steppe.sae.config import SaeConfig
from steppe.sae.formats.files import check_memory

WEIGHTS_FILE = "sae_weights.safetensors"
SPARSITY_FILE = "sparsity.safetensors"
_LOG10_NEVER = -10.0


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read every tensor of a safetensors file, on the CPU.

    Raises:
        InputError: The file is missing or is not safetensors.
    """
    check_memory(path)
    try:
        tensors: dict[str, Tensor] = load_file(path)
        return tensors
    except FileNotFoundError:
        got = "no such file"
    except (SafetensorError, OSError) as error:
        got = f"unreadable ({error})"
    raise InputError(
        str(path),
        got=got,
        expected="a safetensors file",
        fix="fetch the SAE again",
    )


def check_weights(tensors: dict[str, Tensor], config: SaeConfig, path: Path) -> dict[str, Tensor]:
    """Return the tensors that the architecture needs, in float32 at least.

    A ``scaling_factor`` of old files is dropped when it is 1 everywhere and otherwise multiplied
    into the decoder rows, which gives the same reconstructions.

    Args:
        tensors: What the file holds.
        config: What it should hold.
        path: The file, for error messages.

    Raises:
        InputError: Tensors are missing, unknown, of another shape, or hold NaN or infinities.
    """
    found = dict(tensors)
    scaling = found.pop("scaling_factor", None)
    if scaling is None:
        scaling = found.pop("finetuning_scaling_factor", None)
    expected = _expected_shapes(config)
    faults = _faults(found, expected)
    if scaling is not None:
        faults += _faults({"scaling_factor": scaling}, {"scaling_factor": (config.d_sae,)})
    if faults:
        raise InputError(
            str(path),
            got="; ".join(faults),
            expected=f"the tensors of architecture {config.architecture!r}: "
            + ", ".join(f"{name} {shape}" for name, shape in expected.items()),
            fix="fetch the SAE again, or correct the settings beside it",
        )
    weights = {name: found[name].to(_at_least_float32(found[name])) for name in expected}
    if scaling is not None and not torch.allclose(scaling, torch.ones_like(scaling)):
        _check_scaling(config, path)
        weights["W_dec"] = weights["W_dec"] * scaling.to(weights["W_dec"])[:, None]
    return weights


def fold_norm_scaling(
    weights: dict[str, Tensor], config: SaeConfig, factor: float | None, path: Path
) -> tuple[dict[str, Tensor], SaeConfig]:
    """Multiply the factor of ``expected_average_only_in`` into the weights.

    The SAE was trained on activations times this factor; afterwards it takes them as they are.

    Args:
        weights: The tensors.
        config: The settings.
        factor: sqrt(d_in) / mean activation norm on the training data; not in SAELens' files.
        path: The file, for error messages.

    Raises:
        InputError: The settings ask for a factor and none is known.
    """
    if config.normalize_activations != "expected_average_only_in":
        return weights, config
    if factor is None or not factor > 0:
        raise InputError(
            str(path),
            got="normalize_activations 'expected_average_only_in' without its factor",
            expected="the factor by which activations were scaled in training; the files lack it",
            fix="steppe.sae.read_sae(folder, norm_scaling_factor=...)",
        )
    folded = {
        **weights,
        "W_enc": weights["W_enc"] * factor,
        "W_dec": weights["W_dec"] / factor,
        "b_dec": weights["b_dec"] / factor,
    }
    return folded, replace(config, normalize_activations="none")


def read_log10_rates(path: Path, d_sae: int) -> Tensor | None:
    """Read a sparsity file: log10(firing rate + 1e-10) per latent, -10 where it never fired.

    Args:
        path: The file; None is returned when there is none.
        d_sae: Number of latents.

    Raises:
        InputError: The file holds something else.
    """
    if not path.exists():
        return None
    tensors = read_tensors(path)
    rates = tensors.get("sparsity")
    if rates is None:
        got = f"tensors {sorted(tensors)}"
    elif rates.shape != (d_sae,):
        got = f"sparsity of shape {tuple(rates.shape)}"
    elif not (torch.isfinite(rates).all() and rates.min() >= _LOG10_NEVER - 1e-3):
        got = f"values from {float(rates.min())}, {int((~torch.isfinite(rates)).sum())} not finite"
    elif rates.max() > 1e-3:
        got = f"values up to {float(rates.max())}"
    else:
        return rates.float()
    raise InputError(
        str(path),
        got=got,
        expected=f"one tensor 'sparsity' ({d_sae},), log10 firing rates from -10 to 0",
        fix="remove the file: firing rates are then measured on the model's own activations",
    )


def _expected_shapes(config: SaeConfig) -> dict[str, tuple[int, ...]]:
    sizes = {"d_in": config.d_in, "d_sae": config.d_sae}
    tensors = ARCHITECTURES[config.architecture].tensors
    return {name: tuple(sizes[axis] for axis in axes) for name, axes in tensors.items()}


def _faults(found: dict[str, Tensor], expected: dict[str, tuple[int, ...]]) -> list[str]:
    faults = [f"no tensor {name!r}" for name in expected if name not in found]
    faults += [f"unknown tensor {name!r}" for name in sorted(found) if name not in expected]
    for name, shape in expected.items():
        if name not in found:
            continue
        tensor = found[name]
        if tuple(tensor.shape) != shape:
            faults.append(f"{name!r} of shape {tuple(tensor.shape)}")
        elif not tensor.is_floating_point():
            faults.append(f"{name!r} of type {tensor.dtype}")
        elif not torch.isfinite(tensor).all():
            faults.append(f"{name!r} with {int((~torch.isfinite(tensor)).sum())} values not finite")
    return faults


def _at_least_float32(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)


def _check_scaling(config: SaeConfig, path: Path) -> None:
    if config.has_scaling_factor:
        return
    raise InputError(
        str(path),
        got="a scaling_factor other than 1, and finetuning_scaling_factor false in cfg.json",
        expected="a scaling_factor of 1, or finetuning_scaling_factor true",
        fix="set finetuning_scaling_factor in cfg.json to what the SAE was trained with",
    )
