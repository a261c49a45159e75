"""What comes out when attention or an MLP adds a fixed vector, whatever activation it sees?

Shinkle and Heimersheim 2025 hold such outputs fixed along a path, to tell which of them make its
plateaus.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.sites import as_site
from steppe.models.components import Tap, find_tap, first_tensor, output_tensor
from steppe.models.model import Model


@contextmanager
def frozen_parts(model: Model, values: Mapping[str, Tensor]) -> Iterator[None]:
    """Let parts of blocks add fixed vectors in every forward pass meanwhile.

    Put it around calls of an open `Suffix` that moves the last position: prefixes are to be built
    outside, where parts are free.

    Args:
        model: The model.
        values: By site, ``attn_out`` or ``mlp_out`` of some block: what is added to the residual
            stream, ``(d_model,)``, as read in the model's coordinates.

    Raises:
        InputError: The site is another one, the block has no such part, or the vector has another
            width.
    """
    taps: list[tuple[Tap, Tensor]] = []
    for name, value in values.items():
        site = as_site(name).resolve(model.n_layers)
        if site.point not in ("attn_out", "mlp_out") or value.shape != (model.d_model,):
            raise InputError(
                f"frozen part {name}",
                got=f"a {site.point} of shape {tuple(value.shape)}",
                expected=f"an attn_out or mlp_out of shape ({model.d_model},)",
                fix="give one vector per part, for instance the mean of what it added along a path",
            )
        tap = find_tap(model.hf_model, model.anatomy, site.layer, site.point)
        taps.append((tap, value / tap.scale))
    with ExitStack() as stack:
        for tap, value in taps:
            stack.callback(_freeze(tap, value))
        yield


def _freeze(tap: Tap, value: Tensor) -> Any:
    def before(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        free = first_tensor(args, kwargs)
        assert free is not None
        fixed = value.to(free).expand_as(free)
        swap = {key: fixed if one is free else one for key, one in kwargs.items()}
        return tuple(fixed if one is free else one for one in args), swap

    def after(_module: Any, _args: Any, output: Any) -> Any:
        free = output_tensor(output)
        assert free is not None
        fixed = value.to(free).expand_as(free)
        return (fixed, *output[1:]) if isinstance(output, tuple) else fixed

    # First of all hooks: whoever reads there sees what is added.
    if tap.side == "in":
        hook = tap.module.register_forward_pre_hook(before, with_kwargs=True, prepend=True)
    else:
        hook = tap.module.register_forward_hook(after, prepend=True)
    return hook.remove
