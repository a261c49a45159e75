"""Which table and figure is made from which kinds, modes, readout and statistic, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

KINDS = (
    "real",
    "random",
    "isotropic",
    "synthetic_random",
    "synthetic_baseline",
    "synthetic_structured",
    "synthetic_structured_without_cosine",
    "sae_reconstruction",
)
MODES = ("absolute", "relative")
BASE_KINDS = ("real", "synthetic_baseline", "synthetic_structured", "random")
CONTEXTS = ("native", "foreign")
READOUTS = ("l2", "kl", "cosine")

MAIN = ("real", "random", "synthetic_baseline", "synthetic_structured")
RECONSTRUCTED = ("real", "random", "sae_reconstruction")


@dataclass(frozen=True)
class StepTable:
    """A table of one statistic of one readout over kinds and modes, with its figure.

    Attributes:
        name: File name of the table, and its published name.
        title: What it shows.
        readout: The curve's readout.
        statistic: The step statistic, a name of `steppe.statistics`.
        kinds: Rows.
        modes: Path modes.
        figure: File name of the figure drawn from the same numbers, if any.
        figure_modes: Path modes the figure shows.
        figure_kinds: Kinds the figure shows: the paper's.
    """

    name: str
    title: str
    readout: str
    statistic: str
    kinds: tuple[str, ...]
    modes: tuple[str, ...]
    figure: str
    figure_modes: tuple[str, ...]
    figure_kinds: tuple[str, ...] = MAIN


STEP_TABLES = (
    StepTable("table_1", "Max-slope step of L2", "l2", "max_slope", MAIN, ("absolute",),
              "figure_2", ("absolute",)),
    StepTable("table_a1", "Max-slope step of L2, every kind of target", "l2", "max_slope",
              (*MAIN, "synthetic_random", "synthetic_structured_without_cosine", "isotropic"),
              MODES, "figure_a1", ("relative",)),
    StepTable("table_b1", "Area step of L2", "l2", "area", MAIN, MODES, "figure_b1", MODES),
    StepTable("table_b2", "Nonlinearity step of L2", "l2", "nonlinearity", MAIN, MODES,
              "figure_b2", MODES),
    StepTable("table_c1", "Max-slope step of KL", "kl", "max_slope", MAIN, MODES,
              "figure_c1", MODES),
    StepTable("table_d1", "Max-slope step of L2, towards SAE reconstructions", "l2", "max_slope",
              RECONSTRUCTED, MODES, "figure_d1", MODES, RECONSTRUCTED),
)  # fmt: skip

EXAMPLE_FIGURE = "figure_1"
PLATEAU_OUTPUT = "figure_3"
LATENT_OUTPUT = "table_e"
LATENT_FIGURES = ("figure_e1", "figure_e2")

ALL_OUTPUTS = (
    *(table.name for table in STEP_TABLES),
    LATENT_OUTPUT,
    EXAMPLE_FIGURE,
    *(table.figure for table in STEP_TABLES),
    PLATEAU_OUTPUT,
    *LATENT_FIGURES,
)


@dataclass(frozen=True)
class Selection:
    """What has to be measured and made for the outputs that were asked for.

    Attributes:
        outputs: Tables and figures.
        kinds: Kinds of target that are measured.
        modes: Path modes that are measured.
        bases: Kinds of base whose plateaus are measured; none when they are not asked for.
        latents: Whether properties of latents are measured.
    """

    outputs: tuple[str, ...]
    kinds: tuple[str, ...]
    modes: tuple[str, ...]
    bases: tuple[str, ...]
    latents: bool

    def wants(self, name: str) -> bool:
        """Whether the table or figure of that name is to be made."""
        return name in self.outputs


def select(only: Sequence[str], kinds: Sequence[str]) -> Selection:
    """Work out what is needed for the outputs in ``only`` (all of them when it is empty)."""
    outputs = tuple(only) or ALL_OUTPUTS
    tables = [t for t in STEP_TABLES if t.name in outputs or t.figure in outputs]
    if set(outputs) == set(ALL_OUTPUTS):
        needed = set(kinds)
    else:
        needed = {kind for table in tables for kind in table.kinds}
    modes = {mode for table in tables for mode in table.modes}
    if EXAMPLE_FIGURE in outputs:
        needed |= {"real", "random"}
        modes |= {"absolute"}
    return Selection(
        outputs=outputs,
        kinds=tuple(kind for kind in KINDS if kind in needed and kind in kinds),
        modes=tuple(mode for mode in MODES if mode in modes),
        bases=tuple(k for k in BASE_KINDS if k in kinds) if PLATEAU_OUTPUT in outputs else (),
        latents=bool({LATENT_OUTPUT, *LATENT_FIGURES} & set(outputs)),
    )
