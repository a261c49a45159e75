"""What a check of a model and its SAEs found, as plain data and in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from steppe.propagation import SelfCheck
from steppe.sae import SaeQuality
from steppe.sae.belonging import REASONS


@dataclass(frozen=True)
class SaeReport:
    """How one SAE does on the model's own activations.

    Attributes:
        source: Where it was read from.
        site: Its site.
        quality: Explained variance, mean L0 and dead share, on positions after the first.
        dead_in_rates: Share of latents that are dead by its firing rates.
        rates: Where those rates are from.
        doubts: What speaks against using it, for instance another model's name.
        loss_increase: Nats per token when its reconstruction replaces the activations at every
            position after the first.
        loss_increase_error: Its standard error, from the spread between sequences.
    """

    source: str
    site: str
    quality: SaeQuality
    dead_in_rates: float
    rates: str
    doubts: tuple[str, ...]
    loss_increase: float
    loss_increase_error: float


@dataclass(frozen=True)
class CheckReport:
    """What was found.

    Attributes:
        model: Its identity, sizes and coordinates.
        tokens: Which tokens it was checked on.
        loss: Mean loss in nats per token; NaN for sequences of one token.
        loss_error: Its standard error, from the spread between sequences.
        self_check: The suffix run against the full forward pass.
        saes: One entry per SAE.
        record: The file that keeps it; None: none was asked for.
    """

    model: dict[str, Any]
    tokens: str
    loss: float
    loss_error: float
    self_check: SelfCheck
    saes: tuple[SaeReport, ...]
    record: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the suffix agrees and nothing speaks against any SAE."""
        return self.self_check.passed and not any(sae.doubts for sae in self.saes)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "passed": self.passed}

    def _why_this_engine(self) -> str:
        return f" (fast: {self.self_check.note})" if self.self_check.note else ""

    def __str__(self) -> str:
        verdict = "agrees" if self.self_check.passed else "DISAGREES"
        error, tolerance = self.self_check.max_relative_error, self.self_check.tolerance
        lines = [
            *(f"{key:<14}{value}" for key, value in self.model.items()),
            f"{'tokens':<14}{self.tokens}",
            f"{'loss':<14}{self.loss:.4f} ± {self.loss_error:.4f} nats per token (standard error)",
            f"{'engine':<14}{self.self_check.engine}{self._why_this_engine()}",
            f"{'suffix run':<14}{verdict} with the full forward pass: relative error {error:.1e}, "
            f"at most {tolerance:.0e} accepted",
            f"{'noise floor':<14}{self.self_check.noise_floor:.1e} in the L2 distance at the last "
            "block, from rounding",
        ]
        kept = [f"{'record':<14}{self.record}"] if self.record else []
        return "\n".join([*lines, *map(_sae_lines, self.saes), *kept])


def _sae_lines(report: SaeReport) -> str:
    found = report.quality
    warning = [f"  DOUBTFUL            {'; '.join(report.doubts)}: {REASONS}?"]
    return "\n".join(
        [
            f"SAE {report.source} at {report.site}",
            *(warning if report.doubts else []),
            f"  explained variance  {found.explained_variance:.4f}",
            f"  mean L0             {found.mean_l0:.2f}",
            f"  dead on the tokens  {found.dead_share:.2%}",
            f"  dead by its rates   {report.dead_in_rates:.2%} ({report.rates})",
            f"  loss increase       {report.loss_increase:+.4f} ± {report.loss_increase_error:.4f} "
            "nats per token when substituted",
        ]
    )
