"""An SAE, once read: weights that encode activations into latents and decode them back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.notebook import facts_html
from steppe.core.sites import Site
from steppe.sae.architectures import ARCHITECTURES
from steppe.sae.blocks import in_blocks
from steppe.sae.config import SaeConfig
from steppe.sae.normalization import denormalize, normalize

# What is said of an SAE and is no part of what it computes.
_NOTES = {"model_name", "stated_l0", "neuronpedia_id"}


@dataclass(frozen=True)
class SaeIdentity:
    """Which SAE this is, as precisely as it can be said.

    Attributes:
        source: The folder, or the hub repository, that it was read from.
        sha256: Checksum of the weights file.
        release: Short name of the release, when it was asked for by one.
        sae_id: Which SAE of the release or repository.
        revision: Commit of the hub repository.
    """

    source: str
    sha256: str
    release: str | None = None
    sae_id: str | None = None
    revision: str | None = None


@dataclass(frozen=True, eq=False)
class Sae:
    """A sparse autoencoder: ``encode`` to latents, ``decode`` back to activations.

    Both keep no state and compute rows in blocks of one shape, so that a row's numbers do not
    depend on the rows that come with it. Decoder rows are not unit vectors in general.

    Attributes:
        config: Its settings.
        weights: Its tensors, by SAELens' names.
        identity: Where it came from.
        log10_rates: log10(firing rate + 1e-10) per latent, ``(latent,)``, from
            ``sparsity.safetensors``; None where the file is missing.
    """

    config: SaeConfig
    weights: Mapping[str, Tensor] = field(repr=False)
    identity: SaeIdentity
    log10_rates: Tensor | None = field(default=None, repr=False)

    def _repr_html_(self) -> str:
        """The SAE in a notebook: which one, its sizes, and what its file states."""
        facts = {
            "source": self.identity.source,
            "release": self.identity.release,
            "id": self.identity.sae_id,
            "revision": self.identity.revision,
            "sha256": self.identity.sha256[:12],
            "architecture": self.config.architecture,
            "hook": self.hook_name,
            "latents": len(self.W_dec),
            "width": self.d_in,
            "stated L0": self.config.stated_l0,
            "trained on": self.config.model_name,
            "coordinates": self.config.coordinates,
            "firing rates": "none" if self.log10_rates is None else "in its folder",
        }
        return facts_html("SAE", facts)

    @cached_property
    def content(self) -> str:
        """Hash of all that decides its numbers: its settings, its tensors as loaded, its rates."""
        stated = {k: v for k, v in asdict(self.config).items() if k not in _NOTES}
        digest = hashlib.sha256(json.dumps(stated, sort_keys=True).encode())
        rates = {} if self.log10_rates is None else {"rates": self.log10_rates}
        for name, tensor in sorted({**self.weights, **rates}.items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
            plain = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(plain.view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @property
    def W_enc(self) -> Tensor:
        """Encoder weights, ``(d_in, latent)``."""
        return self.weights["W_enc"]

    @property
    def b_enc(self) -> Tensor | None:
        """Encoder bias, ``(latent,)``; None for the gated architecture, which has two others."""
        return self.weights.get("b_enc")

    @property
    def W_dec(self) -> Tensor:
        """Decoder weights, one row a latent, ``(latent, d_in)``."""
        return self.weights["W_dec"]

    @property
    def b_dec(self) -> Tensor:
        """Decoder bias, ``(d_in,)``."""
        return self.weights["b_dec"]

    @property
    def d_in(self) -> int:
        """Width of the activations."""
        return self.config.d_in

    @property
    def d_sae(self) -> int:
        """Number of latents."""
        return self.config.d_sae

    @property
    def hook_name(self) -> str | None:
        """Where the SAE was trained, as TransformerLens names it."""
        return self.config.hook_name

    @property
    def site(self) -> Site:
        """Where in the residual stream the SAE belongs; see `SaeConfig.site`."""
        return self.config.site

    @property
    def prepend_bos(self) -> bool | None:
        """Whether its training prompts began with BOS; None where its file does not tell."""
        return self.config.prepend_bos

    @property
    def device(self) -> torch.device:
        """The device that holds the weights."""
        return self.W_dec.device

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the weights."""
        return self.W_dec.dtype

    def encode(self, x: Tensor) -> Tensor:
        """Compute the latents of activations.

        Args:
            x: Activations in the coordinates the SAE was trained in, ``(..., d_in)``.

        Returns:
            Latent activations, ``(..., latent)``, on the SAE's device and in its type.

        Raises:
            InputError: The last axis is not ``d_in`` wide.
        """
        rows = self._rows(x, "encode", self.d_in)
        return in_blocks(self._encode_block, rows).reshape(*x.shape[:-1], self.d_sae)

    def decode(self, latents: Tensor, like: Tensor | None = None) -> Tensor:
        """Compute the activations that latents stand for.

        Args:
            latents: Latent activations, ``(..., latent)``.
            like: The activations whose scale the result is given, ``(..., d_in)``; needed by SAEs
                that normalise their input, ignored by others.

        Returns:
            Activations, ``(..., d_in)``.

        Raises:
            InputError: A shape does not fit, or ``like`` is needed and missing.
        """
        rows = self._rows(latents, "decode", self.d_sae)
        y = in_blocks(self._decode_block, rows).reshape(*latents.shape[:-1], self.d_in)
        normalization = self.config.normalize_activations
        if normalization == "none":
            return y
        if like is None:
            raise InputError(
                "decode, argument like",
                got="None",
                expected=f"the activations themselves: this SAE normalises them ({normalization})",
                fix="sae.decode(latents, like=activations)",
            )
        return denormalize(y, like.to(y), normalization)

    def _encode_block(self, x: Tensor) -> Tensor:
        x = normalize(x, self.config.normalize_activations)
        if self.config.apply_b_dec_to_input:
            x = x - self.b_dec
        return ARCHITECTURES[self.config.architecture].encode(x, self.weights, self.config)

    def _decode_block(self, latents: Tensor) -> Tensor:
        if self.config.rescale_acts_by_decoder_norm:
            latents = latents / self.W_dec.norm(dim=-1)
        return latents @ self.W_dec + self.b_dec

    def _rows(self, x: Tensor, action: str, width: int) -> Tensor:
        if x.ndim == 0 or x.shape[-1] != width:
            raise InputError(
                f"{action}, argument of SAE {self.hook_name}",
                got=f"shape {tuple(x.shape)}",
                expected=f"a last axis of width {width}",
                fix="give activations of the model and site the SAE was trained on",
            )
        return x.to(device=self.device, dtype=self.dtype).reshape(-1, width)
