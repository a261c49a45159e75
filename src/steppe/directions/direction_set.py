"""Fixed directions: unit vectors with names, shared by all bases, and how they were made."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from steppe.activations.vectors import Vectors
from steppe.core.errors import InputError
from steppe.core.names import check_names
from steppe.models import Model

# What is left of a vector beside what is removed from it: less is rounding.
_FAINT = 1e-5
# Half a last digit of float32 at 1: what bringing a unit vector into coordinates may leave.
_ROUNDED = 2.0**-24


@dataclass(frozen=True, eq=False)
class DirectionSet:
    """Unit vectors with names.

    Attributes:
        names: One per direction, each once.
        vectors: float32 on the CPU, ``(direction, d_model)``, of length 1.
        facts: Of each, how it was made, as plain data: ``length``, that of the vector it was made
            from, in units of the residual stream; of contrastive ones the sign and the spread.
    """

    names: tuple[str, ...]
    vectors: Tensor
    facts: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        vectors: Vectors,
        place: str,
        facts: Sequence[Mapping[str, Any]] | None = None,
    ) -> DirectionSet:
        """Scale vectors to length 1.

        Args:
            names: One per vector.
            vectors: ``(direction, d_model)``.
            place: What they are called in an error message.
            facts: What else is to be known of each.

        Raises:
            InputError: Another shape, a name twice, NaN or infinity, or a zero vector.
        """
        exact = torch.as_tensor(vectors).detach().cpu().double()
        if exact.ndim != 2 or len(exact) != len(names) or not exact.numel():
            raise InputError(
                place,
                got=f"shape {tuple(exact.shape)} for {len(names)} names",
                expected="(direction, d_model), one name each, at least one",
                fix="give one vector a row",
            )
        doubled = [name for name, times in Counter(names).items() if times > 1]
        if doubled or not all(names):
            raise InputError(
                place,
                got=f"the name {doubled[0]!r} twice" if doubled else "an empty name",
                expected="a name of its own for each direction",
                fix="rename one of them",
            )
        lengths = exact.norm(dim=1)
        for name, vector, length in zip(names, exact, lengths.tolist(), strict=True):
            if not torch.isfinite(vector).all():
                raise _no_direction(place, name, "NaN or infinity", "make it anew")
            if length == 0:
                raise _no_direction(place, name, "a zero vector, which points nowhere", "drop it")
        given = facts or [{}] * len(names)
        return cls(
            names=tuple(names),
            vectors=(exact / lengths[:, None]).float(),
            facts=tuple(
                {"length": float(f"{length:.6g}"), **one}
                for one, length in zip(given, lengths.tolist(), strict=True)
            ),
        )

    def __len__(self) -> int:
        return len(self.names)

    def select(self, *names: str) -> DirectionSet:
        """Some of the directions, in the order asked for.

        Raises:
            InputError: There is no such name; the nearest is suggested.
        """
        check_names("directions", names, self.names)
        places = [self.names.index(name) for name in names]
        facts = tuple(self.facts[place] for place in places)
        return replace(self, names=names, vectors=self.vectors[places], facts=facts)

    @property
    def against(self) -> DirectionSet:
        """The opposite directions."""
        names = tuple(f"{name}_against" for name in self.names)
        return replace(self, names=names, vectors=-self.vectors)

    @property
    def sha256(self) -> str:
        """Hash of the vectors."""
        return hashlib.sha256(self.vectors.contiguous().numpy().tobytes()).hexdigest()

    def for_bases(self, count: int) -> Tensor:
        """Every direction for every base, ``(sample, direction, d_model)``."""
        return self.vectors.expand(count, -1, -1)

    def in_coordinates(self, model: Model, place: str) -> DirectionSet:
        """These directions in a model's coordinates: mean-free where they are centred.

        Raises:
            InputError: They are of another width, or nothing is left.
        """
        if self.vectors.shape[1] != model.d_model:
            raise InputError(
                place,
                got=f"directions of width {self.vectors.shape[1]}",
                expected=f"d_model = {model.d_model} of {model.name}",
                fix="give directions that were made on this model",
            )
        kept = model.to_coordinates(self.vectors.double())
        lengths = kept.norm(dim=1)
        for name, length in zip(self.names, lengths.tolist(), strict=True):
            if length < _FAINT:
                raise _no_direction(
                    place,
                    name,
                    f"a vector whose numbers are all equal to {length:.1g}, zero in centred "
                    "coordinates",
                    "its model does not see it: drop it",
                )
        if float((kept - self.vectors).abs().max()) <= _ROUNDED:
            return self
        return replace(self, vectors=(kept / lengths[:, None]).float())

    def save(self, path: str | Path) -> Path:
        """Write a ``.safetensors`` file from which `from_file` reads names, vectors and facts.

        The names stand in the metadata: as names of tensors some would be read as layers.
        """
        said = {
            "names": json.dumps(self.names),
            "facts": json.dumps(list(self.facts), default=str),
        }
        save_file({"vectors": self.vectors.contiguous()}, Path(path), metadata=said)
        return Path(path)


def joined(sets: Sequence[DirectionSet]) -> DirectionSet:
    """Several sets as one."""
    return DirectionSet(
        names=tuple(name for one in sets for name in one.names),
        vectors=torch.cat([one.vectors for one in sets]),
        facts=tuple(fact for one in sets for fact in one.facts),
    )


def _no_direction(place: str, name: str, got: str, fix: str) -> InputError:
    return InputError(
        f"{place}, direction {name!r}",
        got=got,
        expected="a finite vector with a length",
        fix=f"{fix}, or leave {name!r} out",
    )
