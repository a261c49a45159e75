"""A cache of one prompt's keys and values that many points share and none changes.

transformers' own cache grows at every forward pass and holds one row per batch row. A frozen cache
holds one row per prompt, joins it to what comes in, and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import CacheLayerMixin

from steppe.propagation.shared_attention import JoinedTensor


class FrozenLayer(CacheLayerMixin):  # type: ignore[misc]
    """One layer's keys and values, read by any number of forward passes and changed by none.

    Args:
        layer: The filled layer of transformers' cache, one row per prompt.
        lengths_only: Keep no keys and values: for a layer that is passed through, whose lengths the
            model still reads to make masks and positions.
        shared: Leave it to attention to join the prefix to what comes in, which needs no copy.
    """

    def __init__(self, layer: Any, *, lengths_only: bool, shared: bool) -> None:
        super().__init__()
        self._shared = shared
        self.is_sliding = bool(layer.is_sliding)
        self._length = int(layer.get_seq_length())
        # Both kinds of layer answer "a constant plus the query's length" here.
        self._mask_length, self._mask_offset = (int(n) for n in layer.get_mask_sizes(0))
        self._max_length = int(layer.get_max_length())
        if not lengths_only:
            self.keys, self.values = layer.keys, layer.values
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Join the shared prefix to new keys and values; nothing is stored."""
        keys = JoinedTensor(self.keys, key_states)
        values = JoinedTensor(self.values, value_states)
        return (keys, values) if self._shared else (keys.whole(), values.whole())

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and offset that the mask of ``query_length`` new tokens needs."""
        return self._mask_length + query_length, self._mask_offset

    def get_seq_length(self) -> int:
        """Number of tokens in the prefix."""
        return self._length

    def get_max_length(self) -> int:
        """What the original layer answered: its window, or -1."""
        return self._max_length

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing to prepare: the layer is full from the start."""


def freeze(cache: DynamicCache, first_layer: int, *, shared: bool = False) -> DynamicCache:
    """Return a frozen copy of a filled cache.

    Args:
        cache: Filled with the prefix of a prompt, or of several of one length.
        first_layer: The first layer that will run; of the layers before it only lengths are kept.
        shared: Whether attention reads the prefix where it lies, for all points at once.
    """
    return _cache_of(
        FrozenLayer(layer, lengths_only=index < first_layer, shared=shared)
        for index, layer in enumerate(cache.layers)
    )


def rows_of(cache: DynamicCache, prompts: slice) -> DynamicCache:
    """Some prompts of a frozen cache; nothing is copied."""
    some = _cache_of(copy(layer) for layer in cache.layers)
    for layer in some.layers:
        if layer.keys is not None:
            layer.keys, layer.values = layer.keys[prompts], layer.values[prompts]
    return some


def _cache_of(layers: Iterable[Any]) -> DynamicCache:
    """A cache of these layers alone: none is added to it."""
    cache = DynamicCache()
    cache.layer_class_to_replicate = None
    cache.layers = list(layers)
    return cache
