"""One record of what an SAE's cfg.json says, whichever of SAELens' three generations wrote it.

The generations differ in names and defaults only, so all are brought to one record. A setting that
steppe cannot reproduce is refused here, before any weight is read.
"""

from __future__ import annotations

import json
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from steppe.core.errors import InputError
from steppe.core.sites import Site

ArchitectureName = Literal["standard", "topk", "abstopk", "groupmax", "jumprelu", "gated"]
Normalization = Literal["none", "layer_norm", "constant_norm_rescale", "expected_average_only_in"]
Coordinates = Literal["centered", "raw"]

CFG_FILE = "cfg.json"
_TEXTS = (
    "architecture",
    "hook_name",
    "hook_point",
    "activation_fn",
    "activation_fn_str",
    "coordinates",
    "model_class_name",
    "model_name",
    "neuronpedia_id",
    "objective",
    "reshape_activations",
)
# What `metadata` may say: where an SAE belongs. What it computes stands at the top level.
_METADATA = (
    "coordinates",
    "hook_head_index",
    "hook_name",
    "l0",
    "model_class_name",
    "model_from_pretrained_kwargs",
    "model_name",
    "neuronpedia_id",
    "objective",
    "prepend_bos",
)
_OBJECTS = ("metadata", "activation_fn_kwargs", "model_from_pretrained_kwargs")
# More than any array can have; Python prints no number of thousands of digits.
MOST = 2**40
_TOP_K = ("topk", "abstopk", "groupmax")
_REFUSED = {
    "transcoder": "it does not reconstruct its input",
    "skip_transcoder": "it does not reconstruct its input",
    "jumprelu_transcoder": "it does not reconstruct its input",
    "jumprelu_skip_transcoder": "it does not reconstruct its input",
    "temporal": "it needs the whole sequence, not one activation",
    "matching_pursuit": "its encoder is iterative and not read by steppe",
}


@dataclass(frozen=True)
class SaeConfig:
    """The settings of one SAE that decide what it computes and where it belongs.

    Attributes:
        architecture: How latents are computed from pre-activations.
        d_in: Width of the activations that the SAE reads and reconstructs.
        d_sae: Number of latents.
        hook_name: Where in the model the SAE was trained, as TransformerLens names it.
        apply_b_dec_to_input: Whether the decoder bias is taken off the input before encoding.
        normalize_activations: How the input is normalised, and the output brought back.
        k: Number of latents kept by the top-k architectures.
        rescale_acts_by_decoder_norm: Whether pre-activations are weighed by decoder row norms.
        has_scaling_factor: Whether latents are multiplied by a fine-tuned factor when decoded.
        coordinates: Whether it was trained on raw residuals or on centred ones, where its file says
            or implies it and where it makes a difference.
        model_name: Name of the model as the SAE's trainer knew it.
        prepend_bos: Whether the training prompts began with BOS.
        objective: What the SAE was trained to match, where its file says: ``local`` (the
            activations), ``e2e`` (the model's outputs) or ``e2e_ds`` (and later layers, too).
        stated_l0: Mean number of active latents that it was published with, where that is known.
        neuronpedia_id: Where Neuronpedia shows its latents, ``model/source``, where that is known.
    """

    architecture: ArchitectureName
    d_in: int
    d_sae: int
    hook_name: str | None = None
    apply_b_dec_to_input: bool = True
    normalize_activations: Normalization = "none"
    k: int | None = None
    rescale_acts_by_decoder_norm: bool = False
    has_scaling_factor: bool = False
    coordinates: Coordinates | None = None
    model_name: str | None = None
    prepend_bos: bool | None = None
    objective: str | None = None
    stated_l0: float | None = None
    neuronpedia_id: str | None = None

    @property
    def site(self) -> Site:
        """Where in the residual stream the SAE belongs.

        Raises:
            InputError: The SAE names no hook, or one outside the residual stream.
        """
        if self.hook_name is None:
            raise InputError(
                "SAE hook",
                got="no hook_name in cfg.json",
                expected="blocks.<layer>.hook_resid_pre or blocks.<layer>.hook_resid_post",
                fix="name the site yourself",
            )
        site = Site.parse(self.hook_name)
        if not site.is_stream:
            raise InputError(
                "SAE hook",
                got=repr(self.hook_name),
                expected="an SAE that reconstructs one vector of the residual stream",
                fix="choose an SAE of the residual stream",
            )
        return site


