"""The model under study: how it is loaded, in which coordinates it is read, and which one it is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from steppe.core.bundled import DEMO, demo_model
from steppe.core.engines import Engine, parse_engine
from steppe.core.errors import InputError
from steppe.core.fetched import MODELS, fetched_model, source_of
from steppe.core.notebook import facts_html
from steppe.models.anatomy import Anatomy, check_numbers, find_anatomy
from steppe.models.as_it_lies import (
    input_device,
    is_dispatched,
    lies_as_it_is,
    own_format,
)
from steppe.models.checkpoint import refuse_adapter, refuse_pointers, weight_files
from steppe.models.coordinates import Coordinates, center, choose_coordinates
from steppe.models.gguf import gguf_model, gguf_tokenizer, is_gguf
from steppe.models.half_precision import (
    HALF,
    halve_matrices,
    loaded_format,
    restore_matrices,
)
from steppe.models.loading import (
    find_commit,
    find_folder,
    is_local,
    load_hf_model,
    parse_device,
    parse_dtype,
)
from steppe.models.tokenizer_files import load_tokenizer
from steppe.models.weights import (
    architecture_sha256,
    check_finite,
    files_sha256,
    fingerprint,
    weights_sha256,
)
from steppe.models.wrapped import unwrapped


@dataclass(frozen=True)
class Identity:
    """Which model this is, as plain data for a run's provenance.

    Attributes:
        name: What it is called: ``demo``, a hub id, ``<folder's name> (local folder)``, or a class
            name.
        source: Where it came from: ``bundled``, ``hub``, a folder, ``object``, or in words what
            `steppe fetch` made it of.
        revision: Commit on the hub, when known.
        sha256: Hash of the loaded weights, in their number format.
        fingerprint: Hash of the parameters' values alone, which survives saving them anew, under
            another dtype that holds them exactly too; see `steppe.models.weights.fingerprint`.
        architecture: Hash of what is computed with the weights: configuration and modules; see
            `steppe.models.weights.architecture_sha256`.
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
    architecture: str
    file_sha256: str | None
    dtype: str
    attention: str


@dataclass(frozen=True, eq=False)
class Model:
    """A causal language model with its tokenizer and its coordinates.

    Attributes:
        hf_model: The transformers model; it runs in evaluation mode, whichever it is in.
        tokenizer: Its tokenizer; None when it came without one.
        coordinates: ``centered`` (mean over d_model removed from what is read) or ``raw``.
        anatomy: Where its parts are.
        identity: Which model it is.
        engine: In which way it is run on from a site.
    """

    hf_model: PreTrainedModel
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
        return int(self.hf_model.get_input_embeddings().weight.shape[0])

    @property
    def model_type(self) -> str:
        """Its family, as transformers names it: ``gpt2``, ``gpt_neox``, ``llama`` ..."""
        return str(self.hf_model.config.get_text_config(decoder=True).model_type)

    @property
    def can_be_centered(self) -> bool:
        """Whether the mean over d_model makes no difference to it, as with every LayerNorm."""
        return choose_coordinates(None, self.anatomy) == "centered"

    @property
    def context_length(self) -> int | None:
        """Longest prompt in tokens; None when the configuration states no limit."""
        config = self.hf_model.config.get_text_config(decoder=True)
        length = getattr(config, "max_position_embeddings", None)
        # Families without a limit write -1.
        return None if length is None or length < 1 else int(length)

    @property
    def device(self) -> torch.device:
        """Where the model's input goes."""
        return input_device(self.hf_model)

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the blocks' matrices; that it computes in where it lies as it is."""
        return parse_dtype(self.identity.dtype)

    @property
    def bos_token_id(self) -> int | None:
        """The token that starts a text, when the model has one; steppe never adds it by itself."""
        own = None if self.tokenizer is None else self.tokenizer.bos_token_id
        found = (
            self.hf_model.config.get_text_config(decoder=True).bos_token_id if own is None else own
        )
        return None if found is None else int(found)

    def _repr_html_(self) -> str:
        """The model in a notebook: which one, its sizes, and how it is run."""
        facts = {
            "family": self.anatomy.family,
            "source": self.identity.source,
            "revision": self.identity.revision,
            "sha256": self.identity.sha256[:12],
            "blocks": self.n_layers,
            "d_model": self.d_model,
            "vocabulary": self.d_vocab,
            "context": self.context_length,
            "coordinates": self.coordinates,
            "number format": self.identity.dtype,
            "device": self.device,
            "engine": self.engine,
            "tokenizer": "none" if self.tokenizer is None else None,
        }
        return facts_html(f"model {self.name}", facts)

    def to_coordinates(self, residual: Tensor) -> Tensor:
        """Bring residual vectors into this model's coordinates.

        Args:
            residual: Shape ``(..., d_model)``, in activation units.

        Returns:
            The same shape; the mean over d_model removed when the coordinates are ``centered``.
        """
        return center(residual) if self.coordinates == "centered" else residual


