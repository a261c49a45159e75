"""What each kind looks like, and what it is called, in every figure and table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.colors import to_hex, to_rgb

Dash = Literal["solid", "dashed", "dotted", "dashdot", "none"] | tuple[float, tuple[float, ...]]


@dataclass(frozen=True)
class KindStyle:
    """How a kind is drawn.

    Attributes:
        label: Its name for readers, the paper's where it has one.
        color: The paper's colour where it has one.
        dash: Line style, so that kinds are told apart without colour.
        marker: Shape of its dots, for the same reason.
    """

    label: str
    color: str
    dash: Dash = "solid"
    marker: str = "o"


KINDS: dict[str, KindStyle] = {
    "real": KindStyle("Model-generated", "tab:orange"),
    "random": KindStyle("Random", "tab:blue", "dashed", "s"),
    "synthetic_baseline": KindStyle("Synthetic-baseline", "tab:purple", "dotted", "^"),
    "synthetic_structured": KindStyle("Synthetic-structured", "tab:green", "dashdot", "D"),
    "sae_reconstruction": KindStyle("SAE reconstruction", "tab:brown", (0, (7, 2, 2, 2))),
    "isotropic": KindStyle("Isotropic", "tab:gray", (0, (8, 2))),
    "synthetic_random": KindStyle("Synthetic-random", "tab:pink", (0, (5, 1, 1, 1, 1, 1))),
    "synthetic_structured_without_cosine": KindStyle(
        "Synthetic-structured (w/o cos sim)", "tab:olive", (0, (3, 1, 1, 1))
    ),
    "real_foreign": KindStyle("Model-generated, in another prompt", "tab:brown", "dashdot", "D"),
    "random_base": KindStyle("Random base, towards random", "tab:cyan", "dotted", "v"),
    "added": KindStyle("Latents added", "tab:green", (0, (5, 1)), "o"),
    "removed": KindStyle("Latents removed", "tab:purple", "dashdot", "s"),
    "moved": KindStyle("Moved as far, at random", "tab:red", "dotted", "^"),
    "cov_random_difference": KindStyle("Cov-random difference", "tab:blue", "dashed", "s"),
    "real_difference": KindStyle("Real difference", "tab:orange", (0, (6, 1, 1, 1)), "o"),
    "cov_random_mixture": KindStyle("Cov-random mixture", "tab:blue", (0, (1, 1)), "D"),
    "real_mixture": KindStyle("Real mixture", "tab:orange", "solid", "^"),
    "cov_random_difference_with_first": KindStyle(
        "Cov-random difference (first counted)", "tab:cyan", "dashed"
    ),
    "cov_random_mixture_with_first": KindStyle("Cov-random mixture (first counted)", "tab:cyan"),
    "towards_zero": KindStyle("Towards zero", "tab:red", "dotted", "v"),
    "sae_error": KindStyle("SAE error", "tab:brown", (0, (7, 2, 2, 2)), "P"),
    "sae_feature_active": KindStyle("Feature active at the token", "tab:green"),
    "sae_feature_active_in_prompt": KindStyle("Feature active in the prompt", "tab:olive"),
    "sae_feature_alive": KindStyle("Feature alive elsewhere", "tab:purple", "dotted"),
    "sae_feature_any": KindStyle("Any feature", "tab:cyan", "dashdot"),
    "sae_feature_dead": KindStyle("Dead feature", "tab:pink"),
    "sae_feature_active_against": KindStyle(
        "Feature active at the token, against", "tab:green", (0, (3, 1, 1, 1))
    ),
    "sae_feature_active_in_prompt_against": KindStyle(
        "Feature active in the prompt, against", "tab:olive", (0, (3, 1, 1, 1))
    ),
    "sae_feature_alive_against": KindStyle(
        "Feature alive elsewhere, against", "tab:purple", (0, (1, 3))
    ),
    "sae_feature_any_against": KindStyle("Any feature, against", "tab:cyan", (0, (5, 1))),
    "sae_feature_dead_against": KindStyle("Dead feature, against", "tab:pink", (0, (1, 3))),
    "contrastive": KindStyle("Contrastive", "tab:red"),
    "melbo": KindStyle("MELBO", "tab:purple", "dashdot", "D"),
    "sae_top": KindStyle("Top SAE latents", "tab:green", (0, (5, 1)), "^"),
    "pca": KindStyle("PCA", "tab:gray", "dotted", "v"),
    "random_difference": KindStyle("Random difference", "tab:cyan", (0, (3, 1, 1, 1)), "P"),
    "sae": KindStyle("SAE", "tab:brown"),
    "epsilon_random": KindStyle("Epsilon, isotropic", "tab:gray"),
    "epsilon_mixture": KindStyle("Epsilon, mixture", "tab:blue"),
    "theta_random": KindStyle("Theta, base's norm", "tab:olive"),
    "theta_random_sae_norm": KindStyle("Theta, SAE's norm", "tab:green"),
    "sae_norm": KindStyle("Base with SAE's norm", "tab:pink"),
    "norm_corrected": KindStyle("SAE with base's norm", "tab:orange"),
    "mean_ablation": KindStyle("Mean activation", "tab:purple", "dashed"),
    "zero_ablation": KindStyle("Zero", "tab:red", "dotted"),
    "next_prompt": KindStyle("Unrelated prompt", "tab:orange"),
    "same_last_token": KindStyle("Prompt of the same last token", "tab:blue", "dashed", "s"),
    "one_token_changed": KindStyle("Prompt but for one token", "tab:green", "dotted", "^"),
}

_UNKNOWN = ("black", "tab:red", "tab:cyan")

# Widths in inches; 7 is the text width of a single-column page.
WIDTH = 7.0
ROW_HEIGHT = 2.3
DPI = 300

_SETTINGS: Any = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "figure.facecolor": "white",
    # Text stays text in a PDF.
    "pdf.fonttype": 42,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw with the project's settings, and leave the user's own as they were."""
    with matplotlib.rc_context():
        # The user's own may ask for what is not installed, for instance LaTeX.
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def style_of(kind: str) -> KindStyle:
    """How a kind is drawn; a kind that is not in the table gets its name and a spare colour."""
    if kind in KINDS:
        return KINDS[kind]
    return KindStyle(label_of(kind), _UNKNOWN[sum(kind.encode()) % len(_UNKNOWN)])


def add_style(kind: str, style: KindStyle) -> None:
    """Say how a kind of somebody's own is drawn."""
    KINDS[kind] = style


def shades(color: str, count: int) -> list[str]:
    """A colour from light to dark, for lines that have an order.

    Args:
        color: The colour; the only shade when there is one.
        count: How many shades.
    """
    base = np.array(to_rgb(color))
    # Negative: as much white is mixed in; positive: black.
    mixed = [0.0] if count == 1 else np.linspace(-0.6, 0.45, count)
    return [to_hex(base * (1 - abs(share)) + max(-share, 0.0)) for share in mixed]


def label_of(kind: str) -> str:
    """A kind's name for readers."""
    return KINDS[kind].label if kind in KINDS else kind.replace("_", " ").capitalize()
