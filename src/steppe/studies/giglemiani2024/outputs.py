"""Which table and figure is made from which kinds, paths, metric and statistic, as data."""

from __future__ import annotations

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
MODES = ABSOLUTE, RELATIVE = "absolute", "relative"
CONTEXTS = NATIVE, FOREIGN = "native", "foreign"
BASE_KINDS = ("real", "synthetic_baseline", "synthetic_structured", "random")
READOUTS = ("l2", "kl", "cosine")

EXAMPLES = ("real", "random")
MAIN = ("real", "random", "synthetic_baseline", "synthetic_structured")
RECONSTRUCTED = ("real", "random", "sae_reconstruction")


@dataclass(frozen=True)
class StepTable:
    """A table of one statistic of one metric over kinds and modes, with its figure.

    Attributes:
        name: File name of the table, and its published name.
        title: What it shows.
        metric: The curve's metric.
        statistic: The step statistic, a name of `steppe.statistics`.
        kinds: Rows, beside kinds of somebody's own.
        modes: Path modes.
        figure: File name of the figure drawn from the same numbers.
        figure_modes: Path modes the figure shows.
        figure_kinds: Kinds the figure shows: the paper's.
    """

    name: str
    title: str
    metric: str
    statistic: str
    kinds: tuple[str, ...]
    modes: tuple[str, ...]
    figure: str
    figure_modes: tuple[str, ...]
    figure_kinds: tuple[str, ...] = MAIN


STEP_TABLES = (
    StepTable("table_1", "Max-slope step of L2", "l2", "max_slope", MAIN, (ABSOLUTE,),
              "figure_2", (ABSOLUTE,)),
    StepTable("table_a1", "Max-slope step of L2, every kind of target", "l2", "max_slope",
              (*MAIN, "synthetic_random", "synthetic_structured_without_cosine", "isotropic"),
              MODES, "figure_a1", (RELATIVE,)),
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
LEVEL_OUTPUT = "plateau_thresholds"
LATENT_OUTPUT = "table_e"
LATENT_FIGURES = LATENT_COUNTS, LATENT_COSINES = "figure_e1", "figure_e2"

ALL_OUTPUTS = (
    *(table.name for table in STEP_TABLES),
    LATENT_OUTPUT,
    EXAMPLE_FIGURE,
    *(table.figure for table in STEP_TABLES),
    PLATEAU_OUTPUT,
    LEVEL_OUTPUT,
    *LATENT_FIGURES,
)
