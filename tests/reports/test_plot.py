from __future__ import annotations

import numpy as np
import xarray as xr

import steppe


def test_a_figure_shows_itself_in_a_notebook() -> None:
    values = np.linspace(0, 1, 20).reshape(4, 5)
    curves = xr.Dataset({"l2": (("sample", "step"), values, {"unit": "1", "long_name": "L2"})})
    shown = steppe.plot(curves)._repr_png_()
    assert shown.startswith(b"\x89PNG")
