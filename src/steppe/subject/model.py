"""The model under study: how it is loaded, in which coordinates it is read, and which one it is."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from steppe.core.bundled import DEMO, demo_model
from steppe.core.engines import Engine, parse_engine
from steppe.subject.anatomy import Anatomy, find_anatomy
from steppe.subject.checkpoint import refuse_adapter, refuse_pointers, weight_files
from steppe.subject.coordinates import Coordinates, center, choose_coordinates
from steppe.subject.half_precision import (
    HALF,
    halve_matrices,
    loaded_format,
    restore_matrices,
)
from steppe.subject.loading import (
    find_commit,
    find_folder,
    is_local,
    load_model,
    parse_device,
    parse_dtype,
)
from steppe.subject.tokenizer_files import load_tokenizer
from steppe.subject.weights import check_finite, files_sha256, fingerprint, weights_sha256


@dataclass(frozen=True)
class Identity:
    """Which model this is, as plain data for a run's provenance.

    Attributes:
        name: What it is called: ``demo``, a hub id, ``<folder's name> (local folder)``, or a class
            name.
        source: Where it came from: ``bundled``, ``hub``, a folder, or ``object``.
        revision: Commit on the hub, when known.
        sha256: Hash of the loaded weights, in their number format.
        fingerprint: Hash of the parameters' values alone, which survives saving them anew, under
            another dtype that holds them exactly too; see `steppe.subject.weights.fingerprint`.
        file_sha256: Hash of the weights' file as the hub shows it; of several, of their hashes;
            None for an object.
        dtype: Number format of the blocks' matrices; with half precision all else is float32.
        attention: Attention implementation of transformers, for instance ``sdpa``.
    """

    name: str
    source: str
    revision: str | None
    sha256: str
    fingerprint: str
    file_sha256: str | None
    dtype: str
    attention: str


@dataclass(frozen=True, eq=False)
class Subject:
    """A causal language model with its tokenizer and its coordinates.

    Attributes:
        model: The transformers model; it runs in evaluation mode, whichever it is in.
        tokenizer: Its tokenizer; None when it came without one.
        coordinates: ``centered`` (mean over d_model removed from what is read) or ``raw``.
        anatomy: Where its parts are.
        identity: Which model it is.
        engine: In which way it is run on from a site.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    coordinates: Coordinates
    anatomy: Anatomy
    identity: Identity
    engine: Engine = "auto"

    @property
    def name(self) -> str:
        """What the user called it."""
        return self.identity.name

    @property
    def n_layers(self) -> int:
        """Number of transformer blocks."""
        return self.anatomy.n_layers

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.anatomy.d_model

    @property
    def d_vocab(self) -> int:
        """Number of token ids that the model can read."""
        return int(self.model.get_input_embeddings().weight.shape[0])

    @property
    def model_type(self) -> str:
        """Its family, as transformers names it: ``gpt2``, ``gpt_neox``, ``llama`` ..."""
        return str(self.model.config.get_text_config(decoder=True).model_type)

    @property
    def can_be_centered(self) -> bool:
        """Whether the mean over d_model makes no difference to it, as with every LayerNorm."""
        return choose_coordinates(None, self.anatomy) == "centered"

    @property
    def context_length(self) -> int | None:
        """Longest prompt in tokens; None when the configuration states no limit."""
        config = self.model.config.get_text_config(decoder=True)
        length = getattr(config, "max_position_embeddings", None)
        # Families without a limit write -1.
        return None if length is None or length < 1 else int(length)

    @property
    def device(self) -> torch.device:
        """Where the model's input goes."""
        return torch.device(self.model.device)

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the blocks' matrices."""
        return parse_dtype(self.identity.dtype)

    @property
    def bos_token_id(self) -> int | None:
        """The token that starts a text, when the model has one; steppe never adds it by itself."""
        own = None if self.tokenizer is None else self.tokenizer.bos_token_id
        found = self.model.config.get_text_config(decoder=True).bos_token_id if own is None else own
        return None if found is None else int(found)

    def to_coordinates(self, residual: Tensor) -> Tensor:
        """Bring residual vectors into this subject's coordinates.

        Args:
            residual: Shape ``(..., d_model)``, in activation units.

        Returns:
            The same shape; the mean over d_model removed when the coordinates are ``centered``.
        """
        return center(residual) if self.coordinates == "centered" else residual


