"""How are curves picked out of a dataset, and averaged?"""

from __future__ import annotations

import xarray as xr

from steppe.core.axes import SAMPLE
from steppe.core.errors import InputError
from steppe.curves.schema import readouts


def pick(dataset: xr.Dataset, readout: str, **labels: str | list[str]) -> xr.DataArray:
    """Curves of one readout, for instance ``pick(dataset, "l2", mode="absolute")``.

    Args:
        dataset: A curves dataset.
        readout: Which readout.
        labels: A label, or several, of ``kind``, ``mode`` or ``context``. One label drops its
            dimension, a list keeps it.

    Raises:
        InputError: There is no such readout, dimension or label.
    """
    if readout not in readouts(dataset):
        raise _unknown("readout", readout, readouts(dataset))
    curves = dataset[readout]
    for dim, wanted in labels.items():
        if dim not in curves.dims:
            raise _unknown("dimension of the curves", dim, [str(d) for d in curves.dims])
        known = [str(label) for label in curves[dim].values]
        for label in [wanted] if isinstance(wanted, str) else wanted:
            if label not in known:
                raise _unknown(dim, label, known)
        curves = curves.sel({dim: wanted})
    return curves


def mean_curves(curves: xr.DataArray) -> xr.DataArray:
    """Mean over the samples at every step, without those that are NaN there.

    The attribute ``n`` is the number of samples.
    """
    mean = curves.mean(SAMPLE, skipna=True, keep_attrs=True)
    return mean.assign_attrs(n=curves.sizes[SAMPLE])


def _unknown(what: str, got: str, known: list[str]) -> InputError:
    return InputError(
        what, got=repr(got), expected=", ".join(known) or "none", fix="use one of these names"
    )
