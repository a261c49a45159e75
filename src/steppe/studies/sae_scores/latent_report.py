"""Table and figure of the latents of one SAE."""

from __future__ import annotations

import numpy as np
import pandas as pd

from steppe.core.axes import KIND, PROMPT, SAE
from steppe.reports import Band, Drawing, Panel, draw_bands
from steppe.studies.lee2024.plan import MIXTURE
from steppe.studies.sae_scores.analysis import Scored
from steppe.studies.sae_scores.latent_table import median_with_ends
from steppe.studies.sae_scores.latents import LATENTS

# Latents of the table that is read; all are in the CSV file.
SHOWN = 20
_BINS = 10
DECADES = [share * 10.0**power for power in range(-6, 0) for share in (1, 3)]


def first_latents(run: Scored) -> pd.DataFrame:
    """The latents that change the output soonest."""
    table = run.latents.head(SHOWN)
    hidden = [] if table["neuronpedia"].str.len().any() else ["neuronpedia"]
    return table.drop(columns=[*hidden, "turned_against", "top_against"])


def latents_caption(run: Scored) -> str:
    """What is said under the table of latents."""
    data = run.datasets[LATENTS]
    unreached = int(np.isinf(run.latents["crossing"]).sum())
    return (
        f"The {SHOWN} latents of {data.attrs['sae']} along whose decoder rows the output changes "
        f"soonest, of {len(run.latents)} measured ({data.attrs['latents']} in all; the others are "
        "in figures/latents.csv). crossing: where KL reaches "
        f"{run.settings.level:g} nats, in norms of the base, median over {data.sizes[PROMPT]} "
        "prompts with its exact interval of at least 95% for one latent (not for the first of "
        f"many); _against: the opposite way. {unreached} do not reach it along their row in most "
        f"prompts. At length {data.attrs['length']:.3g} (residual stream), means over prompts: "
        "change of the next token's entropy (nats), of the probability of the token that was "
        "likeliest (top), share of prompts in which another is (turned), and the tokens whose "
        f"log-probability rises most. Model: {run.model}, last position moved at "
        f"{data.attrs['site']}."
    )


def draw_latents(run: Scored) -> Drawing:
    """How crossing lengths are spread over latents and mixtures, and how they go with rates."""
    data, table = run.datasets[LATENTS], run.latents
    mixed = run["crossings/crossing"].sel({SAE: data.attrs["sae"], KIND: MIXTURE}).values
    spread = {
        ("along rows", "tab:green", "solid"): table["crossing"].to_numpy(),
        ("against rows", "tab:red", "dashed"): table["crossing_against"].to_numpy(),
        ("mixtures (single crossings)", "tab:blue", "dotted"): mixed.ravel(),
    }
    bands = []
    for (label, color, dash), values in spread.items():
        known = np.sort(values[~np.isnan(values)])
        share = (np.arange(len(known)) + 0.5) / len(known)
        reached = np.isfinite(known)
        bands.append(Band(label, share[reached], known[reached], color, dash=dash))  # type: ignore[arg-type]
    alive = table[(table["rate"] > 0) & table["crossing"].notna()].sort_values("rate")
    parts = np.array_split(np.arange(len(alive)), min(_BINS, max(len(alive) // 6, 1)))
    rates = [float(alive["rate"].iloc[part].median()) for part in parts]
    numbers = [median_with_ends(alive["crossing"].to_numpy()[part]) for part in parts]
    middle, low, high = np.array(numbers).T
    # What is not reached lies beyond the path's end.
    middle, high = np.where(np.isfinite(middle), middle, np.nan), np.minimum(high, 1.0)
    by_rate = Band("along rows", rates, middle, "tab:green", low, high, "none", "o")
    y_label = "crossing length (norms)"
    ticks = [one for one in DECADES if min(rates) <= one <= max(rates)]
    panels = [
        Panel("sorted", bands, "share of latents, or mixtures", y_label),
        Panel("by firing rate", [by_rate], "firing rate", y_label, "x", ticks=ticks),
    ]
    return draw_bands(
        panels,
        f"Where KL reaches {run.settings.level:g} nats along the decoder rows of "
        f"{len(table)} latents of {data.attrs['sae']}. Left: their medians over "
        f"{data.sizes[PROMPT]} prompts, sorted, and single crossings of cov-random mixtures; lines "
        "end where it is not reached within the norm of the base. Right: medians over latents of "
        "like firing rates, with exact 95% intervals (up to 1: there, or beyond; no dot where the "
        "median lies beyond). "
        f"Model: {run.model}, last position moved at {data.attrs['site']}.",
    )
