"""The likeliest next tokens along the paths of some samples, for the cards of a run's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from steppe.core.axes import RANK, SAMPLE
from steppe.core.text import printable
from steppe.reports.page.packing import text_of

# What a dataset of them is called, behind the name of the dataset whose paths they are of.
NEXT_TOKENS = "_next_tokens"
PLACE, STEP_OF_PLACE = "place", "step_of_place"
TOKEN, PROBABILITY = "next_token", "probability"
# Bytes of all of them on a page, before they are written as text, for each dataset.
_BUDGET = 900_000
_WHOLE = 2**16 - 1


def next_tokens(
    data: xr.Dataset, facets: Sequence[str], shown: Sequence[int], tokens: Mapping[int, str]
) -> dict[str, Any]:
    """The tokens of those shown samples that have some, as the page's script reads them.

    Args:
        data: ``next_token`` and ``probability`` over the facets, sample, place and rank.
        facets: The order of the other dimensions.
        shown: Numbers of the samples whose cards the page has.
        tokens: The text of each token id.
    """
    order = (*facets, SAMPLE, PLACE, RANK)
    cost = 4 * int(np.prod([data.sizes[dim] for dim in order if dim != SAMPLE]))
    wanted = set(shown)
    numbers = [int(one) for one in data[SAMPLE].values if int(one) in wanted]
    numbers = numbers[: max(1, _BUDGET // cost)]
    kept = data.sel({SAMPLE: numbers}).transpose(*order, ...)
    ids, places = np.unique(kept[TOKEN].values, return_inverse=True)
    is_few = len(ids) <= _WHOLE
    likely = np.round(np.clip(kept[PROBABILITY].values, 0, 1) * _WHOLE)
    return {
        "steps": [int(step) for step in data[STEP_OF_PLACE].values],
        "samples": numbers,
        "top": data.sizes[RANK],
        "texts": [token_text(int(one), tokens) for one in ids],
        # A vocabulary has more tokens than 16 bits tell apart; those of a page seldom are as many.
        "bits": 16 if is_few else 32,
        "tokens": text_of(places, "<u2" if is_few else "<u4"),
        "probabilities": text_of(likely, "<u2"),
    }


def token_text(token: int, tokens: Mapping[int, str]) -> str:
    """A token's text, in which nothing takes effect; its number where it has none."""
    return printable(tokens.get(token, f"[{token}]"), keep="")
