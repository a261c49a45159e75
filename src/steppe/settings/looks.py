"""Settings of a study that adds samples until its claims are decided."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator

from steppe.core.errors import InputError
from steppe.settings.faults import as_fault
from steppe.settings.study_settings import StudySettings

DECIDED = "decided"
FIRST_LOOK = 64


def planned_looks(most: int, first: int = FIRST_LOOK) -> tuple[int, ...]:
    """Numbers of samples at which is looked: ``first``, doubled again and again, then ``most``."""
    looks = []
    while first < most:
        looks.append(first)
        first *= 2
    return (*looks, most)


class LookSettings(StudySettings):
    """Settings of a study whose datasets have the run's samples, so that it can grow by looks."""

    until: Literal["samples", "decided"] = Field(
        "samples",
        description="samples: measure all of them. decided: add samples until every claim is "
        "decided, at levels that allow for the looks (at most 5% false verdicts on a claim over "
        "all of them), or --samples is reached",
    )
    precision: float | None = Field(
        None,
        gt=0,
        description="with --until decided: a claim whose interval reaches no farther than this to "
        "either side is known well enough, too (of a KS distance or share; of a number that "
        "counts steps, as a share of a path's); None: only decided is",
    )
    looks: tuple[int, ...] = Field(
        (),
        description="with --until decided: after how many samples is looked; part of the run, "
        "never changed afterwards; empty: after 64, 128, 256 ... and --samples",
    )

    @field_validator("precision", "looks")
    @classmethod
    @as_fault
    def _only_until_decided(cls, value: Any, info: ValidationInfo) -> Any:
        if value and info.data.get("until") != DECIDED:
            raise InputError(
                str(info.field_name),
                got=f"{value!r}, where all samples are measured",
                expected="it with until: decided",
                fix=f"add --until decided, or leave out --{info.field_name}",
            )
        return value

    @field_validator("looks")
    @classmethod
    @as_fault
    def _growing_up_to_samples(cls, value: tuple[int, ...], info: ValidationInfo) -> Any:
        samples = info.data.get("samples")
        grows = all(a < b for a, b in zip((1, *value), value, strict=False))
        if value and not (grows and samples in value):
            raise InputError(
                "looks",
                got=f"{', '.join(map(str, value))}, for {samples} samples",
                expected="growing numbers from 2 on, --samples among them",
                fix="end them with the number that is given as --samples",
            )
        return value

    @property
    def plan(self) -> tuple[int, ...]:
        """Numbers of samples at all planned looks."""
        return self.looks or planned_looks(self.samples)

    @property
    def stages(self) -> tuple[Self, ...]:
        """The settings up to each look, as if so many samples had been asked for."""
        if self.until != DECIDED:
            return (self,)
        looks = [look for look in self.plan if look <= self.samples]
        return tuple(
            self.model_copy(update={"samples": look, "looks": self.plan}) for look in looks
        )

    @property
    def ending(self) -> tuple[str, ...]:
        """What the name of the run folder says of it."""
        return () if self.until != DECIDED else ("until", DECIDED)