def read_config(path: Path) -> SaeConfig:
    """Read a cfg.json of any generation.

    Args:
        path: The file.

    Raises:
        InputError: The file is missing, is not JSON, or asks for something steppe does not read.
    """
    try:
        cfg = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            str(path),
            got="no such file",
            expected="a folder as SAELens saves it: cfg.json and sae_weights.safetensors",
            fix="give the folder that holds cfg.json, or a sae_id inside it",
        ) from None
    except OSError as error:
        raise _refusal(path, error.strerror or str(error), "a file that can be read") from None
    # ValueError: also numbers too long to be one; RecursionError: nested without end.
    except (ValueError, RecursionError) as error:
        raise _refusal(path, f"not JSON ({error})", "one JSON object") from None
    if not isinstance(cfg, dict):
        raise _refusal(path, f"a JSON {type(cfg).__name__}", "one JSON object")
    return parse_config(cfg, path)


def parse_config(cfg: dict[str, Any], path: Path) -> SaeConfig:
    """Bring a cfg.json of any generation to one record.

    Args:
        cfg: The file's content.
        path: Where it came from, for error messages.

    Raises:
        InputError: A needed key is missing or steppe does not read such an SAE.
    """
    _check_types(cfg, path)
    metadata = cfg.get("metadata") or {}
    settings = {**{key: metadata[key] for key in _METADATA if key in metadata}, **cfg}
    if not _is_modern(cfg):
        settings = _modernised(settings)
    architecture = _architecture(settings, path)
    _refuse_reshaping(settings, path)
    normalization = _normalization(settings, path)
    return SaeConfig(
        architecture=architecture,
        d_in=_count(settings, "d_in", path),
        d_sae=_count(settings, "d_sae", path),
        hook_name=settings.get("hook_name"),
        apply_b_dec_to_input=bool(settings.get("apply_b_dec_to_input", True)),
        normalize_activations=normalization,
        k=_top_k(settings, path) if architecture in _TOP_K else None,
        rescale_acts_by_decoder_norm=bool(settings.get("rescale_acts_by_decoder_norm", False)),
        has_scaling_factor=bool(settings.get("finetuning_scaling_factor", False)),
        # A layer norm of its own takes the mean off and puts it back: both coordinates suit it.
        coordinates=None if normalization == "layer_norm" else _coordinates(settings, path),
        model_name=settings.get("model_name"),
        prepend_bos=_prepend_bos(settings, path),
        objective=settings.get("objective"),
        stated_l0=_stated_l0(settings),
        neuronpedia_id=settings.get("neuronpedia_id"),
    )


def _check_types(cfg: dict[str, Any], path: Path) -> None:
    """Refuse values of a kind that no SAELens file has, all of them at once."""
    metadata = cfg.get("metadata")
    inner = metadata if isinstance(metadata, dict) else {}
    texts = [
        f"{key} = {reprlib.repr(part[key])}"
        for key in _TEXTS
        for part in (cfg, inner)
        if not isinstance(part.get(key), str | None)
    ]
    objects = [
        f"{key} = {reprlib.repr(part[key])}"
        for key in _OBJECTS
        for part in (cfg, inner)
        if not isinstance(part.get(key), dict | None)
    ]
    normalisation = cfg.get("normalize_activations")
    if not isinstance(normalisation, str | bool | None):
        texts.append(f"normalize_activations = {reprlib.repr(normalisation)}")
    if texts or objects:
        raise _refusal(
            path,
            "; ".join([*texts, *objects]),
            "; ".join(["texts"] * bool(texts) + ["JSON objects"] * bool(objects)),
        )


def _is_modern(cfg: dict[str, Any]) -> bool:
    """Whether SAELens 6 or later wrote the file."""
    version = cfg.get("sae_lens_version") or (cfg.get("metadata") or {}).get("sae_lens_version")
    major = str(version or "").split(".")[0]
    return major.isascii() and major.isdigit() and int(major[:9]) >= 6


