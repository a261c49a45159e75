"""The loss of a model on sequences, batch by batch, also with activations replaced at a site."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.models import Model
from steppe.propagation import Suffix
from steppe.propagation.forward import as_tokens, stream_at, to_site
from steppe.propagation.plan import bytes_per_point, points_per_batch
from steppe.propagation.prefix import Prefix, build_prefix, engine_of

# Nats: how far a loss may be from the model's own before it is refused.
TOLERANCE = 0.02
# Sequences of one batch: few enough to stop soon once a loss is known.
_MOST = 16
_FIRST = Site(0, "resid_pre", "all")
_LAST = Site(-1, "resid_post", "all")


class SequenceLoss:
    """Losses of whole sequences, many at once; a context manager.

    All blocks run once per sequence. Where activations are replaced, only the blocks after the site
    run again. Logits are made for a few tokens at a time.

    Args:
        model: The model.
        sites: Sites, at all positions, that are read and can be replaced.
    """

    def __init__(self, model: Model, sites: Sequence[Site]) -> None:
        self.model = model
        self._body = Suffix(model, _FIRST, read=[*sites, _LAST])
        self._after = {site.name: Suffix(model, site, read=[_LAST]) for site in sites}
        self._head = Suffix(model, _LAST, read=[], logits=True)
        # The engine `full` computes what comes before a site anew, from one prompt's own tokens.
        self._is_full = engine_of(model) == "full"
        self._opened = ExitStack()
        self._is_checked = False

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for suffix in (self._body, *self._after.values(), self._head):
                stack.enter_context(suffix)
            self._opened = stack.pop_all()
        return self

    def __exit__(self, *_fault: object) -> None:
        self._opened.close()

    def together(self, length: int) -> int:
        """How many sequences of a length run as one batch."""
        if self._is_full:
            return 1
        per_sequence = bytes_per_point(self.model, length, length, logits=False)
        return points_per_batch(self.model, _MOST, per_sequence)

    def clean(self, tokens: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Run sequences as they are.

        Args:
            tokens: Token ids ``(sequence, position)``.

        Returns:
            The activations by the name of each site, float32 ``(sequence, position, d_model)`` in
            the model's coordinates, and each sequence's mean loss in nats per token, float64
            ``(sequence,)``, NaN for sequences of one token.

        Raises:
            InputError: The tokens do not fit the model, or the loss is not the model's own.
        """
        ids = as_tokens(self.model, tokens, axes=2)
        with torch.inference_mode():
            embedded = to_site(self.model, stream_at(self.model, ids, 0), _FIRST)
        read = self._run(self._body, embedded, ids)
        losses = self._losses(read[_LAST.name], ids)
        if not self._is_checked and ids.shape[1] > 1:
            self._check(ids[-1:], float(losses[-1]))
        return read, losses

    def replaced(self, site: Site, activations: Tensor, tokens: Tensor) -> Tensor:
        """Run sequences on from a site with other activations there.

        Args:
            site: One of the sites.
            activations: What stands there, as `clean` returns it.
            tokens: Token ids ``(sequence, position)``.

        Returns:
            Each sequence's mean loss, as `clean` returns it.
        """
        ids = as_tokens(self.model, tokens, axes=2)
        return self._losses(self._run(self._after[site.name], activations, ids)[_LAST.name], ids)

    def _run(self, suffix: Suffix, streams: Tensor, ids: Tensor) -> dict[str, Tensor]:
        if self._is_full and len(ids) > 1:
            parts = [self._run(suffix, streams[i : i + 1], ids[i : i + 1]) for i in range(len(ids))]
            return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        prefix = Prefix(suffix.site, ids[0], 0, 0, streams[0], streams[0], None)
        return suffix(prefix, streams).residuals

    def _losses(self, last: Tensor, ids: Tensor) -> Tensor:
        """Losses from the last residual stream: a token's logits depend on its own row only."""
        rows, following = last[:, :-1].flatten(0, 1)[:, None], ids[:, 1:].flatten()
        if not len(rows):
            return torch.full((len(ids),), torch.nan, dtype=torch.float64)
        per_row = bytes_per_point(self.model, 1, 1, logits=True)
        size = points_per_batch(self.model, len(rows), per_row)
        prefix = build_prefix(self.model, ids[0, :1], _LAST)
        losses = []
        for start in range(0, len(rows), size):
            logits = self._head(prefix, rows[start : start + size]).logits
            assert logits is not None
            wanted = following[start : start + size]
            losses.append(cross_entropy(logits[:, 0].float(), wanted, reduction="none"))
        return torch.cat(losses).view(len(ids), -1).double().mean(dim=1).cpu()

    def _check(self, ids: Tensor, found: float) -> None:
        """Compare one sequence's loss with that of a plain forward pass of the whole model."""
        with torch.inference_mode():
            logits = self.model.hf_model(input_ids=ids, use_cache=False).logits
            own = float(cross_entropy(logits[0, :-1].float(), ids[0, 1:]))
        # Written so that NaN fails.
        if not abs(found - own) <= TOLERANCE:
            raise InputError(
                f"loss of {self.model.name}",
                got=f"{found:.4f} nats per token by the engine {engine_of(self.model)!r}",
                expected=f"{own:.4f}, as a plain forward pass of the whole model says",
                fix="choose engine='full'",
            )
        self._is_checked = True
