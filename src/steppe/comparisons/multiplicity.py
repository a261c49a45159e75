"""Several tests of one study: Holm's correction, which bounds the chance of any false verdict."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """P-values corrected for their number (Holm 1979, Scand. J. Stat. 6, 65).

    Where all below 0.05 are acted upon, the chance of one false rejection or more is at most 5%,
    however the tests depend on each other.

    Args:
        p_values: ``(test,)``; NaN where nothing was tested, which counts for no other.

    Returns:
        ``(test,)`` corrected p-values, NaN where they were.
    """
    given = np.asarray(p_values, dtype=np.float64)
    corrected = np.full(given.shape, np.nan)
    places = np.flatnonzero(~np.isnan(given))
    places = places[np.argsort(given[places], kind="stable")]
    times = np.arange(len(places), 0, -1)
    corrected[places] = np.minimum(np.maximum.accumulate(times * given[places]), 1)
    return corrected
