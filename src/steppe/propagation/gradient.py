"""In which direction does the output change fastest? The suffix once more, with gradients.

`Suffix` runs without gradients, which is faster; this is the same computation for the few points
whose gradient is wanted. Blocks before the site run too, on the one position, and are overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.propagation.forward import stream_at
from steppe.propagation.frozen_cache import freeze
from steppe.propagation.prefix import Prefix, leave_out_attention
from steppe.subject.mode import evaluating
from steppe.subject.model import Subject


class GradientSuffix:
    """Next-token logits of one prompt as a differentiable function of its activation at a site.

    Args:
        subject: The model.
        prefix: The prompt; its site is at the prompt's last position.

    Raises:
        InputError: The site is not at the last position.
    """

    def __init__(self, subject: Subject, prefix: Prefix) -> None:
        if prefix.base.ndim != 1 or prefix.start != prefix.length - 1:
            raise InputError(
                f"gradient at {prefix.site.name}, position {prefix.site.position}",
                got=f"points at position {prefix.start} of {prefix.length}",
                expected="points at the last position of the prompt",
                fix="choose position -1",
            )
        self._subject = subject
        self._prefix = prefix
        self._cache = None
        if prefix.start > 0:
            filled = DynamicCache(config=subject.model.config)
            with torch.no_grad():
                earlier = prefix.tokens[None, : prefix.start]
                stream_at(subject, earlier, subject.n_layers, filled)
            self._cache = freeze(filled, first_layer=0)

    def logits(self, points: Tensor) -> Tensor:
        """Logits at the last position.

        Args:
            points: ``(point, d_model)`` in the subject's coordinates; gradients flow back to it.

        Returns:
            float32 ``(point, vocab)``.
        """
        stream = points.to(self._prefix.rows)[:, None]
        placed = _placed(self._subject, self._prefix.site, stream)
        with placed, evaluating(self._subject.model), torch.enable_grad():
            tokens = self._prefix.tokens[self._prefix.start :].expand(len(points), -1)
            outputs = self._subject.model(
                input_ids=tokens, past_key_values=self._cache, use_cache=self._cache is not None
            )
        found: Tensor = outputs.logits[:, -1].float()
        return found

    def gradient(self, points: Tensor, score: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Differentiate a score of the logits by the points.

        Args:
            points: ``(point, d_model)``.
            score: From ``(point, vocab)`` logits to one number a point.

        Returns:
            The scores ``(point,)`` and their gradients ``(point, d_model)``, on the points' device.
        """
        variable = points.detach().clone().requires_grad_()
        with torch.enable_grad():
            scores = score(self.logits(variable))
            (gradient,) = torch.autograd.grad(scores.sum(), variable)
        return scores.detach(), gradient


@contextmanager
def _placed(subject: Subject, site: Site, stream: Tensor) -> Iterator[None]:
    """Let the residual stream at a site be ``stream`` in every forward pass meanwhile."""
    blocks, depth = subject.anatomy.blocks, site.blocks_before(subject.n_layers)

    def before(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (stream, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": stream}

    def after(_module: Any, _args: Any, output: Any) -> Any:
        return (stream, *output[1:]) if isinstance(output, tuple) else stream

    with ExitStack() as stack:
        if site.is_inside:
            stack.callback(leave_out_attention(subject, depth, lambda: True))
        if depth == 0:
            handle = blocks[0].register_forward_pre_hook(before, with_kwargs=True)
        else:
            handle = blocks[depth - 1].register_forward_hook(after)
        stack.callback(handle.remove)
        yield