@dataclass(frozen=True, eq=False)
class _Found:
    """A model as it was read or given, before its matrices are halved.

    ``device`` is where it goes then.
    """

    hf_model: PreTrainedModel
    read_tokenizer: Callable[[], PreTrainedTokenizerBase | None]
    name: str
    source: str
    revision: str | None
    hash_files: Callable[[], str | None]
    device: torch.device


def load_model(
    model_or_path: str | Path | PreTrainedModel | Any,
    *,
    coordinates: str | None = None,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "float32",
    revision: str | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    engine: str = "auto",
    device_map: str | Mapping[str, Any] | None = None,
) -> Model:
    """Load the model under study.

    Args:
        model_or_path: ``"demo"`` (the bundled model), a name that `steppe fetch` knows
            (``"smollm2"``), a hub id, a folder, a ``.gguf`` file, or a model object: one of
            transformers, or a TransformerBridge of TransformerLens.
            An object is left as it is, its mode and hooks too; where its number format or device is
            not the one asked for, a copy is used. One that is dispatched over devices or quantised
            is used where and as it is.
        coordinates: ``"centered"`` or ``"raw"``; None: centered for LayerNorm models, else raw.
        device: ``"auto"`` takes a CUDA device when there is one (and a model object's own device).
        dtype: ``"float32"``; in half precision (``"bfloat16"``, ``"float16"``) only the blocks'
            matrices are, and the residual stream, normalisations and metrics stay float32. A
            model that is dispatched is wholly in this format, its residual stream too.
        revision: Branch, tag or commit on the hub.
        tokenizer: Used instead of the one found beside the model.
        engine: In which way the model is run on from a site; see `steppe.core.engines`.
        device_map: Share a model that is too large for one device out over several, the memory
            beside them and the disk, as accelerate does: ``"auto"``, or where each module goes.
            For a hub id or a folder.

    Returns:
        The model, its weights checked to be finite.

    Raises:
        InputError: No such model, device, number format or coordinates; a device map for a
            ``.gguf`` file or an object; weights with NaN; a model
            whose blocks cannot be found, or have few matrices to halve.
    """
    number_format, way = parse_dtype(dtype), parse_engine(engine)
    if device_map is not None:
        _check_device_map(model_or_path, device, device_map)
    if isinstance(model_or_path, str | Path):
        found = _read(model_or_path, device, number_format, revision, device_map)
    else:
        found = _taken(unwrapped(model_or_path), device, number_format)
    hf_model, name = found.hf_model, found.name
    check_finite(hf_model, name)
    anatomy, as_it_lies = find_anatomy(hf_model), lies_as_it_is(hf_model)
    is_halved = number_format in HALF and not as_it_lies
    # Hashing lets other threads run; modules that are fetched from the disk are fetched in turns.
    with ThreadPoolExecutor(1 if as_it_lies else 3) as pool:
        of_files = pool.submit(found.hash_files)
        of_values = pool.submit(fingerprint, hf_model)
        of_weights = None if is_halved else pool.submit(weights_sha256, hf_model)
    if as_it_lies:
        number_format = own_format(hf_model)
    else:
        if is_halved:
            halve_matrices(anatomy.blocks, number_format)
            check_finite(hf_model, name)
        hf_model.to(found.device)
    check_numbers(hf_model)
    identity = Identity(
        name=name,
        source=found.source,
        revision=found.revision,
        sha256=weights_sha256(hf_model) if of_weights is None else of_weights.result(),
        fingerprint=of_values.result(),
        architecture=architecture_sha256(hf_model),
        file_sha256=of_files.result(),
        dtype=str(number_format).removeprefix("torch."),
        attention=str(hf_model.config._attn_implementation),
    )
    chosen = choose_coordinates(coordinates, anatomy)
    own = found.read_tokenizer() if tokenizer is None else tokenizer
    return Model(hf_model, own, chosen, anatomy, identity, way)