def load_subject(
    model_or_path: str | Path | PreTrainedModel,
    *,
    coordinates: str | None = None,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "float32",
    revision: str | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    engine: str = "auto",
) -> Subject:
    """Load the model under study.

    Args:
        model_or_path: ``"demo"`` (the bundled subject), a hub id, a folder, or a model object.
            An object is left as it is, its mode and hooks too; where its number format or device is
            not the one asked for, a copy is used.
        coordinates: ``"centered"`` or ``"raw"``; None: centered for LayerNorm models, else raw.
        device: ``"auto"`` takes a CUDA device when there is one (and a model object's own device).
        dtype: ``"float32"``; in half precision (``"bfloat16"``, ``"float16"``) only the blocks'
            matrices are, and the residual stream, normalisations and readouts stay float32.
        revision: Branch, tag or commit on the hub.
        tokenizer: Used instead of the one found beside the model.
        engine: In which way the subject is run on from a site; see `steppe.core.engines`.

    Returns:
        The subject, its weights checked to be finite.

    Raises:
        InputError: No such model, device, number format or coordinates; weights with NaN; a model
            whose blocks cannot be found, or have few matrices to halve.
    """
    number_format, way = parse_dtype(dtype), parse_engine(engine)
    if isinstance(model_or_path, PreTrainedModel):
        own_device = model_or_path.device if device == "auto" else parse_device(device)
        model = _as_asked(model_or_path, own_device, number_format)
        name, source, file_sha256 = type(model).__name__, "object", None
    else:
        place, name, source = _locate(model_or_path)
        on_device = parse_device(device)
        revision = find_commit(place, revision) if source == "hub" else revision
        refuse_adapter(place, revision)
        folder = find_folder(place, revision)
        refuse_pointers(folder)
        model = load_model(place, loaded_format(number_format), revision).to(on_device)
        tokenizer = load_tokenizer(folder, place, revision) if tokenizer is None else tokenizer
        file_sha256 = files_sha256(weight_files(folder))
    check_finite(model, name)
    values = fingerprint(model)
    anatomy = find_anatomy(model)
    if number_format in HALF:
        halve_matrices(anatomy.blocks, number_format)
        check_finite(model, name)
    identity = Identity(
        name=name,
        source=source,
        revision=revision,
        sha256=weights_sha256(model),
        fingerprint=values,
        file_sha256=file_sha256,
        dtype=str(number_format).removeprefix("torch."),
        attention=str(model.config._attn_implementation),
    )
    chosen = choose_coordinates(coordinates, anatomy)
    return Subject(model, tokenizer, chosen, anatomy, identity, way)


def _locate(source: str | Path) -> tuple[str, str, str]:
    """Where transformers shall look, what the model is called, and where it comes from."""
    if source == DEMO:
        return str(demo_model()), DEMO, "bundled"
    if is_local(source):
        folder = Path(source).expanduser()
        # A folder's name must not pass for the hub id that it may be spelled like.
        return str(folder), f"{folder.resolve().name} (local folder)", str(folder)
    return str(source), str(source), "hub"


def _as_asked(model: PreTrainedModel, device: torch.device, dtype: torch.dtype) -> PreTrainedModel:
    """The model itself where it fits, otherwise a copy, so that the user's own stays as it is."""
    loaded = loaded_format(dtype)
    found = {parameter.dtype for parameter in model.parameters()}
    if found != {loaded} or model.device != device or dtype in HALF:
        model = copy.deepcopy(model).to(device=device, dtype=loaded)
        restore_matrices(model)
        model.eval()
    return model