def _modernised(settings: dict[str, Any]) -> dict[str, Any]:
    """Apply the renamings and defaults of files written before version 6."""
    renamed = {
        "hook_point": "hook_name",
        "hook_point_head_index": "hook_head_index",
        "activation_fn_str": "activation_fn",
    }
    new = {renamed.get(key, key): value for key, value in settings.items()}
    new.setdefault("prepend_bos", True)
    k = (new.get("activation_fn_kwargs") or {}).get("k")
    # OpenAI's files say "standard" and mean top-k: the activation function decides.
    if new.get("architecture") == "topk" or (new.get("activation_fn") == "topk" and k is not None):
        new["architecture"] = "topk"
        new["k"] = new.get("k") if k is None else k
    elif new.get("activation_fn") not in (None, "relu"):
        new["architecture"] = f"standard with activation {new['activation_fn']}"
    if isinstance(new.get("normalize_activations"), bool):
        scaled = new["normalize_activations"]
        new["normalize_activations"] = "expected_average_only_in" if scaled else "none"
    if "hook_z" in (new.get("hook_name") or ""):
        new.setdefault("reshape_activations", "hook_z")
    return new


def _architecture(settings: dict[str, Any], path: Path) -> ArchitectureName:
    name = settings.get("architecture", "standard")
    for known in get_args(ArchitectureName):
        if name == known:
            return known  # type: ignore[no-any-return]
    reason = _REFUSED.get(name, "steppe does not know it")
    raise _refusal(
        path, f"architecture {name!r}: {reason}", " or ".join(get_args(ArchitectureName))
    )


def _refuse_reshaping(settings: dict[str, Any], path: Path) -> None:
    reshaping = settings.get("reshape_activations", "none")
    if reshaping not in (None, "none"):
        raise _refusal(
            path,
            f"reshape_activations {reshaping!r}: the SAE reads attention heads",
            "an SAE on one vector of the residual stream",
        )
    if settings.get("hook_head_index") is not None:
        raise _refusal(
            path,
            f"hook_head_index {settings['hook_head_index']}: the SAE reads one attention head",
            "an SAE on one vector of the residual stream",
        )


def _normalization(settings: dict[str, Any], path: Path) -> Normalization:
    name = settings.get("normalize_activations") or "none"
    for known in get_args(Normalization):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise _refusal(path, f"normalize_activations {name!r}", " or ".join(get_args(Normalization)))


def _coordinates(settings: dict[str, Any], path: Path) -> Coordinates | None:
    """Which residuals the SAE was trained on; None where the file does not tell.

    TransformerLens centres the weights that write to the stream unless told not to, which SAELens
    has done since 2024; a Hugging Face model is never centred.
    """
    stated = settings.get("coordinates")
    if stated is None:
        is_centered = (settings.get("model_from_pretrained_kwargs") or {}).get(
            "center_writing_weights"
        )
        if isinstance(is_centered, bool):
            return "centered" if is_centered else "raw"
        is_hugging_face = settings.get("model_class_name") == "AutoModelForCausalLM"
        return "raw" if is_hugging_face else None
    for known in get_args(Coordinates):
        if stated == known:
            return known  # type: ignore[no-any-return]
    raise _refusal(path, f"coordinates {stated!r}", " or ".join(get_args(Coordinates)))


def _stated_l0(settings: dict[str, Any]) -> float | None:
    value = settings.get("l0")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < MOST else None


def _prepend_bos(settings: dict[str, Any], path: Path) -> bool | None:
    value = settings.get("prepend_bos")
    if value is None or isinstance(value, bool):
        return value
    raise _refusal(path, f"prepend_bos = {reprlib.repr(value)}", "true, false or null")


def _count(settings: dict[str, Any], key: str, path: Path) -> int:
    value = settings.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < MOST:
        return value
    raise _refusal(path, f"{key} = {reprlib.repr(value)}", f"{key} a positive whole number")


def _top_k(settings: dict[str, Any], path: Path) -> int:
    k, d_sae = _count(settings, "k", path), _count(settings, "d_sae", path)
    if k > d_sae:
        raise _refusal(path, f"k = {k}", f"k at most d_sae = {d_sae}")
    return k


def _refusal(path: Path, got: str, expected: str) -> InputError:
    return InputError(str(path), got=got, expected=expected, fix="choose another SAE")
