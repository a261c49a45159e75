"""The warm-up, stable, decay schedule, counted in tokens.

The stable phase has no planned end, so a run can be finished at any moment, and a longer run
can branch from the last checkpoint before the decay instead of starting again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Plan:
    """When the learning rate decays."""

    decay_start: int
    """Tokens seen when the decay begins."""
    end: int
    """Tokens seen when the rate reaches zero and training ends."""

    def factor(self, tokens: int, warm_up: int) -> float:
        """Returns the learning rate's share of its plateau after `tokens` tokens."""
        if tokens >= self.decay_start:
            return max(0.0, (self.end - tokens) / max(1, self.end - self.decay_start))
        return min(1.0, (tokens + 1) / max(1, warm_up))

    @classmethod
    def from_record(cls, record: Mapping[str, int]) -> Plan:
        """Reads back what `as_record` returned."""
        return cls(record["decay_start"], record["end"])

    def as_record(self) -> dict[str, int]:
        """Returns the plan as plain numbers for a checkpoint."""
        return asdict(self)


def planned(requested: int, decay_share: float, seen: int) -> Plan:
    """Plans a run: the last `decay_share` of the tokens decay, but none that are already seen.

    Args:
        requested: tokens to be seen at the end.
        decay_share: part of them in the decay, 0 to 1.
        seen: tokens of the stable checkpoint that training starts from.
    """
    return Plan(max(int(requested * (1 - decay_share)), seen), requested)
