"""Derivatives of the output by one activation: the suffix once more, with gradients.

`Suffix` runs without gradients, which is faster; this is the same computation for the few points
whose gradient is wanted. Blocks before the site run too, on the one position, and are overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import DynamicCache

from steppe.core.errors import InputError
from steppe.core.sites import Site, as_site
from steppe.models.mode import evaluating
from steppe.models.model import Model
from steppe.propagation.counting import count_points
from steppe.propagation.forward import StopForward, by_prompt, stream_at, to_site, watch
from steppe.propagation.frozen_cache import freeze
from steppe.propagation.prefix import Prefix, leave_out_attention


class GradientSuffix:
    """What comes out of one prompt as a differentiable function of its activation at a site.

    Args:
        model: The model.
        prefix: The prompt; its site is at the prompt's last position.

    Raises:
        InputError: The site is not at the last position.
    """

    def __init__(self, model: Model, prefix: Prefix) -> None:
        if prefix.base.ndim != 1 or prefix.start != prefix.length - 1:
            raise InputError(
                f"gradient at {prefix.site.name}, position {prefix.site.position}",
                got=f"points at position {prefix.start} of {prefix.length}",
                expected="points at the last position of the prompt",
                fix="choose position -1",
            )
        self._model = model
        self._prefix = prefix
        self._cache = None
        if prefix.start > 0:
            filled = DynamicCache(config=model.hf_model.config)
            with torch.no_grad():
                earlier = prefix.tokens[None, : prefix.start]
                stream_at(model, earlier, model.n_layers, filled)
            self._cache = freeze(filled, first_layer=0)

    def logits(self, points: Tensor) -> Tensor:
        """Logits at the last position.

        Args:
            points: ``(point, d_model)`` in the model's coordinates; gradients flow back to it.

        Returns:
            float32 ``(point, vocab)``.
        """
        with _placed(self._model, self._prefix.site, self._stream(points)):
            found: Tensor = self._run(len(points)).logits[:, -1].float()
        return found

    def residual(self, points: Tensor, read: Site | str) -> Tensor:
        """What a later site holds at the last position.

        Args:
            points: ``(point, d_model)`` in the model's coordinates; gradients flow back to it.
            read: Where to look. Nothing after it is computed.

        Returns:
            ``(point, width)`` in the model's coordinates.

        Raises:
            InputError: The site lies before the one at which points are placed.
        """
        model, entry = self._model, self._prefix.site
        site = as_site(read).resolve(model.n_layers)
        places = [one.place(model.n_layers) for one in (entry, site)]
        if places[1] < places[0]:
            raise InputError(
                f"site {site.name}",
                got=f"a site before {entry.name}, where points are placed",
                expected="a site at which the points have made a difference",
                fix="read at a later site",
            )
        stream = self._stream(points)
        if places[1] > places[0]:
            seen: list[Tensor] = []

            def keep(value: Tensor) -> None:
                seen.append(by_prompt(value, len(points)))
                raise StopForward

            with _placed(model, entry, stream), ExitStack() as stack:
                stack.callback(watch(model, places[1], keep))
                self._run(len(points))
            stream = seen[0]
        return to_site(model, stream[:, -1], site)

    def push(self, points: Tensor, tangents: Tensor, read: Site | str) -> Tensor:
        """Change of a later residual per change of the activation, ``J u`` (a JVP).

        ``J u`` is the derivative of ``J^T v`` along ``u`` by v: every operation that has a second
        derivative serves, unlike with torch's forward mode.

        Args:
            points: Where the derivative is taken, ``(point, d_model)``.
            tangents: Changes u, one per point, ``(point, d_model)``.
            read: The later site.

        Returns:
            ``(point, d_model)``, without a gradient.
        """
        variable = points.detach().clone().requires_grad_()
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            outputs = self.residual(variable, read)
            weights = torch.zeros_like(outputs, requires_grad=True)
            (pulled,) = torch.autograd.grad(outputs, variable, weights, create_graph=True)
            (pushed,) = torch.autograd.grad(pulled, weights, tangents.to(pulled))
        return pushed

    def pull(self, points: Tensor, cotangents: Tensor, read: Site | str) -> Tensor:
        """Gradient of a later residual's product with given vectors, ``J^T v`` (a VJP).

        Args:
            points: Where the derivative is taken, ``(point, d_model)``.
            cotangents: Vectors v at the later site, one per point, ``(point, d_model)``.
            read: The later site.

        Returns:
            ``(point, d_model)``, without a gradient.
        """
        variable = points.detach().clone().requires_grad_()
        with torch.enable_grad():
            outputs = self.residual(variable, read)
            (pulled,) = torch.autograd.grad(outputs, variable, cotangents.to(outputs))
        return pulled

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

    def _stream(self, points: Tensor) -> Tensor:
        return points.to(self._prefix.rows)[:, None]

    def _run(self, count: int) -> Any:
        """The model's own outputs for as many points; None where a hook stopped it."""
        count_points(count)
        tokens = self._prefix.tokens[self._prefix.start :].expand(count, -1)
        with evaluating(self._model.hf_model), torch.enable_grad(), suppress(StopForward):
            return self._model.hf_model(
                input_ids=tokens, past_key_values=self._cache, use_cache=self._cache is not None
            )
        return None


@contextmanager
def _placed(model: Model, site: Site, stream: Tensor) -> Iterator[None]:
    """Let the residual stream at a site be ``stream`` in every forward pass meanwhile."""
    blocks, depth = model.anatomy.blocks, site.blocks_before(model.n_layers)

    def before(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (stream, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": stream}

    def after(_module: Any, _args: Any, output: Any) -> Any:
        return (stream, *output[1:]) if isinstance(output, tuple) else stream

    with ExitStack() as stack:
        if site.is_inside:
            stack.callback(leave_out_attention(model, depth, lambda: True))
        if depth == 0:
            handle = blocks[0].register_forward_pre_hook(before, with_kwargs=True)
        else:
            handle = blocks[depth - 1].register_forward_hook(after)
        stack.callback(handle.remove)
        yield