def _check_device_map(source: Any, device: str | torch.device, device_map: Any) -> None:
    is_object = not isinstance(source, str | Path)
    if is_object or is_gguf(source):
        raise InputError(
            "device_map",
            got=f"{device_map!r}, for {'a model object' if is_object else source}",
            expected="a hub id or a folder: what is shared out while it is read",
            fix="leave device_map out, or "
            + ("give it to from_pretrained" if is_object else "choose the model's folder"),
        )
    if device != "auto":
        raise InputError(
            "device",
            got=f"{str(device)!r}, and a device map, {device_map!r}",
            expected="one of the two: a device map says where each part goes",
            fix="leave one out",
        )


def _read(
    source: str | Path,
    device: str | torch.device,
    dtype: torch.dtype,
    revision: str | None,
    device_map: str | Mapping[str, Any] | None,
) -> _Found:
    """Read a model from a file, a folder or the hub."""
    on_device = parse_device(device)
    if is_gguf(source):
        path = Path(source).expanduser()
        read_tokenizer: Callable[[], PreTrainedTokenizerBase | None] = partial(gguf_tokenizer, path)
        hf_model, name = gguf_model(path, loaded_format(dtype)), f"{path.name} (local file)"
        sums = partial(files_sha256, [path])
        return _Found(hf_model, read_tokenizer, name, str(path), None, sums, on_device)
    place, name, kind = _locate(source)
    revision = find_commit(place, revision) if kind == "hub" else revision
    refuse_adapter(place, revision)
    folder = find_folder(place, revision)
    refuse_pointers(folder)
    stored = loaded_format(dtype) if device_map is None else dtype
    hf_model = load_hf_model(place, stored, revision, device_map)
    if device_map is not None:
        on_device = input_device(hf_model)
    if device_map is not None and dtype in HALF and not is_dispatched(hf_model):
        # In one piece it is halved as any other: its matrices only.
        hf_model = load_hf_model(place, loaded_format(dtype), revision)
    read_tokenizer = partial(load_tokenizer, folder, place, revision)
    sums = partial(files_sha256, weight_files(folder))
    return _Found(hf_model, read_tokenizer, name, kind, revision, sums, on_device)


def _taken(hf_model: PreTrainedModel, device: str | torch.device, dtype: torch.dtype) -> _Found:
    """Take a model object, or a copy where it is not as asked."""
    own_device = input_device(hf_model) if device == "auto" else parse_device(device)
    if not lies_as_it_is(hf_model):
        hf_model = _as_asked(hf_model, own_device, dtype)
    elif own_device != input_device(hf_model):
        raise InputError(
            "device",
            got=f"{str(device)!r}, for a model that is dispatched over devices or quantised",
            expected=f"where it lies: {input_device(hf_model)}",
            fix="leave device out, or load the model elsewhere",
        )
    name = type(hf_model).__name__
    return _Found(hf_model, lambda: None, name, "object", None, lambda: None, own_device)


def _locate(source: str | Path) -> tuple[str, str, str]:
    """Where transformers shall look, what the model is called, and where it comes from."""
    if source == DEMO:
        return str(demo_model()), DEMO, "bundled"
    if source in MODELS:
        folder = fetched_model(str(source))
        return str(folder), str(source), source_of(folder)
    if is_local(source):
        folder = Path(source).expanduser()
        # A folder's name must not pass for the hub id that it may be spelled like.
        return str(folder), f"{folder.resolve().name} (local folder)", str(folder)
    return str(source), str(source), "hub"


def _as_asked(
    hf_model: PreTrainedModel, device: torch.device, dtype: torch.dtype
) -> PreTrainedModel:
    """The model itself where it fits, otherwise a copy, so that the user's own stays as it is."""
    loaded = loaded_format(dtype)
    found = {parameter.dtype for parameter in hf_model.parameters()}
    if found != {loaded} or hf_model.device != device or dtype in HALF:
        hf_model = copy.deepcopy(hf_model).to(device=device, dtype=loaded)
        restore_matrices(hf_model)
        hf_model.eval()
    return hf_model
