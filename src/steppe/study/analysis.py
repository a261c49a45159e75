"""A finished run as its tables, figures and claims see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import xarray as xr

from steppe.comparisons import Resamples
from steppe.core.axes import SAMPLE
from steppe.core.errors import NotMeasuredError
from steppe.core.seeds import stream
from steppe.settings.study_settings import SiteSettings
from steppe.store import Run
from steppe.store.config import SAMPLES
from steppe.study.needs import Need, as_need


class _Datasets(dict[str, xr.Dataset]):
    """The datasets of a run; one that it does not have is said to be missing from it."""

    def __init__(self, run: Run, found: Mapping[str, xr.Dataset]) -> None:
        super().__init__(found)
        self._run = run

    def __missing__(self, name: str) -> xr.Dataset:
        return self._run.dataset(name)


@dataclass(frozen=True)
class _Making:
    """Adds to what goes wrong meanwhile which derived quantity was being made."""

    name: str

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _where: object) -> None:
        if error is not None and not isinstance(error, NotMeasuredError):
            error.add_note(f"while the derived quantity {self.name!r} was made")


@dataclass(frozen=True, eq=False)
class Analysis:
    """A run, its settings, and the quantities derived from it.

    Attributes:
        run: The run.
        settings: What the run's settings came to.
        derived: How each derived quantity is made.
        only_first: How many samples are looked at; None: all.
    """

    run: Run
    settings: Any
    derived: Mapping[str, Callable[[Any], xr.DataArray]] = field(default_factory=dict)
    only_first: int | None = None

    @classmethod
    def of(
        cls,
        run: Run,
        settings: type[SiteSettings],
        derived: Mapping[str, Callable[[Any], xr.DataArray]] | None = None,
    ) -> Self:
        """Read the settings of a run from its config."""
        return cls(run, settings.of_run(run.config["resolved"]), derived or {})

    def first(self, samples: int) -> Self:
        """The same as if the run had so many samples, its first."""
        settings = self.settings.model_copy(update={SAMPLES: samples})
        return replace(self, settings=settings, only_first=samples)

    @property
    def constants(self) -> Mapping[str, Any]:
        """Everything that the run's settings came to, with what the study measured first."""
        resolved: Mapping[str, Any] = self.run.config["resolved"]
        return resolved

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.constants["model_identity"]["name"])

    @cached_property
    def datasets(self) -> dict[str, xr.Dataset]:
        """The datasets of the run; values are read when they are used."""
        found = {name: self.run.dataset(name) for name in self.run.datasets()}
        if self.only_first is not None:
            # Some are of other samples than the run's.
            known = self.constants[SAMPLES]
            found = {
                name: one.isel({SAMPLE: slice(self.only_first)})
                if one.sizes.get(SAMPLE) == known
                else one
                for name, one in found.items()
            }
        return _Datasets(self.run, found)

    @cached_property
    def _made(self) -> dict[str, xr.DataArray]:
        return {}

    def __getitem__(self, name: str) -> xr.DataArray:
        """A derived quantity, or ``dataset/variable``; made once.

        Raises:
            NotMeasuredError: There is neither, or a dataset or variable that it is made from was
                not measured. Any other error of the function that makes it is raised as it is, with
                the quantity's name as a note.
        """
        if name not in self._made:
            dataset, _, variable = name.partition("/")
            if name in self.derived:
                with _Making(name):
                    self._made[name] = self.derived[name](self)
            elif dataset in self.datasets and variable in self.datasets[dataset]:
                self._made[name] = self.datasets[dataset][variable].load()
            else:
                raise NotMeasuredError(
                    f"run {self.run.path}",
                    got=f"no quantity {name!r}",
                    expected=", ".join([*self.derived, *self.datasets]) or "nothing was measured",
                    fix="name a derived quantity, or dataset/variable",
                )
        return self._made[name]

    def has(self, *needs: str | Need, whole: bool = True) -> bool:
        """Whether all of these datasets, and what derived quantities are made from, were measured.

        Args:
            needs: Datasets, derived quantities, or what of a dataset.
            whole: Whether all labels of a need have to be there, and not only some.

        Raises:
            Exception: Whatever else goes wrong while a derived quantity is made.
        """
        return all(
            need.is_met(self.datasets[need.dataset], whole=whole)
            if need.dataset in self.datasets
            else self._can_derive(need.dataset)
            for need in map(as_need, needs)
        )

    def _can_derive(self, name: str) -> bool:
        if name not in self.derived:
            return False
        try:
            self[name]
        except NotMeasuredError:
            return False
        return True

    def generator(self, name: str) -> np.random.Generator:
        """The random stream of one table's or claim's bootstrap."""
        return stream(self.settings.seed, f"bootstrap_{name}")

    def resamples(self, name: str, samples: int) -> Resamples:
        """The bootstrap of one table or claim over that many samples."""
        return Resamples.draw(samples, self.settings.bootstrap, self.generator(name))
